"""Traces and observations as the legacy API of `dual` mode shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from langfuse_embedded.clock import iso, iso_or_none
from langfuse_embedded.javascript.values import whole
from langfuse_embedded.lossless_json import parse_lossless
from langfuse_embedded.pricing.model import Model
from langfuse_embedded.scoring import metadata_values
from langfuse_embedded.store.bodies import Body
from langfuse_embedded.store.observation_query import StoredObservation
from langfuse_embedded.store.trace_bodies import own_metadata
from langfuse_embedded.store.traces import Trace

# Objects whose keys have dots of their own.
_FLAT = ("resourceAttributes", "attributes", "scope.attributes")


def legacy_trace(project_id: str, trace: Trace, *, with_io: bool = True) -> dict[str, Any]:
    """Return a trace without its observations, scores and metrics."""
    row, body = trace.row, trace.body
    item = {
        "id": trace.id,
        "projectId": project_id,
        "name": row["name"] or None,
        "timestamp": iso(row["timestamp"]),
        "environment": row["environment"],
        "tags": orjson.loads(row["tags"]) if row["tags"] else [],
        "bookmarked": False,
        "release": row["release"] or None,
        "version": row["version"] or None,
        "userId": row["user_id"] or None,
        "sessionId": row["session_id"] or None,
        "public": bool(row["public"]),
        "createdAt": iso(row["created_at"]),
        "updatedAt": iso(row["updated_at"]),
        "externalId": None,
    }
    if with_io:
        item["input"] = _document(body.input)
        item["output"] = _document(body.output)
        item["metadata"] = _metadata(body, body.metadata)
    return item


def legacy_observation(
    project_id: str, observation: StoredObservation, model: Model | None, *, unpriced: float | None = None
) -> dict[str, Any]:
    """Return an observation. `unpriced` stands for a price that is not known: null, or 0 in traces."""
    row, body = observation.row, observation.body
    prices = model.default_prices if model else {}
    read, written, total = (row[f"{kind}_tokens"] or 0 for kind in ("input", "output", "total"))
    plain = row["type"] in ("SPAN", "EVENT") and not row["model_parameters"]
    return {
        "id": observation.id,
        "traceId": observation.trace_id,
        "startTime": iso(row["start_time"]),
        "endTime": iso_or_none(row["end_time"]),
        "projectId": project_id,
        "parentObservationId": observation.legacy_parent_id,
        "type": row["type"],
        "environment": row["environment"],
        "name": row["name"] or None,
        "level": row["level"],
        "statusMessage": row["status_message"] or None,
        "version": row["version"] or None,
        "createdAt": iso(row["created_at"]),
        "updatedAt": iso(row["created_at"]),
        "input": _document(body.input if body else None),
        "output": _document(body.output if body else None),
        "metadata": _metadata(body, own_metadata(body)) if body else {},
        "model": row["model"] or None,
        "modelParameters": None if plain else _object(row["model_parameters"]),
        "completionStartTime": iso_or_none(row["completion_start_time"]),
        "promptId": row["prompt_id"] or None,
        "promptName": row["prompt_name"] or None,
        "promptVersion": row["prompt_version"],
        "latency": _seconds(row["start_time"], row["end_time"]),
        "timeToFirstToken": _seconds(row["start_time"], row["completion_start_time"]),
        "usageDetails": _object(row["usage"]),
        "costDetails": _object(row["cost"]),
        "usagePricingTierId": row["pricing_tier_id"],
        "usagePricingTierName": row["pricing_tier_name"],
        "modelId": model.id if model else None,
        "inputPrice": prices.get("input", unpriced),
        "outputPrice": prices.get("output", unpriced),
        "totalPrice": prices.get("total", unpriced),
        "calculatedInputCost": row["input_cost"],
        "calculatedOutputCost": row["output_cost"],
        "calculatedTotalCost": row["total_cost"] or 0,
        "unit": "TOKENS",
        "promptTokens": read,
        "completionTokens": written,
        "totalTokens": total,
        "usage": {"unit": "TOKENS", "input": read, "output": written, "total": total},
    }


def _metadata(body: Body, pairs: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Return metadata as the legacy batch sent it, and that of spans as objects."""
    sent = body.more.get("sent_metadata")
    return nested_metadata(pairs) if sent is None else metadata_values(sent)


def nested_metadata(pairs: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Return metadata as the objects that its dotted names came from.

    The names of resource and span attributes have dots of their own and stay whole. Where a name cannot be
    nested, because a value stands in its way, it stays dotted. The scope of an instrumentation always has
    attributes, if only none.
    """
    result: dict[str, Any] = {}
    for name, value in pairs:
        *path, last = _path(name)
        place: Any = result
        for step in path:
            place = place.setdefault(step, {}) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place.setdefault(last, parse_lossless(value))
        else:
            result.setdefault(name, parse_lossless(value))
    scope = result.get("scope")
    if isinstance(scope, dict) and "name" in scope and "resourceAttributes" in result:
        scope.setdefault("attributes", {})
    return result


def _path(name: str) -> list[str]:
    for prefix in _FLAT:
        if name.startswith(f"{prefix}."):
            return [*prefix.split("."), name.removeprefix(f"{prefix}.")]
    return name.split(".")


def _document(text: str | None) -> Any:
    return parse_lossless(text) if text else None


def _object(text: str | None) -> Any:
    return parse_lossless(text) if text else {}


def _seconds(start: int, end: int | None) -> float | None:
    return None if end is None else whole((end - start) / 1000)
