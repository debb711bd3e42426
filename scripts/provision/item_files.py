"""Read dataset items from JSONL and CSV files, each with the line where it stands."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from .content import DatasetItem
from .widget_fields import nearest

_COLUMNS = tuple(DatasetItem.model_fields)
_OBJECTS = ("input", "expected_output", "metadata")


class ItemFileError(Exception):
    """A line that cannot be read."""

    def __init__(self, line: int, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason
        self.fix = fix


def read_items(text: str, suffix: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line number (from 1) and content of each item.

    JSONL: an object with the fields of an item on each line. CSV: a header with these fields; a column
    `input.question` makes `input` an object; a cell that is JSON is read as such, an empty one is left out.

    Raises:
        ItemFileError: a line is not an item.
    """
    yield from _csv_rows(text) if suffix == ".csv" else _json_rows(text)


def _json_rows(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, row in enumerate(text.split("\n"), start=1):
        if not row.strip():
            continue
        try:
            value = json.loads(row)
        except ValueError as error:
            raise ItemFileError(line, f"this is not JSON: {error}", "write one object on each line") from None
        if not isinstance(value, dict):
            raise ItemFileError(line, "this is not a JSON object", 'write {"input": ...} on each line')
        yield line, value


def _csv_rows(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    rows = csv.reader(io.StringIO(text), strict=True)
    try:
        header = next(rows, [])
        for number, column in enumerate(header):
            if column in header[:number] or any(other.startswith(f"{column}.") for other in header):
                raise ItemFileError(
                    1, f"the column {column!r} is given twice", "keep one, or use its parts only"
                )
            if column.split(".")[0] not in _COLUMNS or (
                "." in column and column.split(".")[0] not in _OBJECTS
            ):
                raise ItemFileError(1, f"unknown column {column!r}", nearest(column, _COLUMNS))
        line = rows.line_num + 1
        for row in rows:
            if row and len(row) != len(header):
                raise ItemFileError(
                    line, f"{len(row)} cells instead of {len(header)}", "put quotes around a cell with commas"
                )
            if row:
                yield line, _item(header, row)
            line = rows.line_num + 1
    except csv.Error as error:
        raise ItemFileError(rows.line_num, f"this is not CSV: {error}", "close the quotes") from None


def _item(header: list[str], row: list[str]) -> dict[str, Any]:
    item: dict[str, Any] = {}
    for column, cell in zip(header, row, strict=True):
        if cell == "":
            continue
        name, *inner = column.split(".")
        value = _value(cell) if name in _OBJECTS else cell
        if not inner:
            item[name] = value
            continue
        target = item.setdefault(name, {})
        for part in inner[:-1]:
            target = target.setdefault(part, {})
        target[inner[-1]] = value
    return item


def _value(cell: str) -> Any:
    try:
        return json.loads(cell)
    except ValueError:
        return cell
