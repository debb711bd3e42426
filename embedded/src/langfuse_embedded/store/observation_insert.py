"""Insert rows of observations: what is empty is in the statement and is not bound.

Most of the fifty columns of a row are null, empty or a flag. Python's driver takes each null, flag and byte
string through its adapters before it binds it, which cost more than SQLite takes to store the whole row. Rows
with the same empty columns share a statement, and an application has few such shapes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any

from .observation_rows import COLUMNS, PLACE, Row

_LITERALS: dict[Any, str] = {None: "null", "": "''", False: "0", True: "1"}
_MAX_REMEMBERED = 500

_Shape = tuple[str | None, ...]
"""For each column but those of the place its literal, or ``None`` when the value is bound."""


class _Statement:
    """The statement for rows of one shape, and what picks their bound values."""

    __slots__ = ("bound", "sql")

    def __init__(self, shape: _Shape) -> None:
        literals = shape + (None,) * len(PLACE)
        values = ", ".join("?" if literal is None else literal for literal in literals)
        self.sql = f"insert into observations ({', '.join(COLUMNS)}) values ({values})"
        self.bound: Callable[[Row], Row] = itemgetter(
            *(place for place, literal in enumerate(literals) if literal is None)
        )


class _Statements(dict[_Shape, _Statement]):
    """Statements by shape, made when a shape is seen for the first time."""

    def __missing__(self, shape: _Shape) -> _Statement:
        if len(self) >= _MAX_REMEMBERED:
            self.clear()
        statement = self[shape] = _Statement(shape)
        return statement


_statements = _Statements()


def insert_rows(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Insert whole rows in the order of `COLUMNS`.

    Raises:
        sqlite3.IntegrityError: an observation with the same ids is there already.
    """
    by_statement: dict[_Statement, list[Row]] = {}
    for row in rows:
        statement = _statements[tuple(map(_LITERALS.get, row[: -len(PLACE)]))]
        by_statement.setdefault(statement, []).append(statement.bound(row))
    for statement, bound in by_statement.items():
        connection.executemany(statement.sql, bound)
