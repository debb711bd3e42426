"""A stack by the official compose file is looked at, taken over, compared by content, and given back."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from scripts.core.console import Console
from scripts.core.errors import EXIT_WARNINGS
from scripts.data.adopt import command
from tests.embedded.test_import_between import rows
from tests.embedded.test_media import Upload, outside
from tests.scenarios.conftest import MakeStack
from tests.scenarios.stack import Stack, export, new_id, other_checkout, wait_readable
from tests.unit.scripts.fakes import Screen

from .official import Official

TRACES, SPANS = 100, 200
OLD_KEY = {"LANGFUSE_PUBLIC_KEY": "pk-lf-old", "LANGFUSE_SECRET_KEY": "sk-lf-old"}


MOST_RUNS = 60
# Of the stack that takes over: a process reads them where a user writes them, and does not believe its shell.
OF_THE_STACK = (
    *("BACKUP_REPOSITORY", "COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "ENGINE", "STACK_SIZE"),
    *("LANGFUSE_PORT", "S3_PORT", "GRAFANA_PORT"),
)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Official]:
    stack = Official.at(tmp_path_factory.mktemp("adopt") / f"rehearsal-{secrets.token_hex(4)}")
    try:
        stack.start()
        fill(stack)
        yield stack
    finally:
        stack.run("down", "--volumes", "--timeout", "5")


def fill(stack: Official) -> None:
    """Write observations, a score, a prompt, a medium and a connection."""
    with stack.client() as client:
        sent = {new_id(16): [new_id(8) for _ in range(SPANS)] for _ in range(TRACES)}
        for trace, spans in sent.items():
            assert export(client, trace, spans).status_code == 200
        first = next(iter(sent))
        score = {"id": "the-score", "traceId": first, "name": "helpful", "value": 0.75}
        client.post("/api/public/scores", json=score).raise_for_status()
        prompt = {"name": "greeting", "type": "text", "prompt": "Hello {{name}}", "labels": ["production"]}
        client.post("/api/public/v2/prompts", json=prompt).raise_for_status()
        connection = {"provider": "athena", "adapter": "openai", "secretKey": "sk-test-athena"}
        client.put("/api/public/llm-connections", json=connection).raise_for_status()
        Upload(b"a picture").store(client)
        for trace, spans in sent.items():
            assert wait_readable(client, trace, set(spans)) == set()


def everything(client: Any) -> dict[str, Any]:
    """Return what the API shows of the project."""
    media = Upload(b"a picture")
    announced = media.announce(client).raise_for_status().json()
    shown = client.get(f"/api/public/media/{announced['mediaId']}").raise_for_status().json()
    return {
        "observations": sorted((one["id"], one["traceId"]) for one in rows(client, "v2/observations")),
        "scores": [(one["id"], one["value"]) for one in rows(client, "v3/scores")],
        "prompt": client.get("/api/public/v2/prompts/greeting").json()["prompt"],
        "connections": [one["provider"] for one in rows(client, "llm-connections")],
        "uploaded": announced["uploadUrl"],
        "medium": outside("GET", shown["url"]).content,
    }


def adopt(stack: Stack, old: Official, **options: bool) -> int:
    given = {"check": False, "yes": True, "undo": False, **options}
    return command.adopt(stack.context, source=old.directory, **given)


def states(engine: docker.DockerClient, old: Official) -> dict[str, tuple[str, str]]:
    """Return state and restart policy of each container of the old stack."""
    label = {"label": f"com.docker.compose.project={old.directory.name}"}
    return {
        one.labels["com.docker.compose.service"]: (
            one.status,
            one.attrs["HostConfig"]["RestartPolicy"]["Name"],
        )
        for one in engine.containers.list(all=True, filters=label)
    }


def test_it_is_looked_at_taken_over_and_given_back(
    old: Official, make_stack: MakeStack, engine: docker.DockerClient
) -> None:
    stack = make_stack()
    before = states(engine, old)
    with old.client() as client:
        wanted = everything(client)
    assert len(wanted["observations"]) == TRACES * SPANS
    screen = Screen()
    heard = replace(stack, context=replace(stack.context, console=Console({}, screen.out, screen.err)))
    assert adopt(heard, old, check=True) == EXIT_WARNINGS
    said = " ".join(screen.out.getvalue().split())
    assert "Langfuse 4.59.0" in said
    assert f"{TRACES * SPANS:,} observations" in said
    assert "Acme (Kosmos.One)" in said
    assert "langfuse/events/" in said
    assert states(engine, old) == before

    assert adopt(stack, old) == 0
    assert {state for state, _ in states(engine, old).values()} == {"exited"}
    assert {policy for _, policy in states(engine, old).values()} == {"no"}
    with stack.client(OLD_KEY) as client:
        assert everything(client) == wanted
    moved = stack.engine().compose.execute(
        "clickhouse",
        ["clickhouse-client"],
        stdin="SELECT DISTINCT bucket_name, startsWith(bucket_path, 'Kosmos.One/score/')"
        " FROM blob_storage_file_log",
    )
    assert moved.split() == ["langfuse-events", "1"]
    proposed = Path(stack.context.layout.stack_dir / "adopted-stack.yaml").read_text()
    assert "id: Kosmos.One" in proposed
    assert "owner@acme.example" in proposed

    assert adopt(stack, old, undo=True) == 0
    assert states(engine, old) == before
    old.start()
    with old.client() as client:
        assert everything(client) == wanted


def adopt_until(stack: Stack, old: Official, passed: set[str]) -> str:
    """Run the command in a process, and kill it with its children at a step that is not in `passed`.

    Returns the line that announced that step, or nothing when the command came to its end.
    """
    argv = [sys.executable, "-m", "scripts", "adopt", str(old.directory), "--yes"]
    process = subprocess.Popen(
        argv,
        cwd=stack.context.layout.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    said = []
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            step = line.strip()
            if step.endswith(" ...") and step not in passed:
                os.killpg(process.pid, signal.SIGKILL)
                return step
    assert process.returncode == 0, "".join(said)
    return ""


def test_it_is_killed_at_each_step_and_repeated(
    old: Official, make_stack: MakeStack, engine: docker.DockerClient, tmp_path: Path
) -> None:
    """Each run gets one step further than those before; each begins by starting the old stack again."""
    stack = other_checkout(make_stack(), tmp_path / "checkout")
    given = stack.context.environment
    stack.context.layout.env_file.write_text("".join(f"{name}={given[name]}\n" for name in OF_THE_STACK))
    with old.client() as client:
        wanted = everything(client)
    before = states(engine, old)
    passed: set[str] = set()
    try:
        for _ in range(MOST_RUNS):
            step = adopt_until(stack, old, passed)
            if not step:
                break
            passed.add(step)
        else:
            pytest.fail(f"still killed after {MOST_RUNS} runs, at: {sorted(passed)}")
        assert {f"{one} ..." for one in (
            "Stopping the old web",
            "Copying the old stores",
            "Storing the copy",
            "Stopping the old stack for good",
            "Starting the old stack again",
            "Comparing the rows of both",
        )} <= passed  # fmt: skip
        assert {state for state, _ in states(engine, old).values()} == {"exited"}
        with stack.client(OLD_KEY) as client:
            assert everything(client) == wanted
        assert adopt(stack, old, undo=True) == 0
        assert states(engine, old) == before
    finally:
        stack.destroy()
        assert stack.leftovers() == {}
