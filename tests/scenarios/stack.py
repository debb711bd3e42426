"""A compose stack of its own for one scenario, driven through the same commands as `make`."""

from __future__ import annotations

import os
import resource
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import docker
import httpx

from scripts.core.console import Console
from scripts.core.layout import Layout
from scripts.core.runner import SubprocessRunner
from scripts.develop.selftest import environment_of_tests, free_port
from scripts.engines.base import Engine, EngineName, EngineState
from scripts.engines.context import Context
from scripts.provision.loading import load_stack
from scripts.run import destroy, down, smoke, up
from scripts.settings.envfile import read_env

ROOT = Path(__file__).resolve().parents[2]
FILES = ("compose.yaml", "rehearsal/compose.rehearsal.yaml")
FEW_FILES = "rehearsal/compose.few-files.yaml"
EXAMPLE = "examples/kosmos"
CLICKHOUSE_FILES = 262144
READABLE_WITHIN_S = 60.0


@dataclass(frozen=True)
class Stack:
    """One stack: its files lie in a directory of the test, its containers carry its name."""

    name: str
    context: Context

    def up(self) -> None:
        """Run the command. Raises StackError."""
        assert up.up(self.context) == 0

    def down(self) -> None:
        """Run the command. Raises StackError."""
        assert down.down(self.context) == 0

    def destroy(self) -> None:
        """Run the command. Raises StackError."""
        assert destroy.destroy(self.context, yes=True, dry_run=False) == 0

    def smoke(self, arguments: Sequence[str] = ()) -> int:
        """Run the smoke tests; return their exit code."""
        return smoke.smoke(self.context, arguments=["-q", *arguments])

    def engine(self) -> Engine:
        """Return the engine that the commands use."""
        return self.context.engine(EngineName.COMPOSE, self.context.lenient_settings())

    def state(self) -> EngineState:
        """Return what `status` shows."""
        return self.engine().state()

    def keys(self, project: str = "") -> Mapping[str, str]:
        """Return the credentials that `up` wrote for a project, or for the first one."""
        layout = self.context.layout
        project = project or load_stack(layout.stack_file, layout.shown(layout.stack_file)).projects[0].id
        return read_env(self.context.layout.credentials_dir / f"{project}.env").values()

    @property
    def url(self) -> str:
        """Where the API is, without TLS."""
        return f"http://127.0.0.1:{self.context.environment['LANGFUSE_PORT']}"

    def env(self) -> Mapping[str, str]:
        """Return what stands in `.env`."""
        return read_env(self.context.layout.env_file).values()

    def client(self, keys: Mapping[str, str] | None = None) -> httpx.Client:
        """Return a client of the public API; `keys` of another stack, to see them refused."""
        used = keys or self.keys()
        auth = (used["LANGFUSE_PUBLIC_KEY"], used["LANGFUSE_SECRET_KEY"])
        return httpx.Client(base_url=self.url, auth=auth, timeout=10)

    def leftovers(self) -> dict[str, list[str]]:
        """Return the names of what Docker holds of this stack, by kind; empty when nothing."""
        label: dict[str, str | list[str] | bool] = {"label": f"com.docker.compose.project={self.name}"}
        with closing(docker.from_env()) as engine:
            found = {
                "containers": [str(one.name) for one in engine.containers.list(all=True, filters=label)],
                "networks": [str(one.name) for one in engine.networks.list(filters=label)],
                "volumes": [str(one.name) for one in engine.volumes.list(filters=label)],
            }
        # Docker lists volumes in any order.
        return {kind: sorted(names) for kind, names in found.items() if names}

    def with_files(self, *files: Path) -> Stack:
        """Return this stack with further compose files, which break it."""
        listed = ":".join([self.context.environment["COMPOSE_FILE"], *map(str, files)])
        return replace(
            self,
            context=replace(self.context, environment={**self.context.environment, "COMPOSE_FILE": listed}),
        )


def new_stack(directory: Path) -> Stack:
    """Return a stack of the example company, not started, on free ports, with a name nothing else has."""
    # The run is known to `make rehearse`, which removes what an interruption leaves.
    name = f"{os.environ.get('REHEARSAL_RUN', 'rehearsal')}-{secrets.token_hex(4)}"
    console, runner = Console(), SubprocessRunner(ROOT)
    # The example company: two projects, and content.
    site = directory / "site"
    shutil.copytree(ROOT / EXAMPLE, site)
    # A scenario mounts its own secrets there, and Docker makes no directory in what is mounted read-only.
    (site / "alertmanager" / "secrets").mkdir(parents=True)
    layout = Layout(ROOT, directory / ".env", directory / "stack", site)
    bare = environment_of_tests(Context(layout, os.environ, console, runner))
    # Docker refuses a container that may open more files than its own host allows.
    few = resource.getrlimit(resource.RLIMIT_NOFILE)[1] < CLICKHOUSE_FILES
    environment = {
        **bare,
        "COMPOSE_FILE": ":".join([*FILES, *([FEW_FILES] if few else [])]),
        "COMPOSE_PROJECT_NAME": name,
        "ENGINE": EngineName.COMPOSE,
        "STACK_SIZE": "ci",
        "LANGFUSE_PORT": str(free_port()),
        "S3_PORT": str(free_port()),
        "GRAFANA_PORT": str(free_port()),
        # By default they would be in this checkout, where the next stack has another password.
        "BACKUP_REPOSITORY": str(directory / "backups"),
        # Nobody watches: no spinner, no colours.
        "CI": "true",
    }
    return Stack(name, Context(layout, environment, console, runner))


def other_checkout(stack: Stack, root: Path, name: str | None = None) -> Stack:
    """Return a stack of that name, or of `name`, in a copy of this repository at `root`, not started.

    It has what `config/` ships, not the example company.
    """
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(argv, cwd=ROOT, capture_output=True, check=True).stdout
    for path in filter(None, listed.decode().split("\0")):
        if (ROOT / path).is_file():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, root / path)
    layout = Layout(root, root / ".env", root / ".stack")
    name = name or stack.name
    environment = {
        **stack.context.environment,
        "COMPOSE_PROJECT_NAME": name,
        "BACKUP_REPOSITORY": str(root / ".backups"),
        **{port: str(free_port()) for port in ("LANGFUSE_PORT", "S3_PORT", "GRAFANA_PORT")},
    }
    context = replace(stack.context, layout=layout, environment=environment, runner=SubprocessRunner(root))
    return Stack(name, context)


def with_environment(stack: Stack, **values: str) -> Stack:
    """Return a stack with further settings, given as `make up NAME=value` gives them."""
    environment = {**stack.context.environment, **values}
    return replace(stack, context=replace(stack.context, environment=environment))


def new_id(size: int) -> str:
    """Return a random id of `size` bytes as hex, as OTLP/JSON wants it: 16 for a trace, 8 for a span."""
    return secrets.token_hex(size)


def export(
    client: httpx.Client,
    trace_id: str,
    span_ids: Sequence[str],
    attributes: Sequence[Mapping[str, Any]] = (),
) -> httpx.Response:
    """Send spans of one trace in one export. Raises httpx.HTTPError when there is no answer."""
    now = time.time_ns()
    spans: list[dict[str, Any]] = [
        {
            "traceId": trace_id,
            "spanId": span_id,
            "name": "rehearsed",
            "kind": 1,
            "startTimeUnixNano": str(now),
            "endTimeUnixNano": str(now + 1_000_000),
            "attributes": list(attributes),
        }
        for span_id in span_ids
    ]
    body = {
        "resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "rehearsal"}, "spans": spans}]}]
    }
    return client.post("/api/public/otel/v1/traces", json=body)


def readable(client: httpx.Client, trace_id: str) -> set[str]:
    """Return the ids of all observations of a trace that can be read now."""
    found: set[str] = set()
    cursor = ""
    while True:
        query = {"traceId": trace_id, "limit": "1000", **({"cursor": cursor} if cursor else {})}
        page = client.get("/api/public/v2/observations", params=query).raise_for_status().json()
        found |= {row["id"] for row in page["data"]}
        cursor = page["meta"].get("cursor") or ""
        if not cursor:
            return found


def wait_readable(
    client: httpx.Client, trace_id: str, span_ids: set[str], within_s: float = READABLE_WITHIN_S
) -> set[str]:
    """Return which of the spans cannot be read within that time; empty as soon as all can be."""
    deadline = time.monotonic() + within_s
    while missing := span_ids - readable(client, trace_id):
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    return missing
