"""The tree of a trace shows every observation once, whatever its parents say."""

from __future__ import annotations

from typing import Any, cast

from langfuse_embedded.store.hexid import pack
from langfuse_embedded.store.observation_query import StoredObservation
from langfuse_embedded.viewer.trace_tree import tree_of


def observation(
    name: str, parent: str | None = None, start: int = 0, end: int | None = 100
) -> StoredObservation:
    row: dict[str, Any] = {
        "span_id": pack(name),
        "parent_span_id": None if parent is None else pack(parent),
        "start_time": start,
        "end_time": end,
    }
    return StoredObservation(cast("Any", row))


def shape(*observations: StoredObservation) -> list[tuple[str, int]]:
    return [(row.observation.id, row.depth) for row in tree_of(observations, {}).rows]


def test_children_follow_their_parent_in_the_order_of_time() -> None:
    assert shape(
        observation("root"),
        observation("one", "root"),
        observation("two", "root"),
        observation("inner", "one"),
    ) == [("root", 0), ("one", 1), ("inner", 2), ("two", 1)]


def test_an_observation_without_its_parent_stands_on_the_first_level() -> None:
    assert shape(observation("orphan", "elsewhere"), observation("child", "orphan")) == [
        ("orphan", 0),
        ("child", 1),
    ]


def test_a_circle_of_parents_is_shown_once() -> None:
    assert shape(observation("one", "two"), observation("two", "one"), observation("self", "self")) == [
        ("one", 0),
        ("two", 1),
        ("self", 0),
    ]


def test_a_chain_of_ten_thousand_is_no_recursion() -> None:
    chain = [observation("0"), *(observation(str(n), str(n - 1)) for n in range(1, 10_000))]
    rows = tree_of(chain, {}).rows
    assert (len(rows), rows[-1].depth) == (10_000, 9_999)


def test_bars_lie_where_the_observations_lie_in_time() -> None:
    tree = tree_of(
        [observation("root", start=1000, end=2000), observation("late", "root", start=1750, end=2000)],
        {"late": ["a", "b"]},
    )
    assert (tree.start, tree.duration) == (1000, 1000)
    assert [(row.bar.left, row.bar.width) for row in tree.rows] == [(0, 100), (75, 25)]
    assert [list(row.scores) for row in tree.rows] == [[], ["a", "b"]]


def test_no_end_and_an_end_before_the_start_leave_a_visible_bar_inside() -> None:
    tree = tree_of(
        [
            observation("root", end=1000),
            observation("open", "root", 1000, None),
            observation("odd", "root", 900, 5),
        ],
        {},
    )
    assert [row.duration for row in tree.rows] == [1000, None, -895]
    for row in tree.rows:
        assert row.bar.width > 0
        assert 0 <= row.bar.left <= 100 - row.bar.width


def critical(*observations: StoredObservation) -> list[str]:
    return [row.observation.id for row in tree_of(observations, {}).rows if row.is_critical]


def test_the_critical_path_is_what_ended_last_and_what_that_waited_for() -> None:
    assert critical(
        observation("root", None, 0, 100),
        observation("search", "root", 0, 30),
        observation("beside", "root", 5, 20),
        observation("answer", "root", 30, 100),
        observation("model", "answer", 35, 95),
        observation("log", "answer", 40, 50),
    ) == ["root", "search", "answer", "model"]


def test_a_child_that_outlives_its_parent_is_still_what_was_waited_for() -> None:
    assert critical(observation("root", None, 0, 50), observation("late", "root", 10, 90)) == ["root", "late"]


def test_the_critical_path_survives_circles_and_open_ends() -> None:
    assert critical(observation("one", "two"), observation("two", "one")) == []
    assert critical(observation("root", None, 0, 9), observation("open", "root", 3, None)) == ["root", "open"]


def test_own_time_is_what_no_child_covers() -> None:
    tree = tree_of(
        [
            observation("root", None, 0, 100),
            observation("one", "root", 10, 40),
            observation("over", "root", 30, 60),
            observation("beyond", "root", 90, 300),
            observation("open", "root", 95, None),
        ],
        {},
    )
    assert {row.observation.id: tree.own_time(row.observation) for row in tree.rows} == {
        "root": 40,
        "one": 30,
        "over": 30,
        "beyond": 210,
        "open": None,
    }


def test_gaps_are_when_a_span_with_children_ran_and_none_of_them_did() -> None:
    tree = tree_of(
        [
            observation("root", None, 1000, 2000),
            observation("one", "root", 1100, 1400),
            observation("over", "root", 1300, 1500),
            observation("leaf", "over", 1300, 1301),
            observation("soon", "root", 1503, 1600),
            observation("beyond", "root", 1900, 2500),
        ],
        {},
    )
    gaps = {row.observation.id: [(gap.left, gap.width) for gap in row.gaps] for row in tree.rows}
    # Of 1,500 ms; the 3 ms before "soon" are too short to be seen.
    assert gaps.pop("root") == [(0, 6.67), (40, 20)]
    assert gaps.pop("over") == [(20.07, 13.27)]
    assert not any(gaps.values())
    [root, one] = [row.observation for row in tree.rows[:2]]
    assert tree.longest_gap(root) == (600, 300)
    assert tree.longest_gap(one) is None


def test_no_row_has_more_than_the_twenty_longest_gaps() -> None:
    steps = [observation(str(n), "root", n * 100 + n, (n + 1) * 100) for n in range(100)]
    tree = tree_of([observation("root", None, 0, 10_000), *steps], {})
    gaps = tree.rows[0].gaps
    assert len(gaps) == 20
    assert [gap.left for gap in gaps] == sorted(gap.left for gap in gaps)
    assert min(gap.width for gap in gaps) == 0.8
