"""From an export to rows and blocks: everything that needs no access to `events.db`."""

from __future__ import annotations

from typing import Any, NamedTuple

from langfuse_embedded.otlp.batch import DecodeError
from langfuse_embedded.otlp.decode import decode_json, decode_protobuf, gunzip
from langfuse_embedded.otlp.event import Event
from langfuse_embedded.otlp.mapping import map_batch
from langfuse_embedded.store.bodies import BlockWriter
from langfuse_embedded.store.observation_rows import Row, body_of, unplaced_row_of

from .errors import Refused
from .lookups import StateLookups
from .protocol import Payload

_BLOCKS = BlockWriter()


class PreparedTrace(NamedTuple):
    """What arrived of one trace: its rows, still without a place, and the block of their long texts."""

    rows: list[Row]
    block: bytes


def events_of(head: dict[str, Any], body: Payload, now_ms: int) -> list[Event]:
    """Return the events of a trace export.

    The head has `gzip` and `json` (how the body is encoded), `limit` (bytes after decompression) and
    `refusal`, the answer to any export that is not empty (or null).

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
    return map_batch(decoded, now_ms=now_ms)


def prepare(
    project_id: str, events: list[Event], lookups: StateLookups, created_at: int
) -> list[PreparedTrace]:
    """Return the events by trace, priced and ready to be stored."""
    lookups.refresh()
    traces: dict[str, list[Event]] = {}
    for event in events:
        traces.setdefault(event.trace_id, []).append(event)
    return [
        PreparedTrace(
            [
                unplaced_row_of(
                    event,
                    lookups.price(project_id, event),
                    lookups.prompt_id(project_id, event) if event.prompt_name else "",
                    created_at,
                )
                for event in members
            ],
            _BLOCKS.pack([body_of(event) for event in members]),
        )
        for members in traces.values()
    ]
