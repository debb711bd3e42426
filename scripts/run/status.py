"""`status`: show which engine runs, how it and each of its parts is, and where its data is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from scripts.api.client import Api
from scripts.api.keys import project_keys
from scripts.core.errors import EXIT_FAILED, EXIT_OK, StackError
from scripts.core.layout import Layout
from scripts.core.version import stack_version
from scripts.data.upgrade.journal import journal_of
from scripts.engines.base import MIB, Engine, EngineName, EngineState, Part
from scripts.engines.context import Context

_TIMEOUT_S = 5.0
HEADS = ("Service", "State", "Up for", "Restarts", "Memory MiB", "Reached at")


def status(context: Context, *, as_json: bool) -> int:
    """The command. Exit code 0: runs and is healthy; 1: otherwise."""
    settings = context.lenient_settings()
    engine = context.current_engine(settings)
    state = engine.state()
    memory = engine.memory() if state.running else {}
    stack = stack_version(context.layout.root)
    if as_json:
        document = {"stack": stack, **as_document(engine, state, memory)}
        context.console.print(json.dumps(document, indent=2))
    else:
        rows = status_rows(engine, state, settings["NEXTAUTH_URL"])
        judging = (
            judge_rows(state, context.layout) if engine.name == EngineName.EMBEDDED and state.healthy else []
        )
        context.console.rows([("Stack", stack), *rows, *judging, *upgrade_rows(context.layout)])
        if state.parts:
            context.console.print()
            now = datetime.now(UTC)
            context.console.table(HEADS, [part_row(part, memory.get(part.name), now) for part in state.parts])
    return EXIT_OK if state.healthy else EXIT_FAILED


def as_document(engine: Engine, state: EngineState, memory: Mapping[str, int]) -> dict[str, object]:
    """Return the state for programs; times in ISO 8601, memory in bytes."""
    parts = [
        {
            **asdict(part),
            "started": part.started.isoformat() if part.started else None,
            "memory_bytes": memory.get(part.name),
        }
        for part in state.parts
    ]
    return {"engine": engine.name, **asdict(state), "parts": parts}


def part_row(part: Part, memory_bytes: int | None, now: datetime) -> Sequence[str]:
    """Return the line of a part in the table."""
    up = part.state == "running" and part.started
    return (
        part.name,
        (part.health or part.state) if part.state == "running" else part.state,
        duration((now - part.started).total_seconds()) if up and part.started else "",
        str(part.restarts) if part.restarts else "",
        memory_words(memory_bytes, part.memory_limit_bytes),
        " ".join(port.partition("->")[0] for port in part.ports),
    )


def memory_words(used: int | None, limit: int) -> str:
    """Return memory and its limit, where there is one, in MiB: `312/2048`."""
    if used is None:
        return ""
    return f"{used // MIB}/{limit // MIB}" if limit else str(used // MIB)


def status_rows(engine: Engine, state: EngineState, public_url: str) -> list[tuple[str, str]]:
    """Return the lines of the human output; `public_url` is where people and applications find it."""
    rows = [("Engine", f"{engine.name}{f', API {state.version}' if state.version else ''}")]
    if not state.running:
        rows.append(("Health", "stopped (start it: make up)"))
    elif state.healthy:
        rows.append(("Health", "healthy"))
    else:
        rows.append(("Health", f"not healthy: {state.detail} (see make logs)"))
    if state.url:
        rows += url_rows(state.url, engine.local_url, public_url)
    if state.uptime_s is not None:
        rows.append(("Uptime", duration(state.uptime_s)))
    rows.append(("Data", data_words(state.data)))
    return rows


def url_rows(running: str, set_here: str, public: str) -> list[tuple[str, str]]:
    """Return the address as `make up` names it, and the one on this machine where that is another.

    An engine that runs on another port than the settings say is named as it runs.
    """
    if running != set_here:
        return [("URL", running)]
    parts = urlsplit(public)
    if parts.hostname == "localhost" and parts.port == urlsplit(running).port:
        return [("URL", public)]
    return [("URL", public), ("Here", running)]


def judge_rows(state: EngineState, layout: Layout) -> list[tuple[str, str]]:
    """Return a line about the judges of each project; none where there is nothing to say."""
    rows = []
    for one in project_keys(layout.credentials_dir):
        try:
            with Api(state.url, one.keys, timeout_s=_TIMEOUT_S) as api:
                found = api.get("/api/embedded/judge")
        except StackError:
            continue  # keys of another stack, or an engine of before
        if found.get("known") or found.get("paused"):
            rows.append(("Judges", f"{one.project}: {judge_words(found)}"))
    return rows


def judge_words(found: Mapping[str, Any]) -> str:
    """Return in words what the judges of a project have done and have to do."""
    words = [
        f"{found['judgedToday']} judged today for {found['costTodayUsd']:.4f} USD",
        f"{found['waiting']} waiting",
        f"{found['delayed']} to be tried again",
        f"{found['failedToday']} failed",
        *(f"{one['name']} is paused: {one['reason']}" for one in found["paused"]),
    ]
    return ", ".join(words)


def upgrade_rows(layout: Layout) -> list[tuple[str, str]]:
    """Return the line about an upgrade that was interrupted; none otherwise."""
    try:
        entry = journal_of(layout).read()
    except StackError as error:
        return [("Upgrade", error.message)]
    if entry is None or not entry.open:
        return []
    if entry.going_back:
        return [("Upgrade", f"the way back to {entry.old} was interrupted (go on: make rollback)")]
    ways = "go on: make upgrade; undo it: make rollback"
    return [("Upgrade", f"to {entry.new}, interrupted at: {entry.step} ({ways})")]


def data_words(data: Sequence[str]) -> str:
    """Return where the data is; the names of volumes without repeating what they are."""
    volumes = [name.removeprefix("volume ") for name in data if name.startswith("volume ")]
    if volumes and len(volumes) == len(data):
        return f"volumes {', '.join(volumes)}"
    return ", ".join(data) or "none yet"


def duration(seconds: float) -> str:
    """Return a time span in its two largest units: `2 d 3 h`, `5 min 10 s`."""
    rest = int(seconds)
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
