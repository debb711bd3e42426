"""Conditions: which rows they let through, and which conditions are refused."""

from __future__ import annotations

from typing import Any

import pytest

from langfuse_embedded.http.errors import InvalidData, InvalidRequest

from .rows import START, Rows


@pytest.fixture
def rows() -> Rows:
    """Three observations that differ in all that is filtered."""
    rows = Rows()
    rows.observation(id="first", name="llm-call", release="r1", tags=["alpha"], called_tool_names=["add"])
    rows.metadata(tier="gold", empty="")
    rows.observation(id="second", name="tool-call", release="", tags=["alpha", "beta"], is_root=False)
    rows.observation(id="third", name="agent", release="r2", start_time=START + 1000, cost_types=["total"],
                     cost_values=[1.0], prompt_version=3)  # fmt: skip
    return rows


def condition(column: str, kind: str, operator: str, value: Any, **more: Any) -> dict[str, Any]:
    """Return a condition as clients write it."""
    return {"column": column, "type": kind, "operator": operator, "value": value, **more}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (condition("name", "string", "=", "agent"), 1),
        (condition("name", "string", "contains", "call"), 2),
        (condition("name", "string", "does not contain", "call"), 1),
        (condition("name", "string", "starts with", "llm"), 1),
        (condition("name", "string", "ends with", "call"), 2),
        (condition("release", "string", "=", ""), 1),
        (condition("release", "string", "contains", ""), 1),
        (condition("release", "string", "does not contain", "1"), 1),
        (condition("release", "stringOptions", "any of", ["r1", ""]), 2),
        (condition("release", "stringOptions", "none of", ["r1"]), 1),
        (condition("release", "null", "is null", ""), 1),
        (condition("release", "null", "is not null", ""), 2),
        (condition("name", "stringOptions", "none of", ["agent"]), 2),
        (condition("tags", "arrayOptions", "any of", ["beta", "gamma"]), 1),
        (condition("tags", "arrayOptions", "none of", ["beta"]), 2),
        (condition("tags", "arrayOptions", "all of", ["alpha", "beta"]), 1),
        (condition("calledToolNames", "arrayOptions", "any of", ["add"]), 1),
        (condition("isRootObservation", "boolean", "=", False), 1),
        (condition("isRootObservation", "boolean", "<>", False), 2),
        (condition("start_time", "datetime", ">", "2026-01-01T00:00:00Z"), 1),
        (condition("costType", "string", "=", "total"), 1),
        (condition("promptVersion", "string", "=", "3"), 1),
        (condition("metadata", "stringObject", "=", "gold", key="tier"), 1),
        (condition("metadata", "stringObject", "contains", "ol", key="tier"), 1),
        (condition("metadata", "stringObject", "does not contain", "x", key="tier"), 1),
        (condition("metadata", "stringObject", "=", "", key="empty"), 1),
        (condition("metadata", "stringObject", "=", "", key="absent"), 0),
        (condition("agentName", "string", "=", "agent"), 1),
    ],
)
def test_conditions_let_the_right_rows_through(rows: Rows, wanted: dict[str, Any], expected: int) -> None:
    assert rows.ask(filters=[wanted]) == [{"count_count": expected}]


def test_all_conditions_must_hold(rows: Rows) -> None:
    both = [condition("name", "string", "contains", "call"), condition("release", "string", "=", "r1")]
    assert rows.ask(filters=both) == [{"count_count": 1}]


@pytest.mark.parametrize(
    ("wanted", "kind", "fitting"),
    [
        (condition("name", "number", "=", 5), "dimension type 'string'", "'string' or 'stringOptions'"),
        (condition("tags", "string", "=", "a"), "dimension type 'string[]'", "'arrayOptions'"),
        (condition("start_time", "string", "=", "x"), "time dimension 'start_time'", "'datetime'"),
    ],
)
def test_conditions_that_do_not_fit_a_dimension_are_refused(
    rows: Rows, wanted: dict[str, Any], kind: str, fitting: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        rows.ask(filters=[wanted])
    assert str(refused.value) == (
        f"Invalid filter for field '{wanted['column']}': Filter type '{wanted['type']}' is not supported for "
        f"{kind}. Expected {fitting}."
    )


@pytest.mark.parametrize("column", ["latency", "startTime", "statusMessage"])
def test_only_dimensions_the_time_and_metadata_can_be_filtered(rows: Rows, column: str) -> None:
    with pytest.raises(InvalidRequest, match=f"Invalid filter column {column}. Must be one of id,traceId,"):
        rows.ask(filters=[condition(column, "string", "=", "x")])


def test_metadata_takes_texts_by_key_only(rows: Rows) -> None:
    with pytest.raises(InvalidRequest, match="Metadata filters require type 'stringObject'"):
        rows.ask(filters=[condition("metadata", "string", "=", "gold")])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"by": ["planet"]}, "Invalid dimension planet. Must be one of id,traceId,"),
        ({"measure": ("beauty", "sum")}, "Invalid metric beauty. Must be one of count,traceId,"),
        ({"measure": ("traceId", "sum")}, 'Aggregation "sum" is not valid for measure "traceId"'),
        ({"by": ["costType", "usageType"]}, "Only one pairExpand dimension is supported per query."),
        ({"orderBy": [{"field": "count", "direction": "asc"}]}, "Invalid orderBy field: count."),
        ({"by": ["userId"]}, r"High cardinality dimension\(s\) 'userId' require both 'config.row_limit'"),
        (
            {"by": ["id", "userId"], "timeDimension": {"granularity": "day"}},
            r"High cardinality dimension\(s\) 'id, userId' cannot be used with timeDimension.",
        ),
    ],
)
def test_what_a_view_does_not_offer_is_refused(rows: Rows, query: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        rows.ask(**query)


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ({"fromTimestamp": "2026-02-01T00:00:00Z"}, [["query"]]),
        ({"fromTimestamp": "yesterday"}, [["query", "fromTimestamp"], ["query"]]),
        ({"config": {"row_limit": 0}}, [["query", "config", "row_limit"]]),
        ({"config": {"bins": 101}}, [["query", "config", "bins"]]),
        ({"view": "traces"}, [["query", "view"]]),
        ({"timeDimension": {"granularity": "year"}}, [["query", "timeDimension", "granularity"]]),
    ],
)
def test_queries_of_another_shape_are_refused_with_the_place(
    rows: Rows, query: dict[str, Any], paths: list[list[str]]
) -> None:
    with pytest.raises(InvalidData) as refused:
        rows.ask(**query)
    assert [issue["path"] for issue in refused.value.issues] == paths
