"""ClickHouse without a disk for backups: a backup is tables beside the others, and files in format Native.

An external server offers no disk that BACKUP may write to. Here the parts of a table are attached to a second
one, which takes a moment and no space, and are read from there over the network.
"""

# ruff: noqa: S608 - statements are made of constants and of names that ClickHouse itself gave
from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from scripts.core.errors import StackError
from scripts.core.layout import write_private

from .clickhouse import ClickHouse, literal
from .errors import StoreError

INDEX = "tables.json"
"""What is in a backup that was fetched; one of BACKUP has no such file."""
_BESIDE = re.compile(r"langfuse_(backup|incoming|moving|before_restore|before_repair)_")
"""Begins the name of a table that belongs to a backup."""
_REPLICATED = re.compile(r"ENGINE = (?:Replicated|Shared)(\w*MergeTree)(?:\((?:'[^']*', '[^']*'(?:, )?)?)?")
_DEFINER = re.compile(r"DEFINER = (?:`[^`]*`|\S+) (?=SQL SECURITY )")
_AS_IT_WAS = "SET allow_materialized_view_with_bad_select = 1"
"""https://clickhouse.com/docs/operations/settings/settings#allow_materialized_view_with_bad_select"""
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class SavedTable:
    """A table or view of a backup.

    Attributes:
        statement: that makes it, as ClickHouse shows it.
        database: in which it was.
    """

    name: str
    engine: str
    statement: str
    database: str

    @property
    def is_view(self) -> bool:
        """Whether it has no rows, but a query."""
        return "View" in self.engine

    @property
    def has_rows(self) -> bool:
        """Whether its rows are its own."""
        return "MergeTree" in self.engine or self.engine.endswith("Log") or self.engine == "Memory"

    def create(self, database: str, name: str) -> str:
        """Return the statement that makes it under another name, not replicated."""
        here = rf"(`?{re.escape(self.database)}`?\.)?`?{re.escape(self.name)}`?(?=[ (\n])"
        statement, found = re.subn(
            rf"^(CREATE (?:MATERIALIZED )?(?:TABLE|VIEW)) {here}",
            lambda match: f"{match[1]} `{database}`.`{name}`",
            self.statement,
            count=1,
        )
        if not found:
            raise StoreError(f"ClickHouse makes {self.name} in an unknown way: {self.statement[:120]}")
        if database != self.database:
            quoted = rf"(?<![\w`.'])`?{re.escape(self.database)}`?\.(?=[`\w])"
            statement = re.sub(quoted, f"`{database}`.", statement)
        # Whoever makes a view is its definer.
        return _REPLICATED.sub(_plain_engine, _DEFINER.sub("", statement))


class ClickHouseTables(ClickHouse):
    """See ClickHouse. Backups have the same names there, and are tables of the same database."""

    __slots__ = ()

    def tables(self) -> dict[str, str]:
        return {name: engine for name, engine in self._all_tables().items() if not _BESIDE.match(name)}

    def back_up(self, name: str) -> None:
        """Attach the parts of all tables to tables of the backup; one of the same name is replaced."""
        self.remove(name)
        self.apply_patches()
        saved = self._saved_now()
        for table in saved:
            if table.has_rows:
                beside = f"{prefix(name)}{table.name}"
                self.query(table.create(self.database, beside))
                self._copy(table, beside)
        self._write_contents(name, saved)

    def restore(self, name: str) -> None:
        """Put the tables of a backup in the place of all others. May be repeated when it was interrupted."""
        saved = self._contents(name)
        kept = {table.name for table in saved if table.has_rows}
        everything = self._all_tables()
        for table, engine in sorted(self.tables().items(), key=lambda pair: "View" not in pair[1]):
            beside = f"{prefix(name)}{table}"
            if "View" in engine or table not in kept or beside in everything:
                self._drop(table, engine)
        for one in saved:
            beside = f"{prefix(name)}{one.name}"
            if one.has_rows and beside in everything:
                self.query(f"RENAME TABLE {self._table(beside)} TO {self._table(one.name)}")
            elif not one.has_rows and not one.is_view:
                self.query(one.create(self.database, one.name))
        self._make_views([one for one in saved if one.is_view])

    def has(self, name: str) -> bool:
        """Return whether there is a complete backup of that name."""
        return _contents_table(name) in self._all_tables()

    def remove(self, name: str) -> None:
        """Remove the tables of a backup."""
        # What says that it is complete goes first.
        mine = {one: engine for one, engine in self._all_tables().items() if one.startswith(prefix(name))}
        for table, engine in sorted(mine.items(), key=lambda pair: pair[0] != _contents_table(name)):
            self._drop(table, engine)

    def fetch(self, name: str, into: Path) -> None:
        """Copy a backup to a directory here: a file a partition, which stays the same where its rows do."""
        saved = self._contents(name)
        for table in saved:
            if table.has_rows:
                directory = into / table.name
                directory.mkdir(parents=True, mode=0o700)
                beside = f"{prefix(name)}{table.name}"
                for partition, condition in self._partitions(table, beside):
                    self._read(f"SELECT * FROM {self._table(beside)}{condition}", directory / partition)
        write_private(into / INDEX, json.dumps([asdict(table) for table in saved], indent=1))

    def send(self, source: Path, name: str) -> None:
        """Fill tables of a backup from a directory here."""
        self.remove(name)
        saved = read_index(source)
        for table in saved:
            if table.has_rows:
                beside = f"{prefix(name)}{table.name}"
                self.query(table.create(self.database, beside))
                for path in sorted((source / table.name).glob("*.native")):
                    # Without rows there is nothing in it, and the client refuses to insert that.
                    if path.stat().st_size:
                        self._write(f"INSERT INTO {self._table(beside)} FORMAT Native", path)
        self._write_contents(name, saved)

    def _all_tables(self) -> dict[str, str]:
        return super().tables()

    def _drop(self, table: str, engine: str) -> None:
        kind = "VIEW" if "View" in engine else "TABLE"
        self.query(f"DROP {kind} IF EXISTS {self._table(table)} SYNC")

    def _saved_now(self) -> list[SavedTable]:
        rows = self.rows(
            f"SELECT name, engine, create_table_query AS statement, database FROM system.tables"
            f" WHERE {self._here} ORDER BY name"
        )
        saved = [SavedTable(**row) for row in rows if not _BESIDE.match(row["name"])]
        inner = [table.name for table in saved if table.name.startswith(".inner")]
        if inner:
            raise StoreError(
                f"ClickHouse has views without a target table ({', '.join(inner)}): not supported.",
                fix="drop them: Langfuse has none.",
            )
        return saved

    def _copy(self, table: SavedTable, beside: str) -> None:
        if "MergeTree" not in table.engine:
            self.query(f"INSERT INTO {self._table(beside)} SELECT * FROM {self._table(table.name)}")
            return
        for partition in self._partition_ids(table.name):
            self.query(
                f"ALTER TABLE {self._table(beside)} ATTACH PARTITION ID {literal(partition)}"
                f" FROM {self._table(table.name)}"
            )

    def _partition_ids(self, table: str) -> list[str]:
        rows = self.rows(
            f"SELECT DISTINCT partition_id AS id FROM system.parts WHERE active AND {self._here}"
            f" AND table = {literal(table)} AND NOT startsWith(name, 'patch-') ORDER BY id"
        )
        return [row["id"] for row in rows]

    def _partitions(self, table: SavedTable, beside: str) -> Iterator[tuple[str, str]]:
        """Yield the file of each partition and the condition for its rows."""
        if "MergeTree" not in table.engine:
            yield "all.native", ""
            return
        for partition in self._partition_ids(beside):
            # One thread: rows come in the order of the parts, and the repository finds what it has already.
            yield (
                f"{partition}.native",
                f" WHERE _partition_id = {literal(partition)} SETTINGS max_threads = 1",
            )

    def _make_views(self, views: Sequence[SavedTable]) -> None:
        """Make views in an order in which each finds what it reads."""
        left = list(views)
        while left:
            failed: list[SavedTable] = []
            for view in left:
                try:
                    self._make_view(view)
                except StackError:
                    if len(left) == 1:
                        raise
                    failed.append(view)
            if len(failed) == len(left):
                self._make_view(left[0])
            left = failed

    def _make_view(self, view: SavedTable) -> None:
        """Make a view as it was: also one that reads `*` of a table that has got a column since."""
        # ClickHouse refuses to make such a view by default, and goes on with one that is there (seen: 26.9).
        self.query(f"{_AS_IT_WAS}; {view.create(self.database, view.name)}")

    def _write_contents(self, name: str, saved: Sequence[SavedTable]) -> None:
        """Write down what is in a backup, which makes it complete."""
        table = self._table(_contents_table(name))
        staged = self._table(f"{_contents_table(name)}_")
        self.query(f"CREATE TABLE {staged} (entry String) ENGINE = MergeTree ORDER BY tuple()")
        entries = ", ".join(f"({literal(json.dumps(asdict(one)))})" for one in saved)
        if entries:
            self.query(f"INSERT INTO {staged} VALUES {entries}")
        self.query(f"RENAME TABLE {staged} TO {table}")

    def _contents(self, name: str) -> list[SavedTable]:
        rows = self.rows(f"SELECT entry FROM {self._table(_contents_table(name))}")
        return sorted((SavedTable(**json.loads(row["entry"])) for row in rows), key=lambda one: one.name)

    def _read(self, statement: str, path: Path) -> None:
        """Write the answer to a file, in the format Native."""
        argv = [*self.client, "--query", f"{statement} FORMAT Native"]
        try:
            with path.open("wb") as file:
                self.services.into_file(self.service, argv, file, "")
        except OSError as error:
            raise StoreError(
                f"The rows of ClickHouse could not be copied to {path}: {error}.",
                fix="free some disk space, then repeat.",
            ) from error

    def _write(self, statement: str, path: Path) -> None:
        def produce(stream: IO[bytes]) -> None:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    stream.write(chunk)

        self.services.write(self.service, [*self.client, "--query", statement], produce)


def read_index(source: Path) -> list[SavedTable]:
    """Return what is in a backup that was fetched. Raises StoreError when it is not one of tables."""
    try:
        rows: list[dict[str, Any]] = json.loads((source / INDEX).read_text(encoding="utf-8"))
        return [SavedTable(**row) for row in rows]
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(f"{INDEX} of the backup cannot be read: {error}.") from error


def prefix(name: str) -> str:
    """Return what begins the names of the tables of a backup."""
    begin = f"langfuse_{name.replace('-', '_')}_"
    if not _BESIDE.match(begin):  # else a restore would take them for tables of Langfuse, and drop them
        raise ValueError(f"{name} is not a name of a backup that is kept as tables")
    return begin


def _contents_table(name: str) -> str:
    return f"{prefix(name)}_contents"


def _plain_engine(match: re.Match[str]) -> str:
    """Return the engine without replication, and without the two arguments that it needs for that."""
    return f"ENGINE = {match[1]}{'(' if '(' in match[0] else ''}"
