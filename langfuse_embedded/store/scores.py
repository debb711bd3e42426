"""Read scores: one by id, lists newest first with filters."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .hexid import pack
from .score_rows import SELECT, StoredScore, score_of

_IDS = frozenset(("trace_id", "observation_id"))


class ScorePlace(NamedTuple):
    """Where a list goes on: behind this score."""

    timestamp: int
    id: str


@dataclass(slots=True)
class ScoreQuery:
    """Which scores to read. Every condition must hold.

    Attributes:
        project: key of the project in the rows.
        limit: how many rows at most.
        any_of: columns with the texts that they may hold.
        numbers: exact numbers of `value`, or ``None``.
        minimum, maximum: inclusive bounds of `value`.
        since, before: inclusive and exclusive bounds of the time, Unix milliseconds.
        after: the last score of the page before.
        offset: how many rows to pass over.
        horizon: number in the sequence up to which rows are visible, ``None`` for all.
    """

    project: int
    limit: int
    any_of: dict[str, Sequence[str]] = field(default_factory=dict)
    numbers: Sequence[float] | None = None
    minimum: float | None = None
    maximum: float | None = None
    since: int | None = None
    before: int | None = None
    after: ScorePlace | None = None
    offset: int = 0
    horizon: int | None = None

    @property
    def is_cheap(self) -> bool:
        """Whether an index leads to few rows, so that the event loop may wait for it."""
        return not self.any_of.keys().isdisjoint(("id", "trace_id", "session_id"))


def find_scores(connection: sqlite3.Connection, query: ScoreQuery) -> list[StoredScore]:
    """Return the scores, newest first, those of one moment by descending id."""
    where, values = _where(query)
    rows = connection.execute(
        f"{SELECT} where {where} order by timestamp desc, id desc limit ? offset ?",
        (*values, query.limit, query.offset),
    )
    return [score_of(row) for row in rows]


def _where(query: ScoreQuery) -> tuple[str, list[str | bytes | float]]:
    parts: list[str] = ["project = ?"]
    values: list[str | bytes | float] = [query.project]
    for column, texts in query.any_of.items():
        parts.append(f"{column} in ({', '.join('?' * len(texts))})")
        values += [pack(text) for text in texts] if column in _IDS else texts
    if query.numbers is not None:
        parts.append(f"value in ({', '.join('?' * len(query.numbers))})")
        values += query.numbers
    for condition, bound in (
        ("value >= ?", query.minimum),
        ("value <= ?", query.maximum),
        ("timestamp >= ?", query.since),
        ("timestamp < ?", query.before),
        ("seq <= ?", query.horizon),
    ):
        if bound is not None:
            parts.append(condition)
            values.append(bound)
    if query.after is not None:
        parts.append("(timestamp, id) < (?, ?)")
        values += query.after
    return " and ".join(parts), values
