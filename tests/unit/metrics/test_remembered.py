"""Counts are remembered exactly as long as nothing was stored or deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from langfuse_embedded.store.projection import RememberedRows

from .test_projection import COUNT, Store


class Counting(Store):
    """A store that counts the statements that reach its projection."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self.asked = 0
        asks = self.projection.rows

        def rows(*arguments: Any, **more: Any) -> list[tuple[Any, ...]]:
            self.asked += 1
            return asks(*arguments, **more)

        self.projection.rows = rows  # type: ignore[method-assign]
        self.remembered = RememberedRows(self.projection, self.events)

    def number(self, horizon: int | None = None) -> int:
        """Return how many observations are counted."""
        [found] = self.remembered.rows(COUNT, {}, horizon)
        return int(found[0])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Counting]:
    opened = Counting(tmp_path)
    yield opened
    opened.close()


def test_a_count_is_asked_for_once_until_something_is_stored_or_deleted(store: Counting) -> None:
    rows = store.add(3)
    assert [store.number() for _ in range(3)] == [3, 3, 3]
    assert store.asked == 1
    store.add(2)
    assert [store.number(), store.number()] == [5, 5]
    assert store.asked == 2
    store.forget(rows[:1])
    assert [store.number(), store.number()] == [4, 4]
    assert store.asked == 3


def test_statements_and_values_are_told_apart(store: Counting) -> None:
    store.add(4)
    sql = "select count(*) from observations where seq > $after"
    rows = store.remembered.rows
    assert [rows(sql, {"after": after})[0][0] for after in (0, 2, 0, 2)] == [4, 2, 4, 2]
    assert store.asked == 2
    assert store.number() == 4
    assert store.asked == 3


def test_what_is_stored_while_a_statement_runs_is_never_remembered_wrongly(store: Counting) -> None:
    store.add(1)
    asks = store.projection.rows

    def slow(*arguments: Any, **more: Any) -> list[tuple[Any, ...]]:
        found = asks(*arguments, **more)
        store.add(1)
        return found

    store.projection.rows = slow  # type: ignore[method-assign]
    assert store.number() == 1
    store.projection.rows = asks  # type: ignore[method-assign]
    assert store.number() == 2


def test_what_is_not_visible_yet_is_not_counted_from_memory(store: Counting) -> None:
    first = store.add(2)
    assert store.number(first[-1]) == 2
    later = store.add(3)
    assert store.number(first[-1]) == 2
    assert store.number(later[-1]) == 5
    assert store.asked == 2


def test_few_statements_and_no_long_answers_are_kept(store: Counting) -> None:
    store.add(1)
    for number in range(300):
        store.remembered.rows(f"select {number}", {})
    assert len(store.remembered._found) == 256
    long = "select * from range(1001)"
    assert len(store.remembered.rows(long, {})) == len(store.remembered.rows(long, {})) == 1001
    assert store.asked == 302
