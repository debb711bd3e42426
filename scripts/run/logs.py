"""`logs`: show the log of the engine."""

from __future__ import annotations

from scripts.engines.context import Context


def logs(context: Context, *, service: str, lines: int, follow: bool) -> int:
    """The command."""
    engine = context.current_engine(context.lenient_settings())
    return engine.follow_logs(lines=lines, follow=follow, service=service)
