"""Rows of a metrics statement as the API shows them: empty time buckets, numbers, times, histograms."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from langfuse_embedded.clock import iso
from langfuse_embedded.http.errors import Unprocessable
from langfuse_embedded.javascript.values import whole

from .compiler import TIME, Column, Statement
from .histogram import DEFAULT_BINS, histogram
from .query import MetricsQuery

_STEPS = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000, "week": 7 * 86_400_000}
_MONDAY = 4 * 86_400_000  # 1970-01-05
# More rows than anybody can draw. A limit is always given but in the legacy API.
_MAX_ROWS = 100_000


def present(
    query: MetricsQuery, statement: Statement, rows: Sequence[tuple[Any, ...]]
) -> list[dict[str, Any]]:
    """Return the rows as JSON objects.

    Raises:
        Unprocessable: the range of time has too many buckets.
    """
    columns = statement.columns
    bins = query.bins or DEFAULT_BINS
    if statement.fill is not None:
        rows = _filled(rows, statement, _buckets(query.start, query.end, statement.fill))
    return [
        {
            column.name: _shown(column, value, query.granularity, bins)
            for column, value in zip(columns, row, strict=True)
        }
        for row in rows
    ]


def _filled(
    rows: Sequence[tuple[Any, ...]], statement: Statement, buckets: Iterator[int]
) -> list[tuple[Any, ...]]:
    """Add a row for each bucket that has none; `rows` are in the order of time."""
    place = next(i for i, column in enumerate(statement.columns) if column.name == TIME)
    limit = statement.row_limit or _MAX_ROWS
    result: list[tuple[Any, ...]] = []
    waiting = iter(rows)
    row = next(waiting, None)
    for bucket in buckets:
        empty = True
        while row is not None and row[place] <= bucket:
            result.append(row)
            empty = False
            row = next(waiting, None)
        if empty:
            result.append(
                tuple(bucket if column.name == TIME else column.filler for column in statement.columns)
            )
        if len(result) >= limit:
            break
    else:
        # The bucket of the end is not filled in, but shown when it has data.
        if row is not None:
            result += [row, *waiting]
    if statement.row_limit is None and len(result) >= _MAX_ROWS:
        raise Unprocessable(
            f"The result has more than {_MAX_ROWS} rows: narrow the time range or use a coarser granularity."
        )
    return result[:limit]


def _buckets(start: int, end: int, granularity: str) -> Iterator[int]:
    """Yield the beginnings of the buckets from that of `start` to before that of `end`."""
    if granularity == "month":
        yield from _months(start, end)
        return
    step = _STEPS[granularity]
    shift = _MONDAY if granularity == "week" else 0
    first = (start - shift) // step * step + shift
    last = (end - shift) // step * step + shift
    yield from range(first, last, step)


def _months(start: int, end: int) -> Iterator[int]:
    first, last = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (start, end))
    for number in range(first.year * 12 + first.month - 1, last.year * 12 + last.month - 1):
        moment = datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)
        yield int(moment.timestamp()) * 1000


def _shown(column: Column, value: Any, granularity: str | None, bins: int) -> Any:
    if column.name == TIME and granularity is not None:
        return _time(value, granularity)
    if column.is_histogram:
        return _histogram(value, bins)
    return _number(value)


def _time(ms: int, granularity: str) -> str:
    text = iso(ms)
    # Buckets of a day and more are dates.
    return f"{text[:19]}Z" if granularity in ("minute", "hour") else text[:10]


def _histogram(value: Any, bins: int) -> list[list[Any]]:
    if not value or not value["points"]:
        return []
    return [[_number(edge) for edge in entry] for entry in histogram(value["points"], value["total"], bins)]


def _number(value: Any) -> Any:
    """Return whole floats as integers, as the server's JSON shows them, and null for NaN and infinity."""
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    return whole(value)
