"""The exports that the worker has written to ClickHouse, and the engine that shows them."""

from __future__ import annotations

from collections.abc import Iterator

from .stores import ClickHouse

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS rehearsal_batches (key String, project_id String, body String,"
    " inserted_at DateTime64(6, 'UTC') DEFAULT now64(6)) ENGINE = ReplacingMergeTree ORDER BY key"
)
# Inserts become visible a little out of the order of their times.
_OVERLAP_US = 5_000_000
_NEW = (
    "SELECT key, toString(toUnixTimestamp64Micro(inserted_at)) AS at FROM rehearsal_batches"
    " WHERE toUnixTimestamp64Micro(inserted_at) >= {since:Int64} ORDER BY at"
)


class Batches:
    """Hands out each export of the table once. Raises httpx.HTTPError."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse
        self._since = "0"
        self._seen: set[str] = set()

    def migrate(self) -> None:
        """Make the table."""
        self._clickhouse.run(_SCHEMA)

    def new(self) -> Iterator[tuple[str, str]]:
        """Yield project id and JSON array of resourceSpans of every export that is new.

        One that the consumer failed on comes again with the next call.
        """
        rows = self._clickhouse.rows(_NEW, since=str(int(self._since) - _OVERLAP_US))
        for row in rows:
            if row["key"] not in self._seen:
                found = self._clickhouse.rows(
                    "SELECT project_id, body FROM rehearsal_batches WHERE key = {key:String} LIMIT 1",
                    key=row["key"],
                )
                yield found[0]["project_id"], found[0]["body"]
                self._seen.add(row["key"])
            self._since = row["at"]
