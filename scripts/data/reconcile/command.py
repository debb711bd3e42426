"""`reconcile`: say what was acknowledged and cannot be read; without `check`, bring it back."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from scripts.core.errors import EXIT_DRIFT, EXIT_FAILED, EXIT_OK, UsageError
from scripts.core.heartbeats import record_success
from scripts.core.layout import only_one_command
from scripts.data.transfer.remote import remote_of
from scripts.engines.base import EngineName
from scripts.engines.context import Context
from scripts.engines.external_stores import within_reach, within_reach_to_look

from . import embedded
from .findings import Findings
from .replay import look_at_compose, reconciler_of

GRACE = timedelta(minutes=1)
"""What is younger may still be on its way."""
_REFUSED_SHOWN = 10
_AGO = re.compile(r"(\d+)([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def reconcile(context: Context, *, since: str, until: str, rate: float, check: bool, show: str = "") -> int:
    """The command. Exit code 3 with `check` when something is missing; nothing is replayed twice."""
    if show:
        return show_span(context, show, since)
    settings = context.settings()
    now = datetime.now(UTC)
    begin, end = moment(since, now), moment(until, now) if until else now - GRACE
    engine = context.current_engine(settings).name
    with only_one_command(context.layout), within_reach(context, settings, engine):
        if engine is EngineName.EMBEDDED:
            found = look_at_embedded(context, begin, end)
        else:
            found = look_at_compose(context, settings, begin, end, rate=rate, check=check)
    context.console.rows([(one.project, one.text()) for one in found] or [("Projects", "none has batches")])
    for one in found:
        for key, spans in list(one.refused.items())[:_REFUSED_SHOWN]:
            ids = ", ".join(f"{span.trace}/{span.span}" for span in spans[:5])
            context.console.warn(f"{one.project}: not stored in spite of its replay: {ids} of {key}")
    if any(one.left for one in found):
        return EXIT_DRIFT if check else EXIT_FAILED
    record_success(context.layout, "reconcile")
    return EXIT_OK


def show_span(context: Context, wanted: str, since: str) -> int:
    """Print the spans with this id, or of the trace with this id, as the events bucket has them.

    Raises:
        UsageError: no batch since then has it; or the engine has no events bucket.
    """
    settings = context.settings()
    if context.current_engine(settings).name is EngineName.EMBEDDED:
        raise UsageError("The embedded engine has no events bucket.", fix="make smoke.")
    now = datetime.now(UTC)
    with within_reach_to_look(context, settings, EngineName.COMPOSE):
        found = reconciler_of(context, settings).show(wanted.lower(), moment(since, now), now)
    if not found:
        raise UsageError(f"No batch since {since} has {wanted}.", fix="SINCE=7d looks further back.")
    context.console.print(json.dumps(found, indent=2, ensure_ascii=False))
    return EXIT_OK


def moment(text: str, now: datetime) -> datetime:
    """Return what `90m`, `24h`, `7d` or an ISO 8601 time means. Raises UsageError."""
    ago = _AGO.fullmatch(text)
    if ago:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text} is not a time.", fix="such as 24h, 7d, or 2026-01-31T12:00:00Z.") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def look_at_embedded(context: Context, begin: datetime, end: datetime) -> Sequence[Findings]:
    """Return what was found in all projects that this stack has a key for."""
    found = []
    for path in sorted(context.layout.credentials_dir.glob("*.env")):
        with remote_of(context, path.stem) as remote, context.console.working(f"Comparing {path.stem}"):
            found.append(embedded.find(remote, path.stem, begin, end))
    return found
