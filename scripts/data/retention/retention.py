"""`retention`: show, or delete, the traces that are older than `config/retention.yaml` lets them be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from scripts.api.client import Api
from scripts.core.errors import EXIT_OK
from scripts.core.heartbeats import record_success
from scripts.core.layout import only_one_command
from scripts.data.transfer.remote import remote_of
from scripts.engines.context import Context
from scripts.engines.external_stores import within_reach

from .deletion import BATCH, Subject, delete, observations, projects_of, unfinished, whole_traces
from .rules import Retention, load_retention


def retention(context: Context, *, apply: bool, now: datetime | None = None) -> int:
    """The command. Without `apply` it only shows what would go."""
    settings = context.settings()
    rules = load_retention(*context.layout.edited("retention.yaml"))
    engine = context.current_engine(settings).name
    with only_one_command(context.layout), within_reach(context, settings, engine if apply else ""):
        subjects = {}
        for project in projects_of(context):
            with remote_of(context, project) as remote:
                subjects[project] = expired(remote, project, rules, now or datetime.now(UTC))
        show(context, subjects, apply=apply)
        if not apply:
            return EXIT_OK
        doomed = {project: subject for project, subject in subjects.items() if subject.traces}
        if doomed or unfinished(context).path.exists():
            counts, _ = delete(context, settings, doomed)
            context.console.rows([(name.replace("_", " "), f"{count:,}") for name, count in counts.items()])
        record_success(context.layout, "retention")
    return EXIT_OK


def expired(remote: Api, project: str, rules: Retention, now: datetime) -> Subject:
    """Return the traces of a project whose time is over."""
    shortest = rules.shortest(project)
    if shortest is None:
        return Subject()
    old = {row["traceId"]: None for row in observations(remote, [], toStartTime=_iso(now, shortest))}
    found = Subject()
    ids = list(old)
    for begin in range(0, len(ids), BATCH):
        whole = whole_traces(remote, ids[begin : begin + BATCH])
        over = []
        for trace in whole.traces.values():
            days = rules.days(project, trace)
            if days is not None and trace.last < _iso(now, days):
                over.append(trace.id)
        kept = whole_traces(remote, over) if len(over) < len(whole.traces) else whole
        found.traces.update(kept.traces)
        found.observations += kept.observations
        found.sessions |= kept.sessions
    return found


def show(context: Context, subjects: Mapping[str, Subject], *, apply: bool) -> None:
    """Say what goes."""
    for project, subject in subjects.items():
        context.console.print(
            f"{project}: {len(subject.traces):,} traces with {len(subject.observations):,} observations"
        )
    if not apply:
        context.console.note("Nothing was deleted: make retention APPLY=1 does it.")


def _iso(now: datetime, days: int) -> str:
    moment = (now - timedelta(days=days)).astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
