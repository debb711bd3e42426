"""The stand-in for the worker holds rows and repeats inserts by the rules of the server's writer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

from rehearsal.langfuse.clickhouse_writer import BATCH_ROWS, ClickHouseWriter


class FakeClickHouse:
    """Refuses an insert that has one of these rows in it, or is away for a while."""

    def __init__(self, *refused: str) -> None:
        self.refused = set(refused)
        self.away: list[Exception] = []
        self.inserts: list[list[str]] = []

    def run(self, sql: str) -> str:
        if self.away:
            raise self.away.pop()
        names = [json.loads(line)["span_id"] for line in sql.splitlines()[1:]]
        if self.refused & set(names):
            raise httpx.HTTPStatusError("refused", request=Any, response=Any)  # type: ignore[arg-type]
        self.inserts.append(names)
        return ""

    @property
    def stored(self) -> list[str]:
        return [name for names in self.inserts for name in names]


class FakeFigures:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.lost = 0
        self.waits: list[float] = []

    def waited(self, seconds: float) -> None:
        self.waits.append(seconds)

    def left(self, _table: str, _rows: int) -> None:
        pass

    def dropped(self, _table: str, rows: int) -> None:
        self.lost += rows


class ReadingClickHouse(FakeClickHouse):
    """Says why it refuses, as ClickHouse does."""

    def run(self, sql: str) -> str:
        try:
            return super().run(sql)
        except httpx.HTTPStatusError:
            message = "Code: 407. DB::Exception: overflow. (DECIMAL_OVERFLOW) (version 26.3)"
            raise httpx.HTTPStatusError(message, request=Any, response=Any) from None  # type: ignore[arg-type]


def spans(*names: str) -> list[Mapping[str, Any]]:
    return [{"span_id": name} for name in names]


def writer_of(clickhouse: FakeClickHouse, figures: FakeFigures, attempts: int = 3) -> ClickHouseWriter:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return ClickHouseWriter(clickhouse, figures, attempts, 0.25, clock=lambda: now[0], sleep=sleep)


def test_rows_wait_in_memory_until_they_are_flushed() -> None:
    clickhouse = FakeClickHouse()
    writer = writer_of(clickhouse, FakeFigures())
    writer.add("events_full", spans("a", "b"))
    assert clickhouse.stored == []
    writer.flush_all()
    assert clickhouse.inserts == [["a", "b"]]


def test_a_full_batch_is_written_at_once_and_the_rest_waits() -> None:
    clickhouse = FakeClickHouse()
    writer = writer_of(clickhouse, FakeFigures())
    writer.add("events_full", spans(*(str(number) for number in range(BATCH_ROWS + 5))))
    assert [len(names) for names in clickhouse.inserts] == [BATCH_ROWS]
    writer.flush_all(whole=True)
    assert [len(names) for names in clickhouse.inserts] == [BATCH_ROWS, 5]


def test_one_refused_row_holds_up_what_comes_with_it_until_its_attempts_are_used_up() -> None:
    """With a ClickHouse that leaves nothing out: the profile of the stack has it leave such rows out."""
    clickhouse, figures = FakeClickHouse("poison"), FakeFigures()
    writer = writer_of(clickhouse, figures)
    writer.add("events_full", spans("before", "poison"))
    writer.flush_all()
    writer.add("events_full", spans("after"))
    writer.flush_all()
    assert (clickhouse.stored, figures.lost) == ([], 0)
    writer.flush_all()
    assert figures.lost == 2, "its neighbours are given up with it"
    writer.flush_all()
    assert clickhouse.stored == ["after"]


def test_a_refused_row_is_set_aside_where_the_file_for_that_is_loaded() -> None:
    clickhouse, figures = ReadingClickHouse("poison"), FakeFigures()
    writer = ClickHouseWriter(clickhouse, figures, 3, 0.25, sets_aside=True)
    writer.add("events_full", spans("a", "b", "poison", "c"))
    writer.flush_all()
    assert (sorted(clickhouse.stored), figures.lost) == (["a", "b", "c"], 0)


def test_where_all_rows_are_refused_they_are_tried_again() -> None:
    clickhouse, figures = ReadingClickHouse("a", "b"), FakeFigures()
    writer = ClickHouseWriter(clickhouse, figures, 3, 0.25, sets_aside=True)
    writer.add("events_full", spans("a", "b"))
    writer.flush_all()
    clickhouse.refused = set()
    writer.flush_all()
    assert sorted(clickhouse.stored) == ["a", "b"]


def test_a_timeout_is_tried_again_within_one_flush_and_costs_no_attempt() -> None:
    clickhouse, figures = FakeClickHouse(), FakeFigures()
    clickhouse.away = [httpx.ReadTimeout("slow"), httpx.ReadTimeout("slow")]
    writer = writer_of(clickhouse, figures)
    writer.add("scores", spans("a"))
    writer.flush_all()
    assert (clickhouse.stored, figures.lost) == (["a"], 0)
