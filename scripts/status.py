"""`status`: show which engine runs, how it is, and where its data lies."""

from __future__ import annotations

import json
from dataclasses import asdict

from .core.context import Context
from .core.engines.base import Engine, EngineState
from .core.errors import EXIT_FAILED, EXIT_OK


def run(context: Context, *, as_json: bool) -> int:
    """The verb. Exit code 0: runs and is healthy; 1: otherwise."""
    engine = context.current_engine(context.lenient_settings())
    state = engine.state()
    if as_json:
        context.console.print(json.dumps({"engine": engine.name, **asdict(state)}, indent=2))
    else:
        context.console.rows(status_rows(engine, state))
    return EXIT_OK if state.healthy else EXIT_FAILED


def status_rows(engine: Engine, state: EngineState) -> list[tuple[str, str]]:
    """Return the lines of the human output."""
    rows = [("Engine", f"{engine.name}{f', API {state.version}' if state.version else ''}")]
    if not state.running:
        rows.append(("Health", "stopped (start it: make up)"))
    elif state.healthy:
        rows.append(("Health", "healthy"))
    else:
        rows.append(("Health", f"not healthy: {state.detail} (see make logs)"))
    if state.url:
        rows.append(("URL", state.url))
    if state.uptime_s is not None:
        rows.append(("Uptime", duration(state.uptime_s)))
    rows.append(("Data", ", ".join(state.data) or "none yet"))
    rows += [
        ("Part", f"{part.name}: {part.state}{f', {part.health}' if part.health else ''}")
        for part in state.parts
    ]
    return rows


def duration(seconds: float) -> str:
    """Return a time span in its two largest units: `2 d 3 h`, `5 min 10 s`."""
    rest = int(seconds)
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
