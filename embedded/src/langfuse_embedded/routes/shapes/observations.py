"""Observations as `GET v2/observations` writes them, by groups of fields."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import orjson

from langfuse_embedded.clock import iso, iso_or_none
from langfuse_embedded.javascript.values import whole
from langfuse_embedded.lossless_json import parse_lossless
from langfuse_embedded.pricing.model import Model, price_text
from langfuse_embedded.store.observation_query import StoredObservation

ALL_GROUPS = (
    "core",
    "basic",
    "time",
    "io",
    "metadata",
    "model",
    "usage",
    "prompt",
    "metrics",
    "trace_context",
)
DEFAULT_GROUPS = frozenset({"core", "basic"})
_METADATA_LENGTH = 200

Item = dict[str, Any]


class ItemWriter:
    """Writes observations of one project with the groups that a request asks for.

    Metadata values are cut to 200 characters, unless their name is in `expand` or input and output are asked
    for too. Prices come from `models`, by model id.
    """

    def __init__(
        self,
        project_id: str,
        groups: Collection[str],
        expand: Collection[str] = (),
        models: Mapping[str, Model] = MappingProxyType({}),
    ) -> None:
        self._project_id = project_id
        self._groups = groups
        self._expand = None if "io" in groups else expand
        self._models = models
        self._parts = [write for group, write in _PARTS.items() if group in groups]

    def write(self, observation: StoredObservation) -> Item:
        """Return the item; `core`, times and prices are always in it."""
        row = observation.row
        item: Item = {
            "id": observation.id,
            "traceId": observation.trace_id,
            "startTime": iso(row["start_time"]),
            "endTime": iso_or_none(row["end_time"]),
            "projectId": self._project_id,
            "parentObservationId": observation.parent_id,
            "type": row["type"],
        }
        for write in self._parts:
            write(observation, item)
        if "metadata" in self._groups and observation.body is not None:
            item["metadata"] = metadata_of(observation.body.metadata, self._expand)
        self._write_latency(observation, item)
        self._write_prices(observation, item)
        return item

    def _write_latency(self, observation: StoredObservation, item: Item) -> None:
        row, metrics = observation.row, "metrics" in self._groups
        start = row["start_time"]
        item["latency"] = _seconds(start, row["end_time"], metrics=metrics)
        first = row["completion_start_time"] if metrics or "time" in self._groups else None
        item["timeToFirstToken"] = _seconds(start, first, metrics=metrics)

    def _write_prices(self, observation: StoredObservation, item: Item) -> None:
        model_id = observation.row["model_id"] if "model" in self._groups else ""
        model = self._models.get(model_id)
        if model is None:
            item["modelId"] = item["inputPrice"] = item["outputPrice"] = item["totalPrice"] = None
            return
        prices = model.default_prices
        item["modelId"] = model_id
        for name, kind in (("inputPrice", "input"), ("outputPrice", "output"), ("totalPrice", "total")):
            item[name] = price_text(prices[kind]) if kind in prices else None


def metadata_of(pairs: Sequence[Sequence[str]], expand: Collection[str] | None = None) -> dict[str, Any]:
    """Return metadata as an object: of equal names the first counts, and values that are JSON are parsed.

    Values are cut to 200 characters, but for the names in `expand`; ``None`` cuts nothing.
    """
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            continue
        if expand is not None and len(value) > _METADATA_LENGTH and name not in expand:
            value = value[:_METADATA_LENGTH]  # noqa: PLW2901
        result[name] = parse_lossless(value)
    return result


def _seconds(start: int, end: int | None, *, metrics: bool) -> float | None:
    if end is None or (metrics and end == start):
        # The server's metrics group takes a duration of zero for none.
        return None
    return whole((end - start) / 1000)


def _object(text: str | None) -> Any:
    return orjson.loads(text) if text else {}


def _basic(observation: StoredObservation, item: Item) -> None:
    row = observation.row
    item["name"] = row["name"]
    item["level"] = row["level"]
    item["statusMessage"] = row["status_message"]
    item["version"] = row["version"]
    item["environment"] = row["environment"]
    item["userId"] = row["user_id"]
    item["sessionId"] = row["session_id"]
    item["isRootObservation"] = observation.is_root
    item["bookmarked"] = False
    item["public"] = bool(row["public"])


def _time(observation: StoredObservation, item: Item) -> None:
    row = observation.row
    item["completionStartTime"] = iso_or_none(row["completion_start_time"])
    item["createdAt"] = item["updatedAt"] = iso(row["created_at"])


def _io(observation: StoredObservation, item: Item) -> None:
    body = observation.body
    item["input"] = (body.input or None) if body else None
    item["output"] = (body.output or None) if body else None


def _model(observation: StoredObservation, item: Item) -> None:
    row = observation.row
    item["model"] = row["model"]
    item["internalModelId"] = row["model_id"]
    item["modelParameters"] = parse_lossless(row["model_parameters"]) if row["model_parameters"] else {}


def _usage(observation: StoredObservation, item: Item) -> None:
    row = observation.row
    item["usageDetails"] = _object(row["usage"])
    item["inputUsage"] = row["input_tokens"] or 0
    item["outputUsage"] = row["output_tokens"] or 0
    item["totalUsage"] = row["total_tokens"] or 0
    item["costDetails"] = _object(row["cost"])
    item["inputCost"] = row["input_cost"]
    item["outputCost"] = row["output_cost"]
    item["totalCost"] = row["total_cost"] or 0
    item["usagePricingTierId"] = row["pricing_tier_id"]
    item["usagePricingTierName"] = row["pricing_tier_name"]


def _prompt(observation: StoredObservation, item: Item) -> None:
    row = observation.row
    item["promptId"] = row["prompt_id"]
    item["promptName"] = row["prompt_name"]
    item["promptVersion"] = row["prompt_version"]


def _trace_context(observation: StoredObservation, item: Item) -> None:
    row = observation.row
    # A trace without a name is called after its root, on the root alone.
    item["traceName"] = row["trace_name"] or (observation.is_root and row["name"]) or None
    item["release"] = row["release"]
    item["tags"] = orjson.loads(row["tags"]) if row["tags"] else []


_PARTS: dict[str, Callable[[StoredObservation, Item], None]] = {
    "basic": _basic,
    "time": _time,
    "io": _io,
    "model": _model,
    "usage": _usage,
    "prompt": _prompt,
    "trace_context": _trace_context,
}
