"""Rows on their way to ClickHouse, as the server's worker holds them: in memory, when their job is done.

The rules are those of worker/src/services/ClickhouseWriter/index.ts at v4.16.0: a table's rows go in one
insert, at most a batch at a time; what fails goes to the end of the queue with one attempt more, all rows of
the insert alike, and is given up when its attempts are used up; a stop writes everything once. Where
config/langfuse/set-refused-rows-aside.cjs is loaded, refused rows are set aside as that file does.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import httpx

from .rows import json_lines

log = logging.getLogger("rehearsal.worker")

BATCH_ROWS = 1000
RETRY_S = 0.1
_IDS_SHOWN = 20
_OF_ROWS = re.compile(
    r"\((CANNOT_PARSE_\w+|CANNOT_CONVERT_TYPE|DECIMAL_OVERFLOW|INCORRECT_DATA|VIOLATED_CONSTRAINT)\)"
)


class Inserts(Protocol):
    """What takes an insert. Raises httpx.HTTPError when it is refused or nobody answers."""

    def run(self, sql: str) -> str:
        """Carry out a statement."""


class Figures(Protocol):
    """What the writer reports to."""

    def waited(self, seconds: float) -> None:
        """Note how long a row had waited when it was tried."""

    def left(self, table: str, rows: int) -> None:
        """Note how many rows wait after a write that succeeded."""

    def dropped(self, table: str, rows: int) -> None:
        """Count rows that were given up."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    row: Mapping[str, Any]
    since: float
    attempts: int = 1


class ClickHouseWriter:
    """The one writer of a worker. Safe for several threads, which write one after the other."""

    def __init__(
        self,
        clickhouse: Inserts,
        figures: Figures,
        attempts: int,
        interval_s: float,
        *,
        sets_aside: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clickhouse = clickhouse
        self._figures = figures
        self._attempts = attempts
        self._interval_s = interval_s
        self._sets_aside = sets_aside
        self._clock = clock
        self._sleep = sleep
        self._writing = threading.RLock()
        self._queue = threading.Lock()
        self._rows: dict[str, list[_Waiting]] = defaultdict(list)

    def add(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take rows; a full batch is written at once."""
        now = self._clock()
        with self._queue:
            self._rows[table] += [_Waiting(row, now) for row in rows]
            is_full = len(self._rows[table]) >= BATCH_ROWS
        if is_full:
            self.flush(table)

    def run(self) -> None:
        """Write what waits in each interval, as long as the process lives."""
        while True:
            self._sleep(self._interval_s)
            self.flush_all()

    def flush_all(self, *, whole: bool = False) -> None:
        """Write a batch of each table, or with `whole` all that waits."""
        for table in list(self._rows):
            self.flush(table, whole=whole)

    def flush(self, table: str, *, whole: bool = False) -> None:
        """Write one batch of a table, or with `whole` all that waits."""
        with self._writing:
            with self._queue:
                waiting = self._rows[table]
                size = len(waiting) if whole else BATCH_ROWS
                batch, self._rows[table] = waiting[:size], waiting[size:]
            if not batch:
                return
            for one in batch:
                self._figures.waited(self._clock() - one.since)
            try:
                self._write(table, [one.row for one in batch])
            except httpx.HTTPError as error:
                log.error("ClickhouseWriter.flush %s %s", table, error)
                self._put_back(table, batch)
                return
            self._figures.left(table, len(self._rows[table]))

    def _write(self, table: str, rows: list[Mapping[str, Any]]) -> None:
        """Insert rows; those at fault are named and left out when others are taken."""
        refused: list[Mapping[str, Any]] = []
        taken, last = self._insert_in_parts(table, rows, refused)
        if last and not taken:
            raise last
        if refused:
            ids = [str(row.get("span_id") or row.get("id")) for row in refused[:_IDS_SHOWN]]
            log.error(
                "ClickhouseWriter: ClickHouse refuses %d %s record(s), set aside: %s: %s",
                *(len(refused), table, ", ".join(ids), last),
            )

    def _insert_in_parts(
        self, table: str, rows: list[Mapping[str, Any]], refused: list[Mapping[str, Any]]
    ) -> tuple[int, httpx.HTTPStatusError | None]:
        """Return how many rows were taken, and what was said of those that were not."""
        try:
            self._insert(table, rows)
        except httpx.HTTPStatusError as error:
            if not self._sets_aside or not _OF_ROWS.search(str(error)):
                raise
            if len(rows) == 1:
                refused += rows
                return 0, error
            middle = (len(rows) + 1) // 2
            first, said = self._insert_in_parts(table, rows[:middle], refused)
            second, later = self._insert_in_parts(table, rows[middle:], refused)
            return first + second, said or later
        return len(rows), None

    def _insert(self, table: str, rows: list[Mapping[str, Any]]) -> None:
        sql = (
            f"INSERT INTO {table} SETTINGS async_insert = 1, wait_for_async_insert = 1"
            f" FORMAT JSONEachRow\n{json_lines(rows)}"
        )
        for attempt in range(1, self._attempts + 1):
            try:
                self._clickhouse.run(sql)
            # Only these are tried again at once, and without end but for the number of attempts.
            except (httpx.TimeoutException, httpx.RemoteProtocolError) as error:
                log.warning(
                    "ClickHouse Writer failed with retryable error for %s (attempt %d/%d): %s",
                    *(table, attempt, self._attempts, error),
                )
                if attempt == self._attempts:
                    raise
                self._sleep(RETRY_S)
            else:
                return

    def _put_back(self, table: str, batch: list[_Waiting]) -> None:
        again = [replace(one, attempts=one.attempts + 1) for one in batch if one.attempts < self._attempts]
        with self._queue:
            self._rows[table] += again
        given_up = [one.row for one in batch if one.attempts >= self._attempts]
        if given_up:
            self._figures.dropped(table, len(given_up))
            ids = [str(row.get("span_id") or row.get("id")) for row in given_up[:_IDS_SHOWN]]
            log.error(
                "ClickhouseWriter: Max attempts reached, dropped %d %s record(s): %s",
                *(len(given_up), table, ", ".join(ids)),
            )
