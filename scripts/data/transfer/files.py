"""The files of an export: parts of bounded size, by day, with a manifest that lists the complete ones."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from scripts.api.client import Row
from scripts.core.checksums import file_sha256
from scripts.core.layout import write_private
from scripts.core.outside import csv_cell, from_csv_cell

from .remote import TransferError

FORMATS = ("parquet", "jsonl", "csv")
MANIFEST = "manifest.json"
_SHORTEST_BUFFER = 1 << 24
_NULL = "\\N"
"""What is nothing in CSV; a text of this form gets one more backslash."""
_LIKE_NULL = re.compile(r"\\+N")


@dataclass(frozen=True, slots=True)
class Part:
    """A complete file; `path` is relative to the export."""

    path: str
    rows: int
    bytes: int
    sha256: str


@dataclass(slots=True)
class Manifest:
    """What an export consists of so far, and where each kind of thing goes on.

    Attributes:
        query: the filters; an export goes on only with the same ones.
        cursors: by kind, the place behind the last complete part; empty for the begin.
        complete: kinds that are exported to their end.
        kinds: all that were asked for.
        skipped: what the server did not give, and why; all else is there.
    """

    format: str
    project: str
    query: Mapping[str, str]
    parts: list[Part] = field(default_factory=list)
    cursors: dict[str, str] = field(default_factory=dict)
    complete: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def skip(self, what: str, why: str) -> None:
        """Note that something could not be read, and is not in the export."""
        line = f"{_short(what)}: {_short(why)}"
        if line not in self.skipped:
            self.skipped.append(line)

    def save(self, directory: Path) -> None:
        """Write it in one step."""
        write_private(directory / MANIFEST, json.dumps(asdict(self), indent=1) + "\n")

    def rows(self, kind: str) -> int:
        """Return how many rows of a kind are exported."""
        return sum(part.rows for part in self.parts if part.path.startswith(f"{kind}/"))


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:120]}... ({len(text):,} characters)"


def load_manifest(directory: Path) -> Manifest | None:
    """Return the manifest of an export, or None where there is none yet.

    Raises:
        TransferError: it cannot be read.
    """
    try:
        document = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        parts = [Part(**part) for part in document.pop("parts")]
        return Manifest(**document, parts=parts)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise TransferError(
            f"{directory / MANIFEST} cannot be read: {error}.", fix="export into a new directory."
        ) from error


def damaged_parts(directory: Path, manifest: Manifest) -> list[str]:
    """Return what is missing or has other content than the manifest says, a line each."""
    lines = []
    for part in manifest.parts:
        path = directory / part.path
        if not path.is_file():
            lines.append(f"{part.path} is missing")
        elif file_sha256(path) != part.sha256:
            lines.append(f"{part.path} has other content than when it was exported")
    return lines


def write_part(directory: Path, path: str, rows: Sequence[Row], columns: Mapping[str, str]) -> Part:
    """Write rows to a file whose ending names the format; it has its name only when it is complete."""
    target = directory / path
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_suffix(target.suffix + ".tmp")
    if target.suffix == ".jsonl":
        fresh.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    elif target.suffix == ".csv":
        _write_csv(fresh, rows, columns)
    else:
        _write_parquet(fresh, rows, columns)
    size, digest = fresh.stat().st_size, file_sha256(fresh)
    fresh.replace(target)
    return Part(path, len(rows), size, digest)


def read_part(path: Path) -> Iterator[Row]:
    """Yield the rows of a file as they were exported; nested values of Parquet and CSV are JSON texts.

    Raises:
        TransferError: it holds something else.
    """
    try:
        if path.suffix == ".jsonl":
            with path.open("rb") as file:
                yield from map(orjson.loads, file)
        elif path.suffix == ".csv":
            yield from _read_csv(path)
        else:
            yield from _read_parquet(path)
    except (OSError, ValueError, csv.Error) as error:
        raise TransferError(f"{path} cannot be read: {error}.", fix="export into a new directory.") from error


def _write_csv(path: Path, rows: Sequence[Row], columns: Mapping[str, str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_cell(value) for value in _flat(row, columns).values()])


def _cell(value: Any) -> str:
    if value is None:
        return _NULL
    if not isinstance(value, str):
        return orjson.dumps(value).decode()
    return "\\" + value if _LIKE_NULL.fullmatch(value) else csv_cell(value)


def _read_csv(path: Path) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)  # an input may have megabytes
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {
                name: text.removeprefix("\\") if _LIKE_NULL.fullmatch(text) else from_csv_cell(text)
                for name, text in row.items()
                if text != _NULL
            }


def _read_parquet(path: Path) -> Iterator[Row]:
    import duckdb

    try:
        with duckdb.connect(config={"memory_limit": "1GB", "threads": 1}) as database:
            result = database.execute("select * from read_parquet(?)", [str(path)])
            names = [column[0] for column in result.description]
            while rows := result.fetchmany(100):
                for row in rows:
                    yield {name: value for name, value in zip(names, row, strict=True) if value is not None}
    except duckdb.Error as error:
        raise TransferError(f"{path} cannot be read: {error}", fix="export into a new directory.") from error


def _write_parquet(path: Path, rows: Sequence[Row], columns: Mapping[str, str]) -> None:
    import duckdb

    lines = path.with_suffix(".lines")
    longest = 0
    with lines.open("wb") as file:
        for row in rows:
            longest = max(longest, file.write(orjson.dumps(_flat(row, columns)) + b"\n"))
    types = {name: "varchar" if kind == "json" else kind for name, kind in columns.items()}
    shape = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in types.items()) + "}"
    # DuckDB reserves twice the longest line that it must take.
    reserve = max(_SHORTEST_BUFFER, longest)
    reading = f"format = 'newline_delimited', columns = {shape}, maximum_object_size = {reserve}"
    source = f"read_json('{_quoted(lines)}', {reading})"
    memory = f"{192 + (3 * reserve + 2 * lines.stat().st_size) // 2**20}MB"
    options = "format parquet, compression zstd"
    with duckdb.connect(config={"memory_limit": memory, "threads": 1}) as database:
        database.execute(f"copy (select * from {source}) to '{_quoted(path)}' ({options})")  # noqa: S608
    lines.unlink()


def _flat(row: Row, columns: Mapping[str, str]) -> Row:
    """Return a row for a table: nested values become JSON texts."""
    return {name: _text(row.get(name)) if kind == "json" else row.get(name) for name, kind in columns.items()}


def _text(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
