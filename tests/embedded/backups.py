"""A stack of its own in a temporary directory, with something of everything in it, for tests of backups."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from scripts.core.console import Console
from scripts.core.layout import Layout
from scripts.core.runner import Completed, Runner, SubprocessRunner
from scripts.data.backup import backup, restore
from scripts.data.backup.repository import Repository, Snapshot, open_repository
from scripts.engines.base import EngineName
from scripts.engines.context import Context
from scripts.run import up
from scripts.settings.envfile import read_env
from tests.unit.scripts.fakes import Screen
from tests.unit.scripts.test_stack_file import GOOD

from .exporting import free_port
from .harness import REPOSITORY
from .spans import read, send, span, trace_id
from .test_media import Upload


@dataclass
class Stack:
    """One stack on the embedded engine, driven by the commands as an operator does."""

    context: Context
    screen: Screen

    @property
    def layout(self) -> Layout:
        """Where its files lie."""
        return self.context.layout

    @property
    def repository_dir(self) -> Path:
        """Where its backups lie."""
        return self.layout.root / ".backups"

    def up(self) -> None:
        """Start it."""
        assert up.up(self.context) == 0

    def stop(self) -> None:
        """Stop it, if it runs."""
        self.context.engine(EngineName.EMBEDDED, self.context.lenient_settings()).stop()

    def running(self) -> bool:
        """Return whether its engine runs."""
        return self.context.engine(EngineName.EMBEDDED, self.context.lenient_settings()).state().running

    def back_up(self) -> Snapshot:
        """Make a backup; return it."""
        assert backup.backup(self.context, dry_run=False) == 0
        return self.repository().snapshots()[-1]

    def restore(self, wanted: str = "latest", *, replace_data: bool = False, dry_run: bool = False) -> int:
        """Restore a backup without the smoke tests."""
        return restore.restore(
            self.context, backup=wanted, dry_run=dry_run, replace_data=replace_data, with_smoke=False
        )

    def repository(self) -> Repository:
        """Return the repository."""
        return open_repository(self.context, self.context.settings())

    def client(self, project: str = "kosmos") -> httpx.Client:
        """Return a client with the key of a project; the caller closes it."""
        keys = read_env(self.layout.credentials_dir / f"{project}.env").values()
        base_url = f"http://127.0.0.1:{self.context.environment['LANGFUSE_PORT']}"
        return httpx.Client(
            base_url=base_url, auth=(keys["LANGFUSE_PUBLIC_KEY"], keys["LANGFUSE_SECRET_KEY"]), timeout=30
        )

    def lose_everything(self) -> None:
        """Stop it and remove all but the backups and what is in version control."""
        self.stop()
        shutil.rmtree(self.layout.stack_dir)
        self.layout.env_file.unlink()

    def with_environment(self, **values: str) -> Stack:
        """Return the same stack as seen with other variables."""
        return Stack(replace(self.context, environment={**self.context.environment, **values}), self.screen)


def stack_in(root: Path, runner: Runner | None = None) -> Stack:
    """Return a stack that is not started yet; backups use restic unless `runner` does otherwise."""
    (root / "config").mkdir(parents=True)
    (root / "config" / "stack.yaml").write_text(GOOD)
    for name in ("backup.yaml", "retention.yaml"):
        shutil.copy(REPOSITORY / "config" / name, root / "config")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(root),
        "PYTHONPATH": str(REPOSITORY),
        "ENGINE": "embedded",
        "LANGFUSE_PORT": str(free_port()),
    }
    screen = Screen()
    layout = Layout(root, root / ".env", root / ".stack")
    console = Console(environment, screen.out, screen.err)
    return Stack(Context(layout, environment, console, runner or SubprocessRunner(REPOSITORY)), screen)


class FolderRestic(SubprocessRunner):
    """Runs programs, but does restic's work in plain folders: restic takes a second to open anything."""

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout_s: float = 60,
    ) -> Completed:
        if argv[0] != "restic":
            return super().run(argv, env=env, stdin=stdin, timeout_s=timeout_s)
        assert env is not None
        command, *rest = argv[2:]
        folder = Path(env["RESTIC_REPOSITORY"])
        index = folder / "index.json"
        if command != "init" and not index.exists():
            return Completed(1, "", "Is there a repository at the following location?")
        rows = json.loads(index.read_text()) if index.exists() else []
        text = ""
        if command == "init":
            folder.mkdir(parents=True)
        elif command == "backup":
            options = dict(zip(rest[1:-1:2], rest[2:-1:2], strict=True))
            row = {
                "id": uuid.uuid4().hex,
                "time": datetime.now(UTC).isoformat(),
                "hostname": options["--host"],
                "tags": options["--tag"].split(","),
                "paths": [rest[-1]],
            }
            shutil.copytree(rest[-1], folder / row["id"])
            rows.append(row)
            summary = {"snapshot_id": row["id"], "total_bytes_processed": 1, "data_added": 1}
            text = json.dumps(summary)
        elif command == "snapshots":
            text = json.dumps(rows)
        elif command == "forget":
            text = json.dumps([{"remove": None}])
        elif command == "dump":
            text = (folder / rest[0] / Path(rest[1]).name).read_text()
        elif command == "restore":
            row = next(row for row in rows if row["id"] == rest[0])
            shutil.copytree(folder / row["id"], Path(rest[2]) / row["paths"][0].lstrip("/"))
        index.write_text(json.dumps(rows))
        return Completed(0, text)


QUICK = FolderRestic(REPOSITORY)


def fill(client: httpx.Client, traces: int, spans: int = 5) -> list[str]:
    """Write traces, and one of everything else; return the ids of the traces."""
    names = [trace_id() for _ in range(traces)]
    for begin in range(0, traces, 100):
        send(client, *(span_of(name, step) for name in names[begin : begin + 100] for step in range(spans)))
    write(client, "scores", {"traceId": names[0], "name": "helpful", "value": 0.75, "comment": "as it was"})
    write(client, "v2/prompts", {"name": "greeting", "type": "text", "prompt": "Hello {{name}}"})
    write(client, "v2/datasets", {"name": "questions"})
    item = {"datasetName": "questions", "input": {"q": "why"}, "sourceTraceId": names[0]}
    write(client, "dataset-items", item)
    connection = {"provider": "athena", "adapter": "openai", "secretKey": "sk-test-athena"}
    client.put("/api/public/llm-connections", json=connection).raise_for_status()
    Upload().store(client)
    return names


def span_of(trace: str, step: int) -> dict[str, Any]:
    """Return one span with input and output."""
    attributes = {
        "langfuse.observation.input": f"question {step} of {trace}",
        "langfuse.observation.output": f"answer {step}",
        "user.id": "hermes",
    }
    return span(trace, f"step {step}", attributes=attributes)


def write(client: httpx.Client, path: str, body: dict[str, Any]) -> None:
    """Create something through the public API."""
    client.post(f"/api/public/{path}", json=body).raise_for_status()


def everything(client: httpx.Client) -> dict[str, Any]:
    """Return all that a project holds, as the API gives it, for comparison."""
    observations = read(client, fields="core,basic,time,io,metadata,model,usage,trace_context", limit="1000")
    found: dict[str, Any] = {"observations": observations}
    found["scores"] = _pages(client, "v3/scores", fields="core,details,subject", limit="100")
    for path in ("v2/prompts", "dataset-items", "llm-connections"):
        found[path] = _pages(client, path, limit="100")
    return found


def _pages(client: httpx.Client, path: str, **query: str) -> list[dict[str, Any]]:
    """Return the rows of all pages, whether the next one is found by a cursor or by its number."""
    rows: list[dict[str, Any]] = []
    page: dict[str, str] = {}
    while True:
        answer = client.get(f"/api/public/{path}", params=query | page).raise_for_status().json()
        rows += answer["data"]
        meta = answer["meta"]
        if cursor := meta.get("cursor"):
            page = {"cursor": cursor}
        elif meta.get("page", 1) < meta.get("totalPages", 1):
            page = {"page": str(meta["page"] + 1)}
        else:
            return rows
