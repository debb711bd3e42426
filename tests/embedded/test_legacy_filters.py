"""The JSON filters of the legacy lists (`dual` mode) find by every column that the server has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .harness import RunningEngine

_PUBLIC = "/api/public"
_MOMENT = "2026-01-15T10:00:00Z"


def _event(kind: str, **body: Any) -> dict[str, Any]:
    return {"id": f"{kind}-{body['id']}", "type": kind, "timestamp": _MOMENT, "body": body}


def _generation(number: int, trace: str, **more: Any) -> dict[str, Any]:
    body = {"id": f"g{number}", "traceId": trace, "startTime": _MOMENT, "endTime": "2026-01-15T10:00:02Z"}
    return _event("generation-create", **body, **more)


_EVENTS = [
    _event("trace-create", id="t1", timestamp=_MOMENT, name="one", userId="u1", tags=["a", "b"]),
    _event("trace-create", id="t2", timestamp=_MOMENT, name="two", userId="u2", tags=["b"]),
    _event("trace-create", id="t3", timestamp=_MOMENT, name="three"),
    _generation(1, "t1", level="ERROR", usageDetails={"input": 5, "output": 7, "total": 12}),
    _generation(2, "t1", level="WARNING", costDetails={"input": 1, "output": 2, "total": 3}),
    _generation(3, "t2", level="DEBUG", usageDetails={"input": 1, "total": 1}),
    _event("score-create", id="s1", traceId="t1", name="quality", value=0.9),
    _event("score-create", id="s2", traceId="t2", name="quality", value=0.1),
    _event("score-create", id="s3", traceId="t1", name="tier", value="gold"),
    _event("score-create", id="s4", traceId="t2", name="ok", value=1, dataType="BOOLEAN"),
    _event("score-create", id="s5", traceId="t1", observationId="g1", name="ok", value=0, dataType="BOOLEAN"),
]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """An engine in `dual` mode with three traces, three generations and five scores."""
    environment = {"LANGFUSE_MIGRATION_V4_WRITE_MODE": "dual"}
    engine = RunningEngine(tmp_path_factory.mktemp("filters") / "data", environment).start()
    answer = engine.client.post(f"{_PUBLIC}/ingestion", json={"batch": _EVENTS})
    assert answer.json()["errors"] == []
    yield engine.client
    assert engine.stop() == 0, engine.log()


def _found(client: httpx.Client, route: str, condition: dict[str, Any], **query: str) -> list[str]:
    params = {"filter": json.dumps([condition]), **query}
    answer = client.get(f"{_PUBLIC}/{route}", params=params)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["meta"]["totalItems"] == len(found["data"])
    return sorted(one["id"] for one in found["data"])


def _asked(column: str, kind: str, operator: str, value: Any, **key: str) -> dict[str, Any]:
    return {"column": column, "type": kind, "operator": operator, "value": value, **key}


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        (_asked("level", "stringOptions", "any of", ["ERROR"]), ["t1"]),
        (_asked("Level", "string", "=", "DEBUG"), ["t2"]),
        (_asked("level", "string", "=", ""), ["t3"]),
        (_asked("errorCount", "number", ">", 0), ["t1"]),
        (_asked("warningCount", "number", "=", 1), ["t1"]),
        (_asked("defaultCount", "number", ">=", 1), []),
        (_asked("Debug Level Count", "number", ">=", 1), ["t2"]),
        (_asked("inputTokens", "number", "<=", 1), ["t2", "t3"]),
        (_asked("Output Tokens", "number", "=", 7), ["t1"]),
        (_asked("tokens", "number", ">=", 12), ["t1"]),
        (_asked("inputCost", "number", ">", 0.5), ["t1"]),
        (_asked("Output Cost ($)", "number", ">", 1.5), ["t1"]),
        (_asked("bookmarked", "boolean", "=", True), []),
        (_asked("bookmarked", "boolean", "=", False), ["t1", "t2", "t3"]),
        (_asked("traceId", "string", "=", "t2"), ["t2"]),
        (_asked("traceName", "string", "starts with", "t"), ["t2", "t3"]),
        (_asked("traceTags", "arrayOptions", "all of", ["a", "b"]), ["t1"]),
        (_asked("scores_avg", "numberObject", ">=", 0.5, key="quality"), ["t1"]),
        (_asked("scores_avg", "numberObject", "=", 1, key="ok"), ["t2"]),
        (_asked("Scores (numeric)", "numberObject", ">", 0, key="none"), []),
        (_asked("scores", "numberObject", "<", 0.5, key="quality"), ["t2"]),
        (_asked("score_categories", "categoryOptions", "any of", ["gold"], key="tier"), ["t1"]),
        (_asked("score_categories", "categoryOptions", "none of", ["gold"], key="tier"), ["t2", "t3"]),
        (_asked("scores", "categoryOptions", "any of", ["silver"], key="tier"), []),
        (_asked("score_booleans", "booleanObject", "=", True, key="ok"), ["t2"]),
        (_asked("score_booleans", "booleanObject", "=", False, key="ok"), ["t1"]),
        (_asked("score_booleans", "booleanObject", "<>", True, key="ok"), ["t1", "t3"]),
        (_asked("scores_avg", "null", "is null", ""), []),
    ],
)
def test_traces_are_found_by_what_their_observations_and_scores_say(
    filled: httpx.Client, condition: dict[str, Any], ids: list[str]
) -> None:
    assert _found(filled, "traces", condition) == ids


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        (_asked("booleanValue", "stringOptions", "any of", ["true"]), ["s4"]),
        (_asked("Boolean Value", "string", "=", "false"), ["s5"]),
        (_asked("traceName", "string", "=", "two"), ["s2", "s4"]),
        (_asked("Trace Name", "string", "contains", "n"), ["s1", "s3", "s5"]),
        (_asked("userId", "stringOptions", "none of", ["u1"]), ["s2", "s4"]),
        (_asked("trace_tags", "arrayOptions", "any of", ["a"]), ["s1", "s3", "s5"]),
        (_asked("Data Type", "string", "=", "CATEGORICAL"), ["s3"]),
        (_asked("authorUserId", "string", "=", ""), ["s1", "s2", "s3", "s4", "s5"]),
        (_asked("Value", "number", ">", 0.5), ["s1", "s4"]),
    ],
)
def test_scores_are_found_by_their_columns_and_those_of_their_trace(
    filled: httpx.Client, condition: dict[str, Any], ids: list[str]
) -> None:
    assert _found(filled, "v2/scores", condition) == ids


@pytest.mark.parametrize(
    ("route", "column"),
    [
        ("traces", "public"),
        ("observations", "tags"),
        ("observations", "release"),
        ("observations", "isRootObservation"),
        ("observations", "input"),
        ("v2/scores", "configId"),
        ("v2/scores", "queueId"),
    ],
)
def test_a_column_of_another_list_is_refused(filled: httpx.Client, route: str, column: str) -> None:
    params = {"filter": json.dumps([_asked(column, "string", "=", "x")])}
    answer = filled.get(f"{_PUBLIC}/{route}", params=params)
    assert answer.status_code == 400
    assert answer.json()["message"] == f"Column {column} does not match a UI / CH table mapping."


def test_a_parameter_gives_way_to_the_filter_on_its_column(filled: httpx.Client) -> None:
    # `deriveFilters` in `packages/shared/src/server/queries/public-api-filter-builder.ts`.
    assert _found(filled, "traces", _asked("Name", "string", "=", "one"), name="two") == ["t1"]
    assert _found(filled, "v2/scores", _asked("Name", "string", "=", "tier"), name="ok") == ["s3"]
    assert _found(filled, "observations", _asked("Level", "string", "=", "ERROR"), level="DEBUG") == ["g1"]
