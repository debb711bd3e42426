"""ClickHouse copied to another one in passes, while it is used: each takes the partitions that have changed.

Most rows are in partitions of past months. The last pass, while nothing is written, need not read them again.
"""

# ruff: noqa: S608 - statements are made of constants and of names that ClickHouse itself gave
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.core.layout import write_private

from .clickhouse import literal
from .clickhouse_tables import INDEX, ClickHouseTables, SavedTable, prefix, read_index

MARKS = "parts.json"
"""What each file of a copy was read from."""
MOVING = "moving"
"""The backup that a copy fills, before it is complete."""
Marks = dict[str, str]
"""By `table/partition`: what tells two states of it apart."""


@dataclass(frozen=True, slots=True)
class ClickHouseCopy(ClickHouseTables):
    """See ClickHouseTables.

    Attributes:
        loaded: the file in which the side that is filled notes what it has.
    """

    loaded: Path = Path()

    def copy(self, into: Path) -> int:
        """Bring files to what the tables in use hold; return how many partitions were read.

        What is written meanwhile is in them or not; the next pass reads such a partition again.
        """
        into.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.apply_patches()
        saved, now = self._saved_now(), self._marks_now()
        known, read = read_marks(into / MARKS), 0
        kept: Marks = {}
        for table in saved:
            (into / table.name).mkdir(exist_ok=True, mode=0o700)
            for partition, condition in self._partitions(table, table.name) if table.has_rows else ():
                name, path = f"{table.name}/{Path(partition).stem}", into / table.name / partition
                mark = now.get(name, "")
                if not mark or known.get(name) != mark or not path.exists():
                    known.pop(name, None)
                    write_marks(into / MARKS, {**known, **kept})
                    path.unlink(missing_ok=True)  # an earlier dump may be the same file
                    self._read(f"SELECT * FROM {self._table(table.name)}{condition}", path)
                    read += 1
                kept[name] = mark
                write_marks(into / MARKS, {**known, **kept})
        for path in into.glob("*/*.native"):
            if f"{path.parent.name}/{path.stem}" not in kept:
                path.unlink()
        write_marks(into / MARKS, kept)
        write_private(into / INDEX, json.dumps([asdict(table) for table in saved], indent=1))
        return read

    def preload(self, source: Path) -> int:
        """Fill tables beside those in use with what has changed; return how many partitions were written."""
        saved = {table.name: table for table in read_index(source) if table.has_rows}
        wanted, loaded = read_marks(source / MARKS), read_marks(self.loaded)
        written, there = 0, self._all_tables()
        for name, engine in there.items():
            if name.startswith(prefix(MOVING)) and name.removeprefix(prefix(MOVING)) not in saved:
                self._drop(name, engine)
        for table in saved.values():
            beside = f"{prefix(MOVING)}{table.name}"
            loaded = self._same_form(table, beside, there, loaded)
            for name, path in _files(source, table):
                if wanted.get(name) and loaded.get(name) == wanted[name]:
                    continue
                loaded.pop(name, None)
                write_marks(self.loaded, loaded)
                if "MergeTree" in table.engine:
                    self._drop_partition(beside, path.stem)
                if path.stat().st_size:
                    self._write(f"INSERT INTO {self._table(beside)} FORMAT Native", path)
                loaded[name] = wanted.get(name, "")
                write_marks(self.loaded, loaded)
                written += 1
            mine = [one for one in loaded if one.startswith(f"{table.name}/") and one != f"{table.name}/"]
            for name in [one for one in mine if one not in wanted]:
                self._drop_partition(beside, name.rpartition("/")[2])
                del loaded[name]
        write_marks(self.loaded, loaded)
        return written

    def send(self, source: Path, name: str) -> None:
        """See ClickHouse. What was filled before is brought to the end, and becomes that backup."""
        self.remove(name)
        self.preload(source)
        self.loaded.unlink()
        saved = read_index(source)
        for table in saved:
            if table.has_rows:
                here, there = f"{prefix(MOVING)}{table.name}", f"{prefix(name)}{table.name}"
                self.query(f"RENAME TABLE {self._table(here)} TO {self._table(there)}")
        self._write_contents(name, saved)

    def forget(self) -> None:
        """Remove what was filled."""
        self.remove(MOVING)
        self.loaded.unlink(missing_ok=True)

    def _same_form(self, table: SavedTable, beside: str, there: dict[str, str], loaded: Marks) -> Marks:
        """Make the table beside where it is not there in this form; return what it holds, with the others."""
        form = f"{table.name}/"
        if beside in there and "MergeTree" in table.engine and loaded.get(form) == table.statement:
            return loaded
        kept = {name: mark for name, mark in loaded.items() if not name.startswith(form)}
        write_marks(self.loaded, kept)
        if beside in there:
            self._drop(beside, there[beside])
        self.query(table.create(self.database, beside))
        return {**kept, form: table.statement}

    def _drop_partition(self, table: str, partition: str) -> None:
        self.query(f"ALTER TABLE {self._table(table)} DROP PARTITION ID {literal(partition)}")

    def _marks_now(self) -> Marks:
        rows = self.rows(
            "SELECT table, partition_id AS id,"
            " toString(sum(cityHash64(name, hash_of_all_files, rows))) AS mark"
            f" FROM system.parts WHERE active AND {self._here} AND NOT startsWith(name, 'patch-')"
            " GROUP BY table, partition_id"
        )
        return {f"{row['table']}/{row['id']}": row["mark"] for row in rows}


def read_marks(path: Path) -> Marks:
    """Return the marks in a file, none where there is no such file."""
    try:
        marks: Marks = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return marks


def write_marks(path: Path, marks: Marks) -> None:
    """Write marks in one step."""
    write_private(path, json.dumps(marks, indent=1, sort_keys=True))


def _files(source: Path, table: SavedTable) -> Iterator[tuple[str, Path]]:
    for path in sorted((source / table.name).glob("*.native")):
        yield f"{table.name}/{path.stem}", path
