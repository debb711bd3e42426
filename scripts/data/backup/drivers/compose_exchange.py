"""Put restored stores of the compose engine in the place of the old ones, which can come back until the end.

PostgreSQL is filled beside the database in use and renamed into place. ClickHouse makes a backup of itself
before its tables are replaced. Valkey exchanges its database for an empty one. Buckets get what they lack. In
external stores the same happens beside what is in use: schemas, tables and keys with other names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.core.journal import Journal
from scripts.data.backup.errors import BackupError
from scripts.data.backup.manifest import Contents, count_differences
from scripts.docker.compose import Compose
from scripts.stores.clickhouse import BEFORE, ClickHouse
from scripts.stores.clickhouse_tables import ClickHouseTables
from scripts.stores.external import reach
from scripts.stores.postgres import DUMP, DUMP_OF_SCHEMA, Postgres
from scripts.stores.s3 import Bucket
from scripts.stores.valkey import Valkey

from . import objects

ADDED = "added-objects.txt"
INCOMING = "incoming"
"""The backup on ClickHouse's disk that a restore brings."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What the journal of an exchange says.

    Attributes:
        clickhouse: whether ClickHouse has made a backup of itself.
        only: the stores that take part; without one all of them.
        as_tables: whether ClickHouse keeps its backups as tables.
    """

    clickhouse: bool
    only: tuple[str, ...] = ()
    as_tables: bool = False


def journal_of(work: Path) -> Journal[Noted]:
    """Return the journal, from before the first change until the old stores are not needed any more."""
    fix = (
        "restore a backup of before (make backups): delete the file, then make restore BACKUP=... REPLACE=1."
    )
    return Journal(work / "stores.json", Noted, fix)


@dataclass(frozen=True, slots=True)
class Parts:
    """The stores of a stack, opened, and what of a capture goes into them."""

    services: Compose
    postgres: Postgres
    clickhouse: ClickHouse
    valkey: Valkey
    media: Callable[[], Bucket]
    events: Callable[[], Bucket]
    only: frozenset[str]

    def wants(self, store: str) -> bool:
        """Return whether a store takes part."""
        return not self.only or store in self.only


@dataclass(frozen=True, slots=True)
class ComposeExchange:
    """See Exchange. Without `capture` and its `contents` it can only be undone."""

    parts: Parts
    work: Path
    capture: Path | None = None
    contents: Contents | None = None

    def begin(self) -> None:
        assert self.capture is not None and self.contents is not None  # noqa: S101, PT018 - see the class
        parts = self.parts
        start_stores(parts.services)
        self._tidy()
        self._note(clickhouse=False)
        # Nothing in use changes from here ...
        if parts.wants("media"):
            self._add(parts.media, self.capture / "media")
        if parts.wants("clickhouse"):
            for mirrored in ("events", "scores"):
                self._add(parts.events, self.capture / mirrored)
            parts.clickhouse.send(self.capture / "clickhouse", INCOMING)
            parts.clickhouse.back_up(BEFORE)
            self._note(clickhouse=True)
        if parts.wants("postgres"):
            of_schema = self.capture / DUMP_OF_SCHEMA
            parts.postgres.load(of_schema if of_schema.exists() else self.capture / DUMP)
            # ... to here.
            parts.postgres.exchange()
        parts.valkey.set_aside()
        if parts.wants("clickhouse"):
            parts.clickhouse.restore(INCOMING)
            parts.clickhouse.remove(INCOMING)
        self._verify(self.capture, self.contents)

    def undo(self) -> None:
        noted, parts = journal_of(self.work).read(), self.parts
        if noted is None:
            return
        start_stores(parts.services)
        if noted.clickhouse and parts.clickhouse.has(BEFORE):
            parts.clickhouse.restore(BEFORE)
        parts.postgres.exchange_back()
        parts.valkey.bring_back()
        for open_bucket in (parts.media, parts.events):
            with open_bucket() as bucket:
                for key in self._added(bucket.location.bucket):
                    bucket.delete(key)
        self._tidy()
        journal_of(self.work).forget()

    def commit(self) -> None:
        journal_of(self.work).forget()
        self._tidy()
        if self.parts.wants("media") and self.capture is not None:
            kept = {one.key for one in objects.read_index(self.capture / "media")}
            with self.parts.media() as bucket:
                for key in [found.key for found in bucket.objects() if found.key not in kept]:
                    bucket.delete(key)

    def _note(self, *, clickhouse: bool) -> None:
        as_tables = isinstance(self.parts.clickhouse, ClickHouseTables)
        journal_of(self.work).save(Noted(clickhouse, tuple(sorted(self.parts.only)), as_tables))

    def _tidy(self) -> None:
        """Remove what an exchange leaves that is over."""
        parts = self.parts
        parts.postgres.forget_before()
        parts.valkey.forget()
        for name in (BEFORE, INCOMING):
            parts.clickhouse.remove(name)
        (self.work / ADDED).unlink(missing_ok=True)

    def _add(self, open_bucket: Callable[[], Bucket], mirrored: Path) -> None:
        with open_bucket() as bucket, (self.work / ADDED).open("a", encoding="utf-8") as file:

            def added(key: str) -> None:
                file.write(json.dumps([bucket.location.bucket, key]) + "\n")
                file.flush()

            objects.put_back(bucket, mirrored, added)

    def _added(self, bucket: str) -> Sequence[str]:
        try:
            lines = (self.work / ADDED).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return ()
        # A kill may have cut the last line; its object was not written yet then.
        whole = [json.loads(line) for line in lines if line.endswith("]")]
        return [key for name, key in whole if name == bucket]

    def _verify(self, capture: Path, contents: Contents) -> None:
        """Compare the stores with the manifest while nothing else writes to them."""
        parts = self.parts
        found: dict[str, dict[str, int]] = {}
        if parts.wants("postgres"):
            found |= prefixed("postgres", parts.postgres.counts())
        if parts.wants("clickhouse"):
            found |= prefixed("clickhouse", parts.clickhouse.counts())
        stores = {table.split(".")[0] for table in found}
        wanted = {table: counts for table, counts in contents.counts.items() if table.split(".")[0] in stores}
        problems = count_differences(
            Contents(contents.schema, wanted, ()), Contents(contents.schema, found, ())
        )
        if parts.wants("media"):
            with parts.media() as bucket:
                problems += objects.differences(bucket, objects.read_index(capture / "media"))
        if problems:
            raise BackupError(
                "The restored stores are not what was saved.",
                details=problems[:20],
                fix="restore another backup: make backups.",
            )


def start_stores(services: Compose) -> None:
    """Start the bundled stores and what reaches external ones, and nothing that uses them.

    The buckets of a bundled object store are there afterwards.
    """
    reach(services)
    bundled = services.bundled()
    if bundled:  # without a name Compose starts everything
        services.up(*bundled)
    if "postgres" in bundled:
        services.run_once("roles")
    if "seaweedfs" in bundled:
        services.run_once("buckets")


def prefixed(store: str, counts: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """Return counts with the store before the name of each table."""
    return {f"{store}.{table}": of_table for table, of_table in counts.items()}
