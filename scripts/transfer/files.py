"""The files of an export: parts of bounded size, by day, with a manifest that lists the complete ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from scripts.core.layout import write_private

from .remote import Row, TransferError

FORMATS = ("parquet", "jsonl", "csv")
MANIFEST = "manifest.json"
_CHUNK = 1 << 20
_SHORTEST_BUFFER = 1 << 24


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
    """

    format: str
    project: str
    query: Mapping[str, str]
    parts: list[Part] = field(default_factory=list)
    cursors: dict[str, str] = field(default_factory=dict)
    complete: list[str] = field(default_factory=list)

    def save(self, directory: Path) -> None:
        """Write it in one step."""
        write_private(directory / MANIFEST, json.dumps(asdict(self), indent=1) + "\n")

    def rows(self, kind: str) -> int:
        """Return how many rows of a kind are exported."""
        return sum(part.rows for part in self.parts if part.path.startswith(f"{kind}/"))


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
        elif sha256(path) != part.sha256:
            lines.append(f"{part.path} has other content than when it was exported")
    return lines


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    whole = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            whole.update(chunk)
    return whole.hexdigest()


def write_part(directory: Path, path: str, rows: Sequence[Row], columns: Mapping[str, str]) -> Part:
    """Write rows to a file whose ending names the format; it has its name only when it is complete."""
    target = directory / path
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = target.with_suffix(".lines.tmp")
    longest = 0
    with lines.open("wb") as file:
        for row in rows:
            line = orjson.dumps(row if target.suffix == ".jsonl" else _flat(row, columns))
            longest = max(longest, file.write(line + b"\n"))
    finished = lines if target.suffix == ".jsonl" else _convert(lines, target, columns, longest)
    size, digest = finished.stat().st_size, sha256(finished)
    finished.replace(target)
    lines.unlink(missing_ok=True)
    return Part(path, len(rows), size, digest)


def read_part(path: Path) -> Iterator[Row]:
    """Yield the rows of a file as they were exported; nested values of Parquet and CSV are parsed."""
    if path.suffix == ".jsonl":
        with path.open("rb") as file:
            yield from map(orjson.loads, file)
        return
    import duckdb

    reader = "read_parquet" if path.suffix == ".parquet" else "read_csv"
    options = "" if path.suffix == ".parquet" else ", all_varchar = true, header = true, nullstr = '\\N'"
    with duckdb.connect(config={"memory_limit": "128MB", "threads": 1}) as database:
        result = database.execute(f"select * from {reader}(?{options})", [str(path)])  # noqa: S608 - constants
        names = [column[0] for column in result.description]
        while rows := result.fetchmany(1000):
            for row in rows:
                yield {name: value for name, value in zip(names, row, strict=True) if value is not None}


def _flat(row: Row, columns: Mapping[str, str]) -> Row:
    """Return a row for a table: nested values become JSON texts."""
    return {name: _text(row.get(name)) if kind == "json" else row.get(name) for name, kind in columns.items()}


def _text(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _convert(lines: Path, target: Path, columns: Mapping[str, str], longest: int) -> Path:
    import duckdb

    fresh = target.with_suffix(target.suffix + ".tmp")
    types = {name: "varchar" if kind == "json" else kind for name, kind in columns.items()}
    shape = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in types.items()) + "}"
    options = (
        "format parquet, compression zstd"
        if target.suffix == ".parquet"
        else "format csv, header true, nullstr '\\N'"
    )
    # DuckDB reserves twice the longest line that it must take.
    reserve = max(_SHORTEST_BUFFER, longest)
    reading = f"format = 'newline_delimited', columns = {shape}, maximum_object_size = {reserve}"
    source = f"read_json('{_quoted(lines)}', {reading})"
    with duckdb.connect(config={"memory_limit": f"{192 + 3 * reserve // 2**20}MB", "threads": 1}) as database:
        database.execute(f"copy (select * from {source}) to '{_quoted(fresh)}' ({options})")  # noqa: S608
    return fresh


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
