"""Does an observation match the filter of a rule? As the server decides it in memory.

Source: `InMemoryFilterService.ts` and `observationForEval.ts` in `packages/shared/src` of langfuse/langfuse
6275144. Texts that are missing count as empty, comparisons tell upper from lower case.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langfuse_embedded.store.documents import load_or_none
from langfuse_embedded.store.hexid import unpack

COLUMNS = {
    "type": "stringOptions",
    "name": "stringOptions",
    "environment": "stringOptions",
    "level": "stringOptions",
    "version": "string",
    "traceName": "stringOptions",
    "userId": "string",
    "sessionId": "string",
    "tags": "arrayOptions",
    "metadata": "stringObject",
    "isRootObservation": "boolean",
    "parentObservationId": "null",
    "experimentId": "stringOptions",
    "isExperimentItemRootSpan": "boolean",
    "calledToolNames": "arrayOptions",
    "toolCalls": "number",
    "datasetId": "stringOptions",
}
"""Columns that a rule may filter by, each with the one type of condition that fits it."""

VALUES = {
    "type": (
        *("SPAN", "EVENT", "GENERATION", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EVALUATOR", "EMBEDDING"),
        "GUARDRAIL",
    ),
    "level": ("DEBUG", "DEFAULT", "WARNING", "ERROR"),
}
"""The values that a column can have, where they are known."""

JUDGE_ENVIRONMENT = "langfuse-llm-as-a-judge"
_PROMPT_EXPERIMENT = "langfuse-prompt-experiment"
# Ingestion takes the reserved prefix away from what others send.
_SENT_BY_A_JUDGE = "llm-as-a-judge"
_BUCKETS = 2**53
_MOST_VALUES = 50


@dataclass(frozen=True, slots=True)
class _Value:
    """Which columns of a row a column of a filter is made of, and how."""

    reads: tuple[str, ...]
    of: Callable[[sqlite3.Row], Any]


def _plain(name: str) -> _Value:
    return _Value((name,), lambda row: row[name])


_VALUES = {
    "type": _plain("type"),
    "name": _plain("name"),
    "environment": _plain("environment"),
    "level": _plain("level"),
    "version": _plain("version"),
    "traceName": _plain("trace_name"),
    "userId": _plain("user_id"),
    "sessionId": _plain("session_id"),
    "tags": _Value(("tags",), lambda row: load_or_none(row["tags"]) or []),
    "isRootObservation": _Value(
        ("parent_span_id", "is_app_root"),
        lambda row: row["parent_span_id"] is None or bool(row["is_app_root"]),
    ),
    "parentObservationId": _plain("parent_span_id"),
    "experimentId": _plain("experiment_id"),
    "isExperimentItemRootSpan": _Value(
        ("experiment_item_root_span_id", "span_id"),
        lambda row: row["experiment_item_root_span_id"] == unpack(row["span_id"]),
    ),
    "calledToolNames": _Value(
        ("called_tool_names",), lambda row: load_or_none(row["called_tool_names"]) or []
    ),
    "toolCalls": _Value(
        ("called_tool_names",), lambda row: len(load_or_none(row["called_tool_names"]) or [])
    ),
    "datasetId": _plain("experiment_dataset_id"),
}
_METADATA = "metadata"


def columns_read(conditions: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the columns of a row that `matches` looks at; metadata are in none."""
    known = (_VALUES.get(condition["column"]) for condition in conditions)
    return {name for value in known if value is not None for name in value.reads}


def sql_of(conditions: Iterable[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """Return SQL, and its values, that is true wherever `matches` is: it spares a look at most other rows.

    It uses no index, as rows are read in the order of their sequence.
    """
    parts, values = ["true"], list[str]()
    for condition in conditions:
        column, wanted = _VALUES.get(condition["column"]), condition["value"]
        is_list = condition["type"] == "stringOptions" and condition["operator"] == "any of"
        # What is missing counts as empty.
        if column is not None and is_list and "" not in wanted and len(wanted) <= _MOST_VALUES:
            parts.append(f"+{column.reads[0]} in ({', '.join('?' * len(wanted))})")
            values += wanted
    return " and ".join(parts), values


def may_be_judged(environment: str) -> bool:
    """Tell whether observations of an environment may be judged: those of judges are not, or they never end.

    Source: `worker/src/features/evaluation/isEvalTargetEnvironmentAllowed.ts`.
    """
    if environment == _PROMPT_EXPERIMENT:
        return True
    return not environment.startswith("langfuse") and environment != _SENT_BY_A_JUDGE


def sampled(span_id: str, rate: float) -> bool:
    """Tell whether a rule that judges a share of all observations judges this one.

    Every rule sees the same value for a span (`worker/src/features/evaluation/deterministicSampling.ts`).
    """
    if rate >= 1 or rate <= 0:
        return rate >= 1
    digest = hashlib.sha256(b"langfuse:evaluation-sampling:v1\0" + span_id.encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) / _BUCKETS < rate


def matches(
    conditions: Sequence[Mapping[str, Any]],
    row: sqlite3.Row,
    metadata: Callable[[], Mapping[str, str]],
) -> bool:
    """Tell whether all conditions hold for a row; `metadata` is called where one asks for it."""
    for condition in conditions:
        column = condition["column"]
        if column == _METADATA:
            value: Any = metadata()
        elif column in _VALUES:
            value = _VALUES[column].of(row)
        else:
            return False
        if not _holds(condition, value):
            return False
    return True


def _holds(condition: Mapping[str, Any], value: Any) -> bool:
    kind, operator, wanted = condition["type"], condition["operator"], condition["value"]
    if kind == "stringObject":
        there = condition["key"] in value
        if operator in ("is set", "is not set"):
            return there is (operator == "is set")
        return there and _compare_texts(operator, value[condition["key"]], wanted)
    if kind == "string":
        return _compare_texts(operator, value or "", wanted)
    if kind == "stringOptions":
        return ((value or "") in wanted) is (operator == "any of")
    if kind == "arrayOptions":
        if operator == "all of":
            return all(one in value for one in wanted)
        return any(one in wanted for one in value) is (operator == "any of")
    if kind == "number":
        return _compare_numbers(operator, value, wanted)
    if kind == "boolean":
        return (value is wanted) is (operator == "=")
    if kind == "null":
        return (value in (None, "")) is (operator == "is null")
    return False


def _compare_texts(operator: str, value: str, wanted: str) -> bool:
    if operator == "=":
        return value == wanted
    if operator == "starts with":
        return value.startswith(wanted)
    if operator == "ends with":
        return value.endswith(wanted)
    return (wanted in value) is (operator == "contains")


def _compare_numbers(operator: str, value: float, wanted: float) -> bool:
    return {
        "=": value == wanted,
        ">": value > wanted,
        "<": value < wanted,
        ">=": value >= wanted,
        "<=": value <= wanted,
    }[operator]
