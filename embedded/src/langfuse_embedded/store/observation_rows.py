"""From an event to what the store keeps of it: a narrow row, and a body."""

from __future__ import annotations

import json
from typing import Any

import orjson

from langfuse_embedded.otlp.event import Event
from langfuse_embedded.pricing.book import Priced

from .bodies import Body
from .hexid import pack

PLACE = ("seq", "project", "block", "position", "sender")
"""Where a row stands; the writer adds these to what was made of the event."""

COLUMNS = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "start_time",
    "end_time",
    "completion_start_time",
    "created_at",
    "name",
    "type",
    "level",
    "status_message",
    "version",
    "release",
    "environment",
    "user_id",
    "session_id",
    "trace_name",
    "tags",
    "public",
    "is_app_root",
    "as_root",
    "has_input",
    "has_output",
    "prompt_id",
    "prompt_name",
    "prompt_version",
    "model",
    "model_id",
    "model_parameters",
    "usage",
    "cost",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "input_cost",
    "output_cost",
    "total_cost",
    "pricing_tier_id",
    "pricing_tier_name",
    "tool_names",
    "called_tool_names",
    "experiment_id",
    "experiment_name",
    "experiment_dataset_id",
    "experiment_item_id",
    "experiment_item_root_span_id",
    *PLACE,
)

TRACE_ROOT = "t-"
"""What the id of the root observation begins with that stands for a trace of the legacy batch."""

_LARGEST = 2**63 - 1
_NO_NUMBERS = (None, None, None)
_NO_EXPERIMENT = (None, None, None, None, None)


Row = tuple[Any, ...]


def row_of(
    event: Event,
    price: Priced,
    prompt_id: str,
    *,
    seq: int,
    project: int,
    created_at: int,
    block: int,
    position: int,
    sender: int | None = None,
) -> Row:
    """Return the whole row in the order of `COLUMNS`."""
    return (*unplaced_row_of(event, price, prompt_id, created_at), seq, project, block, position, sender)


def unplaced_row_of(event: Event, price: Priced, prompt_id: str, created_at: int) -> Row:
    """Return the row without its place."""
    usage, cost, experiment = price.usage, price.cost, event.experiment
    return (
        pack(event.trace_id),
        pack(event.span_id),
        pack(event.parent_span_id) if event.parent_span_id else None,
        event.start_time,
        event.end_time,
        event.completion_start_time,
        created_at,
        event.name or "",
        event.type,
        event.level,
        event.status_message or "",
        event.version or "",
        event.release or "",
        event.environment,
        event.user_id or "",
        event.session_id or "",
        event.trace_name or "",
        _json(event.tags),
        event.public,
        event.is_app_root,
        event.as_root,
        bool(event.input),
        bool(event.output),
        prompt_id,
        event.prompt_name or "",
        # The server takes version 0 for none.
        event.prompt_version or None,
        event.model_name or "",
        price.model_id,
        None if event.model_parameters == "{}" else event.model_parameters,
        _json(usage),
        _json(cost),
        *(_tokens(usage) if usage else _NO_NUMBERS),
        *(_costs(cost) if cost else _NO_NUMBERS),
        price.tier_id,
        price.tier_name,
        _json(list(event.tool_definitions)),
        _json(event.tool_call_names),
        *(
            (
                experiment.id,
                experiment.name,
                experiment.dataset_id,
                experiment.item_id,
                experiment.item_root_span_id,
            )
            if experiment
            else _NO_EXPERIMENT
        ),
    )


def body_of(event: Event) -> Body:
    """Return the long texts of an event."""
    more: dict[str, Any] = {}
    if event.sent_metadata is not None:
        more["sent_metadata"] = event.sent_metadata
    if event.tool_definitions:
        more["tool_definitions"] = event.tool_definitions
    if event.tool_calls:
        more["tool_calls"] = event.tool_calls
    if trace := event.trace:
        more["trace"] = {
            "input": trace.input,
            "output": trace.output,
            "metadata": trace.metadata_names,
            "shared": trace.shared_names,
        }
    if experiment := event.experiment:
        more["experiment"] = {
            "description": experiment.description,
            "metadata": experiment.metadata,
            "item_version": experiment.item_version,
            "item_expected_output": experiment.item_expected_output,
            "item_metadata": experiment.item_metadata,
        }
    return Body(event.input, event.output, event.metadata, more)


def _json(value: Any) -> str | None:
    if not value:
        return None
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # Units beyond 64 bit, which a client may send.
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _tokens(usage: dict[str, int]) -> tuple[int, int, int | None]:
    read = written = 0
    for kind, units in usage.items():
        name = kind.lower()
        if "input" in name:
            read += units
        if "output" in name:
            written += units
    total = usage.get("total")
    return _fit(read), _fit(written), None if total is None else _fit(total)


def _fit(units: int) -> int:
    return min(units, _LARGEST)


def _costs(cost: dict[str, float]) -> tuple[float | None, float | None, float | None]:
    read = [usd for kind, usd in cost.items() if "input" in kind.lower()]
    written = [usd for kind, usd in cost.items() if "output" in kind.lower()]
    return sum(read) if read else None, sum(written) if written else None, cost.get("total")
