"""Usage and cost as the sender gave them: units by kind, and US dollars by kind."""

from __future__ import annotations

from typing import Any

from langfuse_embedded.javascript.values import InvalidJson, loads, truthy, whole_number

from .batch import Attributes
from .key_kinds import COST, USAGE
from .usage_sources import Counts, ai_sdk_usage, genai_usage, genkit_usage, vertex_usage

MAX_UNITS = 2**63 - 1
"""What a 64-bit column holds."""

_EXACT = 2**53

MAX_COST = 999_999.999999
"""USD; the reference store cuts every cost to this range."""

_AGENT_OPERATIONS = frozenset({"invoke_agent", "agent_step"})
_SCOPES = frozenset({"ai", "genkit-tracer", "gcp.vertex.agent"})
"""Scopes whose usage stands under keys of another kind."""

_COST_TOTALS = ("gen_ai.usage.cost", "llm.cost.total")

_OPENAI_SHAPES = (
    ("prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details"),
    ("input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details"),
)
"""Usage objects of OpenAI's two APIs: units in, units out, and the details of each."""


def is_aggregating_agent(attributes: Attributes) -> bool:
    """Tell whether an agent span repeats the sums of its model calls.

    Its model, usage and cost are not taken, or every trace would count double.
    """
    operation = attributes.get("gen_ai.operation.name")
    return isinstance(operation, str) and operation in _AGENT_OPERATIONS


def usage_of(attributes: Attributes, kinds: int, scope_name: str | None) -> dict[str, int]:
    """Return units by kind with `total` filled in; empty when the span tells none."""
    if not kinds & USAGE and scope_name not in _SCOPES:
        return {}
    given = _json_object(attributes, "langfuse.observation.usage_details")
    if given is None:
        given = _framework_usage(attributes, scope_name)
    if not given:
        return {}
    units = _openai_units(given) or _whole_units(given)
    if units and "total" not in units:
        units["total"] = sum(units.values())
    return {kind: min(count, MAX_UNITS) for kind, count in units.items()}


def _framework_usage(attributes: Attributes, scope_name: str | None) -> Counts:
    if scope_name == "genkit-tracer":
        usage = genkit_usage(attributes)
    elif scope_name == "ai":
        usage = ai_sdk_usage(attributes)
    elif scope_name == "gcp.vertex.agent":
        usage = vertex_usage(attributes)
    else:
        usage = None
    return genai_usage(attributes) if usage is None else usage


def _openai_units(given: dict[str, Any]) -> dict[str, int] | None:
    """Return the units of a usage object in one of OpenAI's shapes; one key more or less makes it another."""
    if "total_tokens" not in given:
        return None
    for units_in, units_out, *details in _OPENAI_SHAPES:
        sums = (units_in, units_out, "total_tokens")
        if given.keys() <= {*sums, *details} and given.keys() >= {*sums}:
            counts = [_count(given[key]) for key in sums]
            parts = [_counts(given.get(key)) for key in details]
            if None not in counts and None not in parts:
                return _without_parts(counts, parts)
    return None


def _without_parts(counts: list[Any], parts: list[Any]) -> dict[str, int]:
    """Return input, output and total, with the details of each side under names of their own."""
    units: dict[str, int] = dict(zip(("input", "output", "total"), counts, strict=True))
    for side, part in zip(("input", "output"), parts, strict=True):
        for key, count in part.items():
            units[f"{side}_{key}"] = count
            units[side] = max(units[side] - count, 0)
    return units


def _count(value: Any) -> int | None:
    """Return a whole number of units; ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if 0 <= value < _EXACT and value == int(value) else None


def _counts(value: Any) -> dict[str, Any] | None:
    """Return the details that are set; ``None`` when one of them is not a whole number."""
    if value is not None and not isinstance(value, dict):
        return None
    counts = {key: _count(count) for key, count in (value or {}).items() if count is not None}
    return None if None in counts.values() else counts


def _whole_units(given: dict[str, Any]) -> dict[str, int]:
    """Return every value that is a whole number of units, also as the digits at the start of a text."""
    units: dict[str, int] = {}
    for kind, value in given.items():
        if isinstance(value, str):
            count = whole_number(value)
        elif isinstance(value, float):
            count = int(value) if value.is_integer() else None
        else:
            count = value if isinstance(value, int) and not isinstance(value, bool) else None
        if count is not None and count >= 0:
            units[kind] = count
    return units


def cost_of(attributes: Attributes, kinds: int) -> dict[str, float]:
    """Return USD by kind; empty when the span tells none, and then the price list decides.

    The reference store reads anything that is not a number as 0 and cuts what is beyond `MAX_COST`.
    """
    if not kinds & COST:
        return {}
    given = _json_object(attributes, "langfuse.observation.cost_details")
    if given is None:
        total = next((attributes[key] for key in _COST_TOTALS if attributes.get(key) not in (None, "")), None)
        given = {} if total is None else {"total": total}
    return {kind: _dollars(value) for kind, value in given.items() if value is not None}


def _dollars(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0
    return max(-MAX_COST, min(MAX_COST, value))


def _json_object(attributes: Attributes, key: str) -> dict[str, Any] | None:
    """Return a JSON object attribute: empty when it is something else, ``None`` when absent or broken."""
    value = attributes.get(key)
    if not truthy(value):
        return None
    if not isinstance(value, str):
        return {}
    try:
        document = loads(value)
    except InvalidJson:
        return None
    return document if isinstance(document, dict) else {}
