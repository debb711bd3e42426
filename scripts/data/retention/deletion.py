"""Find traces through the public API, delete them in bounded batches, and see that they are gone."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime

from scripts.api.client import Api, Row
from scripts.core.journal import Journal
from scripts.core.waiting import Look, tail, wait_until
from scripts.data.transfer.remote import TransferError, remote_of
from scripts.engines.base import EngineName
from scripts.engines.context import Context
from scripts.engines.embedded import MODULE
from scripts.settings.values import Settings
from scripts.stores.opening import clickhouse_of, postgres_of

from .compose_purge import Doomed, Purge
from .rules import Trace

# The server runs an audit transaction per id and fails above a few hundred.
BATCH = 100
_GONE_TIMEOUT_S = 600.0
_QUERY: Mapping[str, str | int] = {"fields": "core,basic,trace_context", "limit": 1000}


@dataclass(slots=True)
class Subject:
    """What goes in one project."""

    traces: dict[str, Trace] = field(default_factory=dict)
    observations: list[str] = field(default_factory=list)
    sessions: set[str] = field(default_factory=set)

    def doomed(self, names: Sequence[str] = ()) -> Doomed:
        """Return the ids of it."""
        return Doomed(sorted(self.traces), sorted(self.observations), sorted(self.sessions), sorted(names))


def projects_of(context: Context) -> list[str]:
    """Return the projects that this stack has a key for."""
    return sorted(path.stem for path in context.layout.credentials_dir.glob("*.env"))


def observations(remote: Api, conditions: Sequence[Row], **query: str) -> Iterator[Row]:
    """Yield the observations that fit all conditions of the JSON filter."""
    wanted = {**_QUERY, **query}
    if conditions:
        wanted["filter"] = json.dumps(list(conditions))
    for page, _ in remote.by_cursor("v2/observations", wanted):
        yield from page


def whole_traces(remote: Api, ids: Sequence[str]) -> Subject:
    """Return traces as a whole, with the sessions that consist of them alone."""
    found = Subject()
    seen: set[str] = set()
    for begin in range(0, len(ids), BATCH):
        rows: dict[str, list[Row]] = {}
        for row in observations(remote, [_any_of("traceId", ids[begin : begin + BATCH])]):
            rows.setdefault(row["traceId"], []).append(row)
        for trace_id, of_trace in rows.items():
            found.traces[trace_id] = trace_of(trace_id, of_trace)
            found.observations += [row["id"] for row in of_trace]
            seen.update(row["sessionId"] for row in of_trace if row["sessionId"])
    for session in seen:
        members = {row["traceId"] for row in observations(remote, [], sessionId=session)}
        if members <= found.traces.keys():
            found.sessions.add(session)
    return found


def trace_of(trace_id: str, rows: Sequence[Row]) -> Trace:
    """Return a trace from all its observations."""
    return Trace(
        id=trace_id,
        last=max(row["startTime"] for row in rows),
        environments=frozenset(row["environment"] for row in rows),
        names=frozenset(row["traceName"] for row in rows if row["traceName"]),
        levels=frozenset(row["level"] for row in rows),
        tags=frozenset(tag for row in rows for tag in row["tags"]),
        users=frozenset(row["userId"] for row in rows if row["userId"]),
    )


def delete(
    context: Context, settings: Settings, subjects: Mapping[str, Subject], names: Sequence[str] = ()
) -> tuple[Mapping[str, int], Mapping[str, Doomed]]:
    """Delete the traces, wait until they are gone, and remove what hangs on them.

    Returns counts by kind, and the ids of all that is gone. What is to be removed is written down first: once
    the traces are deleted no search finds them again, and a run that was interrupted then is made up for by
    the next one.

    Raises:
        StackError: something failed; a repeated call goes on.
    """
    counts = {
        "traces": sum(len(subject.traces) for subject in subjects.values()),
        "observations": sum(len(subject.observations) for subject in subjects.values()),
        "sessions": sum(len(subject.sessions) for subject in subjects.values()),
    }
    doomed = with_unfinished(context, {name: one.doomed(names) for name, one in subjects.items()})
    unfinished(context).save(doomed)
    for project, subject in subjects.items():
        with remote_of(context, project) as remote, context.console.working(f"Deleting in {project}"):
            ids = list(subject.traces)
            for begin in range(0, len(ids), BATCH):
                remote.delete("traces", {"traceIds": ids[begin : begin + BATCH]}, also=())
            wait_until_gone(remote, ids)
    removed = purge(context, settings, doomed)
    unfinished(context).forget()
    return {**counts, **removed}, doomed


def unfinished(context: Context) -> Journal[dict[str, Doomed]]:
    """Return the journal with the ids that a run is about to remove in each project, until it is over."""
    fix = "delete it, then see what is left: make erase ... APPLY=1 VERIFY=1."
    return Journal(context.layout.stack_dir / "erasures" / "unfinished.json", dict[str, Doomed], fix)


def with_unfinished(context: Context, subjects: Mapping[str, Doomed]) -> dict[str, Doomed]:
    """Return the ids of what goes, with those that an interrupted run has left."""
    doomed = dict(subjects)
    for project, left in (unfinished(context).read() or {}).items():
        now = doomed.get(project, Doomed([], [], []))
        doomed[project] = Doomed(
            *(sorted({*getattr(now, part.name), *getattr(left, part.name)}) for part in fields(Doomed))
        )
    return doomed


def wait_until_gone(remote: Api, ids: Sequence[str]) -> None:
    """Return when no observation of the traces can be read any more; a server may take minutes."""

    def look() -> Look:
        left = 0
        for begin in range(0, len(ids), BATCH):
            batch = [_any_of("traceId", ids[begin : begin + BATCH])]
            left += sum(1 for _ in observations(remote, batch))
        return Look(done=left == 0, state=f"{left} observations are still there")

    wait_until(
        look,
        what="The deleted traces are still readable",
        timeout_s=_GONE_TIMEOUT_S,
        last_lines=list,
        fix="look at the queue trace-delete, then repeat.",
        interval_s=1,
    )


def purge(context: Context, settings: Settings, doomed: Mapping[str, Doomed]) -> Mapping[str, int]:
    """Remove what refers to deleted traces, and their bytes, from the stores; the embedded engine stops.

    Raises:
        StackError: that failed.
    """
    engine = context.current_engine(settings)
    if engine.name is not EngineName.EMBEDDED:
        return purge_compose(context, settings, doomed)
    request = {
        project: {"traces": one.traces, "observations": one.observations, "sessions": one.sessions}
        for project, one in doomed.items()
    }
    argv = [sys.executable, "-m", MODULE, "purge", "--data-dir", str(context.layout.embedded_dir)]
    was_running = engine.stop()
    try:
        done = context.runner.run(argv, env=context.environment, stdin=json.dumps(request), timeout_s=3600)
    finally:
        if was_running:
            engine.start({})
    if done.returncode != 0:
        raise TransferError(
            "The traces are deleted, but their bytes are still in the files.",
            details=tail(done.stderr),
            fix="correct what the lines name, then repeat.",
        )
    counts: Mapping[str, int] = json.loads(done.stdout)
    return counts


def purge_compose(context: Context, settings: Settings, doomed: Mapping[str, Doomed]) -> Mapping[str, int]:
    """Do the same in the stores of a compose stack, which goes on running; external ones are within reach."""
    services = context.compose(settings)
    day = datetime.now(UTC).date().isoformat()
    with context.console.working("Removing payloads and what refers to the traces"):
        return Purge(settings, services, postgres_of(services), clickhouse_of(services), day).run(doomed)


def _any_of(column: str, values: Sequence[str]) -> Row:
    return {"column": column, "type": "stringOptions", "operator": "any of", "value": list(values)}
