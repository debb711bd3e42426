"""What the drills share: commands as functions, data with something of everything, its content as a hash."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from scripts.data.backup import backup, restore
from scripts.data.backup.repository import open_repository
from scripts.settings.envfile import read_env
from tests.embedded.backups import everything, fill
from tests.scenarios.stack import Stack, readable
from tests.waiting import wait_for

PROJECTS = ("kosmos", "zeus")
READABLE_WITHIN_S = 120.0


def with_repository(stack: Stack, folder: Path) -> Stack:
    """Return the stack with its backups in a folder."""
    environment = {**stack.context.environment, "BACKUP_REPOSITORY": str(folder)}
    return replace(stack, context=replace(stack.context, environment=environment))


def seen_with(stack: Stack, **environment: str) -> Stack:
    """Return the stack as it is seen with other variables."""
    return replace(
        stack,
        context=replace(stack.context, environment={**stack.context.environment, **environment}),
    )


def back_up(stack: Stack) -> str:
    """Make a backup; return its id."""
    assert backup.backup(stack.context, dry_run=False) == 0
    return open_repository(stack.context, stack.context.settings()).snapshots()[-1].id


def bring_back(stack: Stack, *, replace_data: bool = False, smoke: bool = False, only: str = "") -> int:
    """Restore the latest backup."""
    return restore.restore(
        stack.context,
        backup="latest",
        dry_run=False,
        replace_data=replace_data,
        with_smoke=smoke,
        only=[store for store in only.split(",") if store],
    )


def password(stack: Stack) -> str:
    """Return what opens the backups of a stack."""
    return read_env(stack.context.layout.env_file).values()["BACKUP_PASSWORD"]


def lose_host(stack: Stack) -> None:
    """Remove everything but the backups: containers, volumes, settings, credentials."""
    stack.destroy()
    shutil.rmtree(stack.context.layout.stack_dir, ignore_errors=True)
    stack.context.layout.env_file.unlink()
    assert stack.leftovers() == {}


def seed(stack: Stack, observations: int) -> None:
    """Write observations, and something of everything else, to two projects."""
    spans = 5
    with client(stack, "kosmos") as kosmos, client(stack, "zeus") as zeus:
        names = fill(kosmos, traces=observations // spans, spans=spans)
        fill(zeus, traces=2, spans=spans)
        for trace in (names[0], names[len(names) // 2], names[-1]):
            wait_for_trace(kosmos, trace, spans)
        wait_for_everything(kosmos, observations)
        wait_for_everything(zeus, 2 * spans)


def client(stack: Stack, project: str) -> httpx.Client:
    """Return a client that may take its time; the caller closes it."""
    found = stack.client(stack.keys(project))
    found.timeout = httpx.Timeout(60)
    return found


def wait_for_trace(api: httpx.Client, trace: str, spans: int) -> None:
    """Return when a trace can be read as a whole."""
    wait_for(lambda: len(readable(api, trace)) == spans, f"trace {trace}", READABLE_WITHIN_S)


def wait_for_everything(api: httpx.Client, observations: int) -> None:
    """Return when that many observations can be read, and a score."""

    def is_there() -> bool:
        found = everything(api)
        return len(found["observations"]) >= observations and bool(found["scores"])

    wait_for(is_there, f"{observations} observations and a score", READABLE_WITHIN_S, every_s=0.5)


def content_hash(stack: Stack, without: str = "") -> dict[str, str]:
    """Return the SHA-256 of what can be read of each kind in each project, except one trace."""
    return {
        f"{project} {kind}": digest
        for project in PROJECTS
        for kind, digest in _hashes(stack, project, without).items()
    }


def _hashes(stack: Stack, project: str, without: str) -> dict[str, str]:
    with client(stack, project) as api:
        found = everything(api)
    found["observations"] = [row for row in found["observations"] if row["traceId"] != without]
    return {
        kind: hashlib.sha256(json.dumps(comparable(rows), sort_keys=True).encode()).hexdigest()
        for kind, rows in found.items()
    }


def comparable(value: Any) -> Any:
    """Return an answer without moments of writing, and with rows by their content.

    The stand-in of web shows what is in ClickHouse as if it had just come in, in the order of its reading.
    """
    if isinstance(value, dict):
        kept = {key: one for key, one in value.items() if key not in ("createdAt", "updatedAt", "meta")}
        return {key: comparable(one) for key, one in kept.items()}
    if isinstance(value, list):
        return sorted((comparable(one) for one in value), key=lambda one: json.dumps(one, sort_keys=True))
    return value


@contextmanager
def unchanged(stack: Stack) -> Iterator[None]:
    """Assert that the body changes nothing that can be read."""
    before = content_hash(stack)
    yield
    assert content_hash(stack) == before
