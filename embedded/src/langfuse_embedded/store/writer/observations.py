"""Writer commands for observations: store what was prepared, delete traces."""

from __future__ import annotations

import marshal
import sqlite3
from typing import Any

from langfuse_embedded.otlp.event import Event
from langfuse_embedded.pricing.cpu_budget import BudgetSpent
from langfuse_embedded.store.hexid import pack, unpack
from langfuse_embedded.store.observation_insert import insert_rows

from .context import OBSERVATION, WriteContext
from .errors import TooCostly
from .preparation import PreparedTrace, prepare
from .protocol import Payload
from .scores import delete_scores_of_trace

# To price events in this process itself: below what makes the server believe that it hangs.
_PRICING_SECONDS = 5.0
_INSERT_BLOCK = "insert into blocks (id, body) values (?, ?)"


def ingest_otlp(context: WriteContext, head: dict[str, Any], body: Payload) -> int:
    """Store a trace export that the preparing process has turned into rows; return the number of spans."""
    # The other end of the pipe is a fork of this process: nobody else can write into it.
    traces = [PreparedTrace(*one) for one in marshal.loads(body)]  # noqa: S302
    store_traces(context, head["project"], traces, context.sender_key(head.get("sender")))
    return sum(len(trace.rows) for trace in traces)


def store_events(
    context: WriteContext, project_id: str, events: list[Event], sender: int | None = None
) -> None:
    """Write events of a project. An observation that is there already is replaced."""
    latest = {(event.trace_id, event.span_id): event for event in events}
    try:
        traces = prepare(project_id, list(latest.values()), context.lookups, context.now, _PRICING_SECONDS)
    except BudgetSpent:
        raise TooCostly(
            "Matching the models of this project takes too long: delete those that are not needed"
        ) from None
    store_traces(context, project_id, traces, sender)


def store_traces(
    context: WriteContext, project_id: str, traces: list[PreparedTrace], sender: int | None
) -> None:
    """Write prepared rows of a project. An observation that is there already is replaced."""
    if not traces:
        return
    project = context.project_key(project_id)
    context.db.execute("savepoint traces")
    try:
        _insert(context, project, traces, sender)
    except sqlite3.IntegrityError:
        # Rare, so nobody looks before: a span was sent again, or twice in one export. The last one counts.
        context.db.execute("rollback to traces")
        for trace in traces:
            for row in trace.rows:
                remove_observations(context, project, [(unpack(row[0]), unpack(row[1]))])
            _insert_last(context, project, trace, sender)
    context.db.execute("release traces")


def _insert(context: WriteContext, project: int, traces: list[PreparedTrace], sender: int | None) -> None:
    seq = context.take(sum(len(trace.rows) for trace in traces))
    rows, blocks = [], []
    for trace in traces:
        block = seq
        blocks.append((block, trace.block))
        for position, row in enumerate(trace.rows):
            rows.append((*row, seq, project, block, position, sender))
            seq += 1
    insert_rows(context.db, rows)
    context.db.executemany(_INSERT_BLOCK, blocks)


def _insert_last(context: WriteContext, project: int, trace: PreparedTrace, sender: int | None) -> None:
    """Insert the rows of one trace; of rows with the same id the last one."""
    block = context.take(len(trace.rows))
    latest = {row[1]: (*row, block + at, project, block, at, sender) for at, row in enumerate(trace.rows)}
    insert_rows(context.db, latest.values())
    context.db.execute(_INSERT_BLOCK, (block, trace.block))


def remove_observations(context: WriteContext, project: int, ids: list[tuple[str, str]]) -> None:
    """Delete observations by trace and span id, and the blocks that nothing else needs."""
    for trace_id, span_id in ids:
        key = (project, pack(trace_id), pack(span_id))
        gone = context.db.execute(
            "delete from observations where project = ? and trace_id = ? and span_id = ?"
            " returning seq, block",
            key,
        ).fetchall()
        for seq, block in gone:
            context.forget(OBSERVATION, [seq])
            context.db.execute(
                "delete from blocks where id = ?1 and not exists"
                " (select 1 from observations where project = ?2 and trace_id = ?3 and block = ?1)",
                (block, *key[:2]),
            )


def delete_traces(context: WriteContext, head: dict[str, Any], _body: Payload) -> int:
    """Delete all observations and scores of the traces `ids` of `project`; return how many observations."""
    project = context.project_key(head["project"])
    count = 0
    for trace_id in head["ids"]:
        gone = context.db.execute(
            "delete from observations where project = ? and trace_id = ? returning seq, block",
            (project, pack(trace_id)),
        ).fetchall()
        blocks = {block for _, block in gone}
        context.db.executemany("delete from blocks where id = ?", [(block,) for block in blocks])
        context.forget(OBSERVATION, [seq for seq, _ in gone])
        delete_scores_of_trace(context, project, trace_id)
        context.db.execute(
            "delete from legacy_bodies where project = ? and trace_id = ?", (project, trace_id)
        )
        count += len(gone)
    return count


COMMANDS = {"ingest_otlp": ingest_otlp, "delete_traces": delete_traces}
