"""From an export to rows and blocks: everything that needs no access to `events.db`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from langfuse_embedded.otlp.batch import Decoded, DecodeError, TooLarge
from langfuse_embedded.otlp.decode import decode_json, decode_message, decode_protobuf, gunzip, parse_protobuf
from langfuse_embedded.otlp.event import Event
from langfuse_embedded.otlp.from_json import json_parts
from langfuse_embedded.otlp.mapping import map_batch, map_spans, repeated_bytes
from langfuse_embedded.otlp.wire import WireError, parse_export
from langfuse_embedded.store.bodies import BlockWriter
from langfuse_embedded.store.observation_rows import Row, body_of, unplaced_row_of

from .errors import Refused, TooCostly
from .lookups import StateLookups
from .protocol import Payload

MAX_PARTS = 50_000
"""Spans, resources and scopes of one export. Exporters send some hundreds; a few bytes can name a million."""
_MAX_REPEATED_BYTES = 256 * 2**20

# What is small in all of these is prepared in some 20 ms; the rest goes into a process with limits.
_SMALL_BYTES = 512 * 2**10
_SMALL_SPANS = 2_000
_SMALL_PARTS = 10_000
_SMALL_REPEATED_BYTES = 64 * 2**20

_SLICE_SPANS = 200
_SLICE_BYTES = 2**20

_BLOCKS = BlockWriter()


class PreparedTrace(NamedTuple):
    """What arrived of one trace: its rows, still without a place, and the block of their long texts."""

    rows: list[Row]
    block: bytes


def events_if_small(head: dict[str, Any], body: Payload, now_ms: int) -> list[Event] | None:
    """Return the events of an export that is cheap to prepare; ``None`` when it may not be.

    The head is that of `events_of`.

    Raises:
        Refused: the body cannot be read as the head says.
    """
    if len(body) > _SMALL_BYTES:
        return None
    try:
        data = gunzip(body, min(_SMALL_BYTES, head["limit"])) if head["gzip"] else body
        if head["json"]:
            decoded = decode_json(data) if _is_small_json(data) else None
        else:
            # Parsed once, to be counted and to be decoded.
            export = parse_protobuf(data)
            decoded = decode_message(export) if _is_small_export(export, len(data)) else None
    except TooLarge:
        return None
    except DecodeError as error:
        raise Refused(str(error)) from error
    return None if decoded is None else map_batch(_accepted(head, decoded), now_ms=now_ms)


def _is_small_json(data: Payload) -> bool:
    # Values between commas are cheap, but not thousands of empty ones in the place of spans.
    return (
        data.count(b"{") + data.count(b"[") <= _SMALL_PARTS
        and data.count(b",") <= 5 * _SMALL_PARTS
        and _are_few(data.count(b"spanId"), len(data))
    )


def _are_few(spans: int, size: int) -> bool:
    return spans <= _SMALL_SPANS and spans * size <= _SMALL_REPEATED_BYTES


def _is_small_export(export: Any, size: int) -> bool:
    """Tell whether a protobuf export of so many bytes has few spans, and few parts of any kind."""
    resources = export.resource_spans
    spans = 0
    parts = len(resources)
    if parts > _SMALL_PARTS:
        return False
    # No part takes less than its tag and its length.
    are_few_parts = size // 2 <= _SMALL_PARTS
    for resource in resources:
        parts += len(resource.resource.attributes) + len(resource.scope_spans)
        for scope in resource.scope_spans:
            spans += len(scope.spans)
            parts += len(scope.spans) + len(scope.scope.attributes)
            if spans > _SMALL_SPANS or parts > _SMALL_PARTS:
                return False
            if are_few_parts:
                continue
            for span in scope.spans:
                parts += len(span.attributes)
                if span.events:
                    parts += sum(1 + len(event.attributes) for event in span.events)
    return parts <= _SMALL_PARTS and _are_few(spans, size)


def events_of(head: dict[str, Any], body: Payload, now_ms: int) -> list[Event]:
    """Return the events of a trace export.

    The head has `gzip` and `json` (how the body is encoded), `limit` (bytes after decompression) and
    `refusal`, the answer to any export that is not empty (or null).

    Raises:
        Refused: the body cannot be read as the head says.
    """
    return map_batch(_decoded_of(head, body), now_ms=now_ms)


def _decoded_of(head: dict[str, Any], body: Payload) -> Decoded:
    try:
        data = gunzip(body, head["limit"]) if head["gzip"] else body
        decoded = decode_json(data) if head["json"] else decode_protobuf(data)
    except DecodeError as error:
        raise Refused(str(error)) from error
    return _accepted(head, decoded)


def _accepted(head: dict[str, Any], decoded: Decoded) -> Decoded:
    if head["refusal"] and decoded.resources:
        raise Refused(head["refusal"])
    return decoded


def slices_of(head: dict[str, Any], body: Payload, now_ms: int) -> Iterator[list[Event]]:
    """Yield the events of an export of any size in slices that others do not wait long for.

    Raises:
        Refused: see `events_of`.
        TooCostly: it holds more than is taken; nothing was yielded.
    """
    try:
        data = gunzip(body, head["limit"]) if head["gzip"] else body
    except DecodeError as error:
        raise Refused(str(error)) from error
    _refuse_many(json_parts(data, MAX_PARTS) if head["json"] else _protobuf_parts(data))
    decoded = _decoded_of({**head, "gzip": False}, data)
    if repeated_bytes(decoded) > _MAX_REPEATED_BYTES:
        raise TooCostly(
            "The attributes of resources and scopes are too large to be repeated by so many spans: send "
            "smaller batches, or smaller resource attributes"
        )
    events: list[Event] = []
    size = 0
    for event in map_spans(decoded, now_ms=now_ms):
        events.append(event)
        size += len(event.input or "") + len(event.output or "")
        size += sum(len(value) for _, value in event.metadata)
        if len(events) >= _SLICE_SPANS or size >= _SLICE_BYTES:
            yield events
            events, size = [], 0
    yield events


def _protobuf_parts(data: Payload) -> int:
    try:
        resources = parse_export(data).resource_spans
    except WireError:
        return 0  # refused in its turn
    parts = len(resources)
    if parts > MAX_PARTS:
        return parts
    parts += sum(len(resource.scope_spans) for resource in resources)
    if parts > MAX_PARTS:
        return parts
    return parts + sum(len(scope.spans) for resource in resources for scope in resource.scope_spans)


def _refuse_many(parts: int) -> None:
    if parts > MAX_PARTS:
        raise TooCostly(
            f"An export may have {MAX_PARTS} spans, resources and scopes, this one has more: send smaller "
            "batches"
        )


def prepare(
    project_id: str,
    events: list[Event],
    lookups: StateLookups,
    created_at: int,
    budget: float | None = None,
) -> list[PreparedTrace]:
    """Return the events by trace, priced and ready to be stored.

    Raises:
        BudgetSpent: pricing them takes more than `budget`, in seconds of a processor; see `StateLookups`.
    """
    lookups.refresh(budget)
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
