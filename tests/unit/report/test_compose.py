"""From rows of the Metrics API to the tables of a report."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from scripts.watch.report.compose import (
    agent_costs_of,
    averages_of,
    categories_of,
    costs_of,
    days_of,
    latencies_of,
    projection_of,
    trends_of,
)
from scripts.watch.report.model import Category, Cost, Day, Latency, Point
from scripts.watch.report.queries import Span, window


def amounts(cost: Any, calls: Any = 1, **more: Any) -> dict[str, Any]:
    return {"sum_totalCost": cost, "sum_totalTokens": 10, "count_count": calls, **more}


def days(*costs: float, last: str = "2026-01-31") -> list[Day]:
    """Return days in a row that end with `last`."""
    end = datetime.fromisoformat(last).toordinal()
    dates = [datetime.fromordinal(end - back).date().isoformat() for back in reversed(range(len(costs)))]
    return [Day(date, cost, {}) for date, cost in zip(dates, costs, strict=True)]


def test_numbers_written_as_texts_are_read() -> None:
    rows = [amounts("0.25", "3", userId="zeus")]
    assert costs_of(rows, "userId", rows) == [Cost("zeus", 0.25, 10, 0, 3), Cost("total", 0.25, 10, 0, 3)]


def test_a_group_without_a_name_is_none() -> None:
    found = costs_of([amounts(1.0, userId=None)], "userId", [amounts(1.0)])
    assert [one.name for one in found] == ["(none)", "total"]


def test_what_groups_lack_of_the_total_is_a_row_of_others() -> None:
    found = costs_of([amounts(1.0, 2, userId="zeus")], "userId", [amounts(1.5, 5)])
    assert found[1:] == [Cost("(other)", 0.5, 0, 0, 3), Cost("total", 1.5, 10, 0, 5)]


def test_without_any_call_there_is_a_total_of_nothing() -> None:
    assert costs_of([], "userId", [{"sum_totalCost": None, "count_count": 0}]) == [
        Cost("total", 0.0, 0, 0, 0)
    ]


def test_an_agent_is_the_sum_of_its_rows_and_left_out_without_calls() -> None:
    rows = {
        "router": (amounts(1.0), amounts(2.0, 2)),
        "idle": (amounts(None, 0), amounts(None, 0)),
        "writer": (amounts(4.0), amounts(None, 0)),
    }
    found = agent_costs_of(rows, [amounts(7.5, 5)])
    assert [(one.name, one.cost, one.calls) for one in found] == [
        ("writer", 4.0, 1),
        ("router", 3.0, 3),
        ("(none)", 0.5, 1),
        ("total", 7.5, 5),
    ]


def test_with_more_agents_than_a_table_shows_the_rest_is_not_that_of_no_agent() -> None:
    rows = {f"agent-{number}": (amounts(1.0), amounts(None, 0)) for number in range(20)}
    found = agent_costs_of(rows, [amounts(25.0, 25)])
    assert [(one.name, one.cost) for one in found[-2:]] == [("(other)", 5.0), ("total", 25.0)]


def test_durations_become_seconds_and_errors_a_share() -> None:
    rows = [
        {"name": "router", "count_count": 4, "p50_latency": "1500", "p95_latency": 2000, "p99_latency": None}
    ]
    levels = [
        {"name": "router", "level": "ERROR", "count_count": 1},
        {"name": "router", "level": "DEFAULT", "count_count": 3},
        {"name": "writer", "level": "ERROR", "count_count": 9},
    ]
    assert latencies_of(rows, levels, "name") == [Latency("router", 4, 1.5, 2.0, None, 0.25)]


def test_a_group_that_was_never_timed_has_no_row() -> None:
    assert latencies_of([{"count_count": 0, "p50_latency": None}], []) == []


def test_a_score_without_a_value_has_no_average() -> None:
    rows = [
        {"name": "a", "count_count": 1, "avg_value": None},
        {"name": "b", "count_count": 2, "avg_value": "0.5"},
    ]
    assert [(one.name, one.average) for one in averages_of(rows)] == [("b", 0.5)]


def test_shares_of_categories_are_those_within_a_score() -> None:
    rows = [
        {"name": "tone", "stringValue": "warm", "count_count": 1},
        {"name": "tier", "stringValue": "LOW", "count_count": 1},
        {"name": "tier", "stringValue": "HIGH", "count_count": 3},
    ]
    assert categories_of(rows) == [
        Category("tier", "HIGH", 3, 0.75),
        Category("tier", "LOW", 1, 0.25),
        Category("tone", "warm", 1, 1.0),
    ]


def test_every_day_has_a_row_also_without_costs() -> None:
    span = Span(datetime(2026, 1, 30, tzinfo=UTC), datetime(2026, 2, 1, 5, tzinfo=UTC))
    totals = [{"time_dimension": "2026-01-31T00:00:00Z", "sum_totalCost": "2.5"}]
    models = [
        {"time_dimension": "2026-01-31T00:00:00Z", "sum_totalCost": 2.0, "providedModelName": "gpt-4o"},
        {"time_dimension": "2026-01-31T00:00:00Z", "sum_totalCost": 0, "providedModelName": None},
    ]
    assert days_of(span, totals, models) == [
        Day("2026-01-30", 0.0, {}),
        Day("2026-01-31", 2.5, {"gpt-4o": 2.0}),
        Day("2026-02-01", 0.0, {}),
    ]


def test_trends_have_points_for_days_with_values_in_their_order() -> None:
    rows = [
        {"name": "quality", "time_dimension": "2026-01-02T00:00:00Z", "count_count": 1, "avg_value": 0.5},
        {"name": "quality", "time_dimension": "2026-01-01T00:00:00Z", "count_count": 2, "avg_value": 1},
        {"name": "quality", "time_dimension": "2026-01-03T00:00:00Z", "count_count": 0, "avg_value": 0},
        {"name": None, "time_dimension": "2026-01-03T00:00:00Z", "count_count": 0, "avg_value": None},
    ]
    assert trends_of(rows, ["quality", "rare"]) == {
        "quality": [Point("2026-01-01", 2, 1.0), Point("2026-01-02", 1, 0.5)],
        "rare": [],
    }


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_today_and_what_is_older_than_seven_complete_days_do_not_count() -> None:
    found = projection_of(days(1000, 7, 7, 7, 7, 7, 7, 7, 500), NOON)
    assert (found.days, found.daily, found.next_30_days) == (7, 7, 210)
    assert found.month_end == found.month_to_date + 3.5


def test_a_young_project_is_judged_by_its_own_days() -> None:
    found = projection_of(days(0, 0, 0, 0, 0, 4, 0, 2, 9), NOON)
    assert (found.days, found.daily) == (3, 2)


def test_the_first_day_is_continued_and_marked_as_an_estimate() -> None:
    found = projection_of(days(0, 0, 0, 5), NOON)
    assert (found.daily, found.days, found.estimated) == (10, 0, True)
    assert (found.month_end, found.next_30_days, found.next_365_days) == (10, 300, 3650)


def test_nothing_is_projected_from_the_first_hour_or_from_no_cost() -> None:
    for cost, now in ((5, NOON.replace(hour=1)), (0, NOON)):
        found = projection_of(days(0, 0, 0, cost), now)
        assert (found.daily, found.month_end, found.next_365_days, found.estimated) == (
            None,
            None,
            None,
            False,
        )


def test_the_month_begins_on_its_first_day() -> None:
    found = projection_of(days(1, 1, 1, 3, last="2026-02-01"), datetime(2026, 2, 1, 12, tzinfo=UTC))
    assert found.month_to_date == 3
    assert found.month_end == pytest.approx(3 + 27.5)


@pytest.mark.parametrize(("count", "first"), [(1, "2026-01-31"), (7, "2026-01-25"), (30, "2026-01-02")])
def test_a_window_begins_at_midnight_and_holds_that_many_days(count: int, first: str) -> None:
    span = window(NOON, count)
    assert span.start.isoformat() == f"{first}T00:00:00+00:00"
    assert (len(span.days), span.days[0], span.days[-1]) == (count, first, "2026-01-31")
