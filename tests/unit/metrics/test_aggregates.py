"""Measures, aggregations, dimensions and time, with values computed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from langfuse_embedded.metrics.views import VIEWS

from .rows import DAY, PROJECT, SECOND, START, Rows, metric


@pytest.fixture
def latencies() -> Rows:
    """Four observations that take 1, 2, 3 and 10 seconds, and one that has not ended."""
    rows = Rows()
    for seconds in (1, 2, 3, 10):
        rows.observation(end_time=START + seconds * SECOND, user_id="zeus" if seconds < 3 else "athena")
    rows.observation(user_id="")
    return rows


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        ("sum", 16_000),
        ("avg", 4000),
        ("min", 1000),
        ("max", 10_000),
        ("count", 4),
        ("uniq", 4),
        ("p50", 2500),
        ("p75", 4750),
        ("p90", 7900),
        ("p95", 8950),
        ("p99", 9790),
    ],
)
def test_aggregations_of_latency(latencies: Rows, aggregation: str, expected: float) -> None:
    [row] = latencies.ask(measure=("latency", aggregation))
    assert row == {f"{aggregation}_latency": pytest.approx(expected)}


def test_users_are_counted_once_and_nobody_is_none(latencies: Rows) -> None:
    assert latencies.ask(measure=("uniqueUserIds", "uniq")) == [{"uniq_uniqueUserIds": 2}]
    assert latencies.ask(measure=("uniqueUserIds", "count")) == [{"count_uniqueUserIds": 4}]


def test_a_histogram_holds_all_values(latencies: Rows) -> None:
    [row] = latencies.ask(measure=("latency", "histogram"), config={"bins": 2})
    assert [edges for *edges, _ in row["histogram_latency"]] == [[1000, 6000], [6000, 10_000]]
    assert sum(height for *_, height in row["histogram_latency"]) == 4


@pytest.mark.parametrize("count", [1, 2, 999, 1000, 1001, 1002, 1999, 5000])
@pytest.mark.parametrize("different", [1, 7, 5000])
def test_a_histogram_of_counted_whole_numbers_is_that_of_all_values(count: int, different: int) -> None:
    values = [(number * 7919) % different for number in range(count)]
    rows = Rows()
    rows.db.execute("create table latencies as select unnest($values::bigint[]) as ms", {"values": values})
    rows.observation(end_time=None)
    columns = ", ".join(
        "start_time + ms" if name == "end_time" else name
        for name, *_ in rows.db.execute("describe observations").fetchall()
    )
    rows.db.execute(f"insert into observations select {columns} from observations, latencies")  # noqa: S608
    [found] = rows.ask(measure=("latency", "histogram"))
    # Beside another measure nothing is counted beforehand.
    [both] = rows.ask(metrics=[metric("latency", "histogram"), metric("latency", "count")])
    assert found["histogram_latency"] == both["histogram_latency"]
    assert both["count_latency"] == count
    assert sum(height for *_, height in found["histogram_latency"]) == pytest.approx(count)


@pytest.mark.parametrize(
    ("measure", "aggregation", "expected"),
    [
        ("count", "count", 0),
        ("inputTokens", "sum", 0),
        ("inputTokens", "avg", None),
        ("inputTokens", "max", 0),
        ("totalCost", "sum", None),
        ("latency", "max", None),
        ("latency", "histogram", []),
        ("latency", "uniq", 0),
    ],
)
def test_nothing_is_zero_where_rows_always_have_the_measure_and_null_where_not(
    measure: str, aggregation: str, expected: Any
) -> None:
    assert Rows().ask(measure=(measure, aggregation)) == [{f"{aggregation}_{measure}": expected}]


def test_rates_count_the_boundaries_of_seconds() -> None:
    rows = Rows()
    # From 0.9 s to 2.1 s: two boundaries. Within one second: none, so no rate.
    rows.observation(start_time=START + 900, end_time=START + 2100, total_tokens=10)
    rows.observation(start_time=START + 100, end_time=START + 900, total_tokens=10)
    assert rows.ask(measure=("tokensPerSecond", "avg")) == [{"avg_tokensPerSecond": 5}]
    assert rows.ask(measure=("tokensPerSecond", "count")) == [{"count_tokensPerSecond": 1}]


def test_costs_by_type_are_those_of_the_kinds() -> None:
    rows = Rows()
    rows.observation(cost_types=["input", "total"], cost_values=[1.0, 3.0])
    rows.observation(cost_types=["total"], cost_values=[0.5])
    rows.observation()
    assert rows.ask(measure=("costByType", "sum")) == [
        {"costType": "total", "sum_costByType": 3.5},
        {"costType": "input", "sum_costByType": 1},
    ]
    assert rows.ask(by=["costType"]) == [
        {"costType": "total", "count_count": 2},
        {"costType": "input", "count_count": 1},
    ]


def test_each_tool_of_a_list_is_a_group() -> None:
    rows = Rows()
    rows.observation(tool_names=["add", "search"])
    rows.observation(tool_names=["search"])
    rows.observation()
    assert rows.ask(by=["toolNames"]) == [
        {"toolNames": "search", "count_count": 2},
        {"toolNames": "add", "count_count": 1},
    ]


def test_empty_texts_are_null_and_sort_last_in_both_directions() -> None:
    rows = Rows()
    for release in ("r1", "", "r2"):
        rows.observation(release=release)
    for direction, expected in (("asc", ["r1", "r2", None]), ("desc", ["r2", "r1", None])):
        found = rows.ask(by=["release"], orderBy=[{"field": "release", "direction": direction}])
        assert [row["release"] for row in found] == expected


def test_rows_of_other_projects_and_other_times_do_not_count() -> None:
    rows = Rows()
    rows.observation(project=PROJECT + 1)
    rows.observation(start_time=START - 1)
    rows.observation(start_time=START)
    rows.observation(start_time=START + 10 * DAY)  # the end belongs to the range
    rows.observation(start_time=START + 10 * DAY + 1)
    assert rows.ask() == [{"count_count": 2}]


def test_days_without_data_are_filled_in() -> None:
    rows = Rows()
    rows.observation(start_time=START + DAY + 5, total_cost=0.5, environment="staging")
    found = rows.ask(
        by=["environment"],
        metrics=[metric("count", "count"), metric("totalCost", "sum"), metric("inputTokens", "avg")],
        timeDimension={"granularity": "day"},
        toTimestamp="2026-01-03T12:00:00Z",
    )
    empty = {"environment": None, "count_count": 0, "sum_totalCost": None, "avg_inputTokens": 0}
    assert found == [
        {**empty, "time_dimension": "2026-01-01"},
        {
            "environment": "staging",
            "time_dimension": "2026-01-02",
            "count_count": 1,
            "sum_totalCost": 0.5,
            "avg_inputTokens": 0,
        },
    ]


def test_an_order_of_ones_own_leaves_gaps() -> None:
    rows = Rows()
    rows.observation(start_time=START + DAY)
    found = rows.ask(
        timeDimension={"granularity": "day"}, orderBy=[{"field": "count_count", "direction": "desc"}]
    )
    assert found == [{"time_dimension": "2026-01-02", "count_count": 1}]


@pytest.mark.parametrize(
    ("granularity", "start", "end", "expected"),
    [
        ("minute", "2026-01-01T00:00:30Z", "2026-01-01T00:02:10Z", ["T00:00:00Z", "T00:01:00Z"]),
        ("hour", "2026-01-01T00:30:00Z", "2026-01-01T02:00:00Z", ["T00:00:00Z", "T01:00:00Z"]),
        ("week", "2026-01-01T00:00:00Z", "2026-01-13T00:00:00Z", ["2025-12-29", "2026-01-05"]),
        ("month", "2025-11-15T00:00:00Z", "2026-01-02T00:00:00Z", ["2025-11-01", "2025-12-01"]),
    ],
)
def test_buckets_begin_where_minutes_hours_weeks_and_months_do(
    granularity: str, start: str, end: str, expected: list[str]
) -> None:
    found = Rows().ask(timeDimension={"granularity": granularity}, fromTimestamp=start, toTimestamp=end)
    days = {"minute", "hour"}
    shown = [row["time_dimension"].removeprefix("2026-01-01" if granularity in days else "") for row in found]
    assert shown == expected


def test_the_row_limit_counts_filled_buckets() -> None:
    found = Rows().ask(timeDimension={"granularity": "day"}, config={"row_limit": 3})
    assert [row["time_dimension"] for row in found] == ["2026-01-01", "2026-01-02", "2026-01-03"]


def test_scores_of_an_observation_are_counted_per_observation() -> None:
    rows = Rows()
    rows.observation(id="o-1", name="agent", total_cost=2.0)
    rows.observation(id="o-2", name="agent")
    rows.observation(id="o-3", name="tool")
    for observation in ("o-1", "o-1", "o-2"):
        rows.score(observation_id=observation, trace_id="t1")
    found = rows.ask(
        by=["name"],
        metrics=[metric("countScores", "sum"), metric("count", "count"), metric("latency", "avg")],
    )
    assert found == [{"name": "agent", "sum_countScores": 3, "count_count": 2, "avg_latency": None}]


def test_scores_join_the_root_of_their_trace() -> None:
    rows = Rows()
    rows.observation(trace_id="t1", id="root", trace_name="checkout")
    rows.observation(trace_id="t1", id="child", parent_id="root", trace_name="wrong")
    rows.score(trace_id="t1", value=0.5)
    rows.score(trace_id="t1", value=1.0, data_type="BOOLEAN", observation_id="child")
    rows.score(session_id="kosmos", value=9.0)
    rows.score(trace_id="t1", string_value="good", data_type="CATEGORICAL")
    found = rows.ask(view="scores-numeric", by=["traceName"], measure=("value", "avg"))
    assert found == [{"traceName": "checkout", "avg_value": 0.75}]
    assert rows.ask(view="scores-numeric", measure=("value", "max")) == [{"max_value": 9}]
    assert rows.ask(view="scores-boolean", by=["booleanValue"]) == [{"booleanValue": True, "count_count": 1}]
    assert rows.ask(view="scores-categorical", by=["stringValue"]) == [
        {"stringValue": "good", "count_count": 1}
    ]


@pytest.mark.parametrize(
    ("view", "name"), [(view, name) for view, tables in VIEWS.items() for name in tables.dimensions]
)
def test_every_dimension_can_be_grouped_by(view: str, name: str) -> None:
    rows = Rows()
    rows.observation(
        id="o-1", cost_types=["total"], cost_values=[1.0], usage_types=["total"], usage_values=[1.0],
        tool_names=["add"], called_tool_names=["add"],
    )  # fmt: skip
    data_type = {"scores-boolean": "BOOLEAN", "scores-categorical": "CATEGORICAL"}.get(view, "NUMERIC")
    rows.score(trace_id="t1", observation_id="o-1", data_type=data_type)
    top = {"orderBy": [{"field": "count_count", "direction": "desc"}], "config": {"row_limit": 5}}
    found = rows.ask(view=view, by=[name], **top)
    assert [row["count_count"] for row in found] == [1]


@pytest.mark.parametrize(
    ("view", "name", "aggregation"),
    [
        (view, name, aggregation)
        for view, tables in VIEWS.items()
        for name, measure in tables.measures.items()
        for aggregation in measure.aggregations
    ],
)
def test_every_aggregation_of_every_measure_is_answered(view: str, name: str, aggregation: str) -> None:
    rows = Rows()
    rows.observation(
        id="o-1", cost_types=["total"], cost_values=[1.0], usage_types=["total"], usage_values=[1.0]
    )
    data_type = {"scores-boolean": "BOOLEAN", "scores-categorical": "CATEGORICAL"}.get(view, "NUMERIC")
    rows.score(trace_id="t1", observation_id="o-1", data_type=data_type)
    [row] = rows.ask(view=view, measure=(name, aggregation))
    assert f"{aggregation}_{name}" in row
