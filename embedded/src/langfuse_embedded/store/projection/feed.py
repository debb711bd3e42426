"""Copies rows from SQLite to DuckDB in bulk: SQLite writes JSON lines, DuckDB reads them.

No row passes through Python, and both libraries work without the interpreter lock: 50,000 rows a second
beside a server that goes on answering. Measured against lists as parameters, JSON as a parameter, and CSV,
which take 1.7 to 2.5 times as long.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_BATCH = 20_000
# What DuckDB's reader takes for one line unless told otherwise.
USUAL_LINE = 16 * 2**20


def _id(column: str) -> str:
    """Return the SQL of an id as text (`store/hexid.py` keeps the bytes of hexadecimal ones)."""
    return f"case typeof({column}) when 'blob' then lower(hex({column})) else {column} end"


def _list(column: str) -> str:
    return f"json(coalesce({column}, '[]'))"


def _finite(column: str, otherwise: str) -> str:
    # JSON has no infinity, which a client may have sent.
    return f"iif(abs({column}) < 1e300, {column}, {otherwise})"


@dataclass(frozen=True, slots=True)
class Copied:
    """A table that is copied: what of it, and how DuckDB reads it."""

    source: str
    """The table in SQLite, with a condition where not all rows are copied."""
    table: str
    fields: Mapping[str, tuple[str, str]]
    """SQLite expression and DuckDB type of each field of a line."""
    columns: tuple[str, ...]
    """DuckDB expressions over the fields, in the order of the table's columns."""


_OBSERVATION_FIELDS = {
    "seq": ("seq", "bigint"),
    "project": ("project", "integer"),
    "id": (_id("span_id"), "varchar"),
    "trace_id": (_id("trace_id"), "varchar"),
    "parent_id": (f"coalesce({_id('parent_span_id')}, '')", "varchar"),
    "is_root": ("json(iif(parent_span_id is null or is_app_root, 'true', 'false'))", "boolean"),
    "start_time": ("start_time", "bigint"),
    "end_time": ("end_time", "bigint"),
    "completion_start_time": ("completion_start_time", "bigint"),
    "name": ("name", "varchar"),
    "type": ("type", "varchar"),
    "level": ("level", "varchar"),
    "version": ("version", "varchar"),
    "release": ("release", "varchar"),
    "environment": ("environment", "varchar"),
    "user_id": ("user_id", "varchar"),
    "session_id": ("session_id", "varchar"),
    "trace_name": (
        "iif(trace_name = '' and (parent_span_id is null or is_app_root), name, trace_name)",
        "varchar",
    ),
    "tags": (_list("tags"), "varchar[]"),
    "model": ("model", "varchar"),
    "prompt_name": ("prompt_name", "varchar"),
    "prompt_version": ("prompt_version", "bigint"),
    "input_tokens": ("coalesce(input_tokens, 0)", "bigint"),
    "output_tokens": ("coalesce(output_tokens, 0)", "bigint"),
    "total_tokens": ("coalesce(total_tokens, 0)", "bigint"),
    "input_cost": (_finite("input_cost", "0.0"), "double"),
    "output_cost": (_finite("output_cost", "0.0"), "double"),
    "total_cost": (_finite("total_cost", "0.0"), "double"),
    "usage": ("json(coalesce(usage, '{}'))", "map(varchar, double)"),
    "cost": ("json(coalesce(cost, '{}'))", "map(varchar, double)"),
    "tool_names": (_list("tool_names"), "varchar[]"),
    "called_tool_names": (_list("called_tool_names"), "varchar[]"),
    "experiment_id": ("coalesce(experiment_id, '')", "varchar"),
    "experiment_name": ("coalesce(experiment_name, '')", "varchar"),
    "experiment_dataset_id": ("coalesce(experiment_dataset_id, '')", "varchar"),
}
_EXPANDED = {
    "usage": ("map_keys(usage)", "map_values(usage)"),
    "cost": ("map_keys(cost)", "map_values(cost)"),
}

OBSERVATIONS = Copied(
    "observations where true",
    "observations",
    _OBSERVATION_FIELDS,
    tuple(part for name in _OBSERVATION_FIELDS for part in _EXPANDED.get(name, (name,))),
)

_SCORE_FIELDS = {
    "seq": ("seq", "bigint"),
    "project": ("project", "integer"),
    "id": ("id", "varchar"),
    "timestamp": ("timestamp", "bigint"),
    "name": ("name", "varchar"),
    "environment": ("environment", "varchar"),
    "source": ("source", "varchar"),
    "data_type": ("data_type", "varchar"),
    "value": (_finite("value", "null"), "double"),
    "string_value": ("string_value", "varchar"),
    "trace_id": (_id("trace_id"), "varchar"),
    "observation_id": (_id("observation_id"), "varchar"),
    "session_id": ("session_id", "varchar"),
    "experiment_id": ("experiment_id", "varchar"),
    "config_id": ("config_id", "varchar"),
}
SCORES = Copied("scores where true", "scores", _SCORE_FIELDS, tuple(_SCORE_FIELDS))

SCORE_METADATA = Copied(
    "scores where metadata is not null",
    "score_metadata",
    {"seq": ("seq", "bigint"), "metadata": ("json(metadata)", "map(varchar, varchar)")},
    ("seq", "map_keys(metadata)", "map_values(metadata)"),
)


def copy_rows(
    source: sqlite3.Connection,
    target: duckdb.DuckDBPyConnection,
    copied: Copied,
    after: int,
    upto: int,
    scratch: Path,
) -> None:
    """Append the rows numbered after `after` up to `upto`; `scratch` is a file of our own to write to.

    Raises:
        sqlite3.Error, duckdb.Error, OSError: nothing is committed here, so nothing is half done.
    """
    batch = _BATCH
    while after < upto:
        try:
            lines, longest, last = _lines(source, copied, after, upto, batch)
        except sqlite3.DataError:
            if batch == 1:
                raise
            # Together too long for one text of SQLite: rows of many megabytes.
            batch = max(1, batch // 16)
            continue
        if lines is None:
            return
        scratch.write_text(lines, "utf-8")
        try:
            _append(target, copied, scratch, longest)
        finally:
            scratch.unlink()
        after = last


def _lines(
    source: sqlite3.Connection, copied: Copied, after: int, upto: int, limit: int
) -> tuple[str | None, int, int]:
    """Return JSON lines, the length of the longest in characters, and the number of the last row."""
    document = ", ".join(f"'{name}', {sql}" for name, (sql, _) in copied.fields.items())
    lines, longest, last = source.execute(
        "select group_concat(line, char(10)), max(length(line)), max(seq) from ("
        f" select seq, json_object({document}) as line from {copied.source}"
        " and seq > ? and seq <= ? order by seq limit ?)",
        (after, upto, limit),
    ).fetchone()
    return lines, longest or 0, last or upto


def _append(target: duckdb.DuckDBPyConnection, copied: Copied, file: Path, longest: int) -> None:
    shape = ", ".join(f"'{name}': '{kind}'" for name, (_, kind) in copied.fields.items())
    # A character takes up to four bytes.
    room = max(USUAL_LINE, 4 * longest)
    target.execute(
        f"insert into {copied.table} select {', '.join(copied.columns)} from read_json($file,"
        f" format = 'newline_delimited', columns = {{{shape}}}, maximum_object_size = {room})",
        {"file": str(file)},
    )
