"""Writer commands for observations: take an OTLP export, delete traces."""

from __future__ import annotations

import sqlite3
from typing import Any

from langfuse_embedded.otlp.batch import DecodeError
from langfuse_embedded.otlp.decode import decode_json, decode_protobuf, gunzip
from langfuse_embedded.otlp.event import Event
from langfuse_embedded.otlp.mapping import map_batch
from langfuse_embedded.store.bodies import BlockWriter
from langfuse_embedded.store.hexid import pack
from langfuse_embedded.store.observation_rows import INSERT, body_of, row_of

from .context import OBSERVATION, Refused, WriteContext
from .scores import delete_scores_of_trace

_BLOCKS = BlockWriter()
_INSERT_BLOCK = "insert into blocks (id, body) values (?, ?)"


def ingest_otlp(context: WriteContext, head: dict[str, Any], body: bytes) -> int:
    """Store a trace export; return the number of spans.

    The head has `project` (id), `gzip` and `json` (how the body is encoded), `limit` (bytes after
    decompression) and `refusal`, the answer to any export that is not empty (or null).

    Raises:
        Refused: the body cannot be read as the head says.
    """
    try:
        data = gunzip(body, head["limit"]) if head["gzip"] else body
        decoded = decode_json(data) if head["json"] else decode_protobuf(data)
    except DecodeError as error:
        raise Refused(str(error)) from error
    if head["refusal"] and decoded.resources:
        raise Refused(head["refusal"])
    events = map_batch(decoded, now_ms=context.now)
    store_events(context, head["project"], events)
    return len(events)


def store_events(context: WriteContext, project_id: str, events: list[Event]) -> None:
    """Write events of a project. An observation that is there already is replaced."""
    if not events:
        return
    project = context.project_key(project_id)
    context.db.execute("savepoint events")
    try:
        _insert(context, project, project_id, events)
    except sqlite3.IntegrityError:
        # Rare, so nobody looks before: a span was sent again, or twice in one export. The last one counts.
        context.db.execute("rollback to events")
        latest = {(event.trace_id, event.span_id): event for event in events}
        remove_observations(context, project, list(latest))
        _insert(context, project, project_id, list(latest.values()))
    context.db.execute("release events")


def _insert(context: WriteContext, project: int, project_id: str, events: list[Event]) -> None:
    lookups = context.lookups
    lookups.refresh()
    seq = context.take(len(events))
    traces: dict[str, list[Event]] = {}
    for event in events:
        traces.setdefault(event.trace_id, []).append(event)
    rows, blocks = [], []
    for members in traces.values():
        block = seq
        for position, event in enumerate(members):
            rows.append(
                row_of(
                    event,
                    lookups.price(project_id, event),
                    lookups.prompt_id(project_id, event) if event.prompt_name else "",
                    seq=seq,
                    project=project,
                    created_at=context.now,
                    block=block,
                    position=position,
                )
            )
            seq += 1
        blocks.append((block, _BLOCKS.pack([body_of(event) for event in members])))
    context.db.executemany(INSERT, rows)
    context.db.executemany(_INSERT_BLOCK, blocks)


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


def delete_traces(context: WriteContext, head: dict[str, Any], _body: bytes) -> int:
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
