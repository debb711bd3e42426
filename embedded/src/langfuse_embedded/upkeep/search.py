"""Search the databases of a data directory for ids and texts, also within what is compressed."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import zstandard

from langfuse_embedded.errors import DataDirectoryError
from langfuse_embedded.store.database import open_database

from .snapshot import BEFORE_EVENTS, DATABASES

_ZSTANDARD = b"\x28\xb5\x2f\xfd"


def search(data_dir: Path, wanted: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Return for each table how many rows it has, and how many of them have something that is wanted.

    May run beside an engine. Media are files of their own, and not searched.

    Args:
        wanted: `ids` in hexadecimal or any other form, and a regular expression `pattern`, or an empty text.

    Raises:
        DataDirectoryError: a database is missing or cannot be read.
    """
    ids = [one for one in wanted["ids"] if one]
    needles = {one.encode() for one in ids} | {packed for one in ids if (packed := _packed(one))}
    pattern = re.compile(wanted["pattern"].encode()) if wanted["pattern"] else None
    found: dict[str, tuple[int, int]] = {}
    judges = [BEFORE_EVENTS] if (data_dir / BEFORE_EVENTS).is_file() else []
    for name in (*DATABASES, *judges):
        try:
            with closing(open_database(data_dir / name, readonly=True)) as db:
                for (table,) in db.execute("select name from sqlite_schema where type = 'table'").fetchall():
                    rows = [_has(row, needles, pattern) for row in db.execute(f'select * from "{table}"')]
                    found[f"{name} {table}"] = (len(rows), sum(rows))
        except sqlite3.Error as error:
            raise DataDirectoryError(f"{data_dir / name} cannot be read: {error}.") from error
    return found


def _has(row: sqlite3.Row, needles: set[bytes], pattern: re.Pattern[bytes] | None) -> bool:
    whole = b"\0".join(map(_bytes, row))
    return any(needle in whole for needle in needles) or bool(pattern and pattern.search(whole))


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return zstandard.decompress(value) if value.startswith(_ZSTANDARD) else value
    return str(value).encode("utf-8", "surrogatepass")


def _packed(identifier: str) -> bytes:
    try:
        return bytes.fromhex(identifier)
    except ValueError:
        return b""
