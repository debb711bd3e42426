"""Lists that are counted within a window say what the whole would say, or since when they count."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from langfuse_embedded.viewer.filters import Filters, Values
from langfuse_embedded.viewer.noise import NOISE
from langfuse_embedded.viewer.tables import (
    MEMBERS,
    OBSERVATIONS,
    SESSIONS,
    TRACES,
    USERS,
    Order,
    Query,
    Table,
)
from tests.unit.metrics.rows import DAY, PROJECT, START, Rows

MINUTE, HOUR = 60_000, 3_600_000
SMOKE = NOISE["smoke tests"][0]
EVERYTHING = 10**9
WINDOW = 20
TABLES = (OBSERVATIONS, TRACES, SESSIONS, USERS)
ORDERS = [Order("time"), Order("time", ascending=True), Order("cost"), Order("latency")]


@pytest.fixture(scope="module")
def rows() -> Rows:
    """A thousand observations of 250 traces over ten days; some run for days, some have noise in them."""
    random, rows = Random(7), Rows()
    rows.db.execute("begin")
    for trace in range(250):
        begin = START + trace * DAY // 25 + random.randrange(10 * MINUTE)
        is_long = trace % 10 == 0 and trace < 190
        for place in range(4):
            start = begin + random.randrange(2 * DAY if is_long else MINUTE)
            is_noise = random.random() < 0.1
            rows.observation(
                trace_id=f"t{trace}",
                parent_id="r" if place else "",
                start_time=start,
                end_time=start + random.randrange(5000),
                type=random.choice(("SPAN", "GENERATION", "TOOL")),
                level=random.choice(("DEFAULT", "ERROR")),
                environment=SMOKE if is_noise else random.choice(("production", "staging")),
                name=f"step-{place}",
                trace_name=f"trace-{trace % 7}",
                user_id=f"u{trace % 20}",
                session_id=f"s{trace // 3}",
                model=random.choice(("", "hermes-1", "zeus-2")),
                tags=random.choice(([], ["alpha"], ["alpha", "beta"])),
                total_cost=random.random(),
            )
    for number in range(100):
        rows.score(name=f"score-{number % 3}", value=0.5, trace_id=f"t{number}")
    rows.db.execute("commit")
    return rows


def filters(**changes: Any) -> Filters:
    texts = dict.fromkeys(("text", "name", "from", "to", "range", "min", "max"), "")
    plain = Filters({}, texts, [], None, None, None, None)
    return replace(plain, **changes)


CHOSEN = [
    filters(),
    filters(chosen={"level": ["ERROR"]}),
    filters(chosen={"environment": ["staging"], "model": ["hermes-1"]}),
    filters(chosen={"score": ["score-1"]}, score_max=0.7),
    filters(since=START + 2 * DAY, before=START + 9 * DAY),
    filters(shown_noise=list(NOISE)),
]


def queries(rows: Rows, table: Table, given: Filters, window: int) -> tuple[Query, Query]:
    """Return the query of everything, and one whose window has so many observations that fit."""
    if table in (TRACES, SESSIONS) and given.conditions(Values(), name="o.name"):
        window *= MEMBERS

    def run(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        return rows.db.execute(sql, values).fetchall()

    whole, part = (Query(table, given, PROJECT, run, window=size) for size in (EVERYTHING, window))
    assert whole.latest_since is None
    return whole, part


@pytest.mark.parametrize("given", CHOSEN)
@pytest.mark.parametrize("table", TABLES, ids=lambda one: one.name)
def test_a_window_changes_no_row_of_any_page(rows: Rows, table: Table, given: Filters) -> None:
    whole, part = queries(rows, table, given, WINDOW)
    orders = [one for one in ORDERS if one.column in table.sorts]
    assert part.latest_since is not None
    for order in orders:
        expected = whole.keys(order, 2000)
        assert expected
        for limit, offset in ((5, 0), (20, 3), (60, 40), (2000, 0)):
            assert part.keys(order, limit, offset) == expected[offset : offset + limit]
        first, rest = part.parts(order, 2000)
        assert [*first, *rest] == expected
        if order == Order("time") and table is not USERS:
            assert first
    assert part.total() == whole.total() == len(expected)
    if table.key:
        assert [one.key for one in part.sums(expected[:50])] == expected[:50]


@pytest.mark.parametrize("given", CHOSEN)
@pytest.mark.parametrize("table", TABLES, ids=lambda one: one.name)
def test_counts_are_those_of_the_list_since_the_time_that_is_named(
    rows: Rows, table: Table, given: Filters
) -> None:
    whole, part = queries(rows, table, given, WINDOW)
    since = part.latest_since
    assert since is not None
    assert since % MINUTE == 0 or since == given.since
    of_list, _ = queries(rows, table, replace(given, since=since), EVERYTHING)
    counts, counted_since = part.facets()
    assert counted_since == since
    assert of_list.facets() == (counts, None)
    all_counts, nothing = whole.facets()
    assert nothing is None
    assert counts != all_counts
    # One value chosen gives a list as long as its count.
    name, value = next((name, some[0]) for name, some in counts.items() if some and some[0].count > 1)
    chosen = {**given.chosen, name: [value.value]}
    narrowed, _ = queries(rows, table, replace(given, since=since, chosen=chosen), EVERYTHING)
    assert narrowed.total() == value.count


def test_the_window_has_as_many_observations_as_asked_for_and_their_hour(rows: Rows) -> None:
    for table in TABLES:
        _, part = queries(rows, table, filters(), 300)
        assert part.latest_since is not None
        values = {"since": part.latest_since, "smoke": SMOKE}
        sql = "select count(*) from observations where start_time >= $since and environment <> $smoke"
        [(count,)] = rows.db.execute(sql, values).fetchall()
        later = {**values, "since": part.latest_since + HOUR}
        [(fewer,)] = rows.db.execute(sql, later).fetchall()
        assert count >= 300 > fewer


@pytest.mark.parametrize(
    ("table", "wanted"), [(OBSERVATIONS, 200), (TRACES, 20), (SESSIONS, 20), (USERS, 200)]
)
def test_of_what_a_filter_fits_fewer_are_enough_where_all_around_them_counts(
    rows: Rows, table: Table, wanted: int
) -> None:
    def run(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        return rows.db.execute(sql, values).fetchall()

    since = Query(table, filters(chosen={"level": ["ERROR"]}), PROJECT, run, window=200).latest_since
    assert since is not None
    values = {"since": since, "later": since + HOUR, "smoke": SMOKE}
    [(count, fewer)] = rows.db.execute(
        "select count(*) filter (where start_time >= $since), count(*) filter (where start_time >= $later)"
        " from observations where environment <> $smoke and level = 'ERROR'",
        values,
    ).fetchall()
    assert count >= wanted > fewer


@pytest.mark.parametrize("table", TABLES, ids=lambda one: one.name)
def test_what_fits_into_the_window_is_counted_as_a_whole(rows: Rows, table: Table) -> None:
    for given in (filters(chosen={"user": ["u1"]}), filters(chosen={"user": ["nobody"]})):
        whole, part = queries(rows, table, given, 100)
        assert part.latest_since is None
        assert part.facets() == whole.facets()
        assert part.keys(Order("time"), 20) == whole.keys(Order("time"), 20)


def test_an_hour_with_too_many_is_looked_at_by_the_minute() -> None:
    rows = Rows()
    for number in range(100):
        rows.observation(start_time=START + number * MINUTE // 2, trace_id=f"t{number}")
    whole, part = queries(rows, TRACES, filters(), 10)
    assert part.latest_since == START + 45 * MINUTE
    assert part.keys(Order("time"), 5) == whole.keys(Order("time"), 5)
    _, all_of_it = queries(rows, TRACES, filters(), 100)
    assert all_of_it.latest_since is None


def test_where_nothing_began_within_the_window_all_of_it_is_counted() -> None:
    rows = Rows()
    for number in range(100):
        rows.observation(start_time=START + number * MINUTE, session_id="one", trace_id=f"t{number}")
    whole, part = queries(rows, SESSIONS, filters(), 10)
    assert part.latest_since == START + 90 * MINUTE
    assert part.facets() == whole.facets()
    assert [one.count for one in part.facets()[0]["level"]] == [1]
    assert part.keys(Order("time"), 5) == ["one"]
