"""Search every store of a stack for a subject: what `erase` shows to an auditor."""

# ruff: noqa: S608 - statements are made of names that the stores themselves gave, and of quoted texts
from __future__ import annotations

import json
import mmap
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from scripts.core.runner import checked
from scripts.engines.base import EngineName
from scripts.engines.context import Context
from scripts.engines.embedded import MODULE
from scripts.settings.values import Settings
from scripts.stores.buckets import EVENTS, EXPORTS, MEDIA, open_bucket
from scripts.stores.clickhouse import ClickHouse
from scripts.stores.clickhouse import literal as clickhouse_literal
from scripts.stores.errors import StoreError
from scripts.stores.event_batches import ROOT, parse_batch, spans_of
from scripts.stores.identifiers import Needles
from scripts.stores.opening import clickhouse_of, postgres_of, valkey_of
from scripts.stores.postgres import Postgres, literal
from scripts.stores.s3 import NoSuchObject
from scripts.stores.valkey import Valkey

# What stays on purpose, and why: by table of PostgreSQL the column with ids that chance has made.
KEPT = {
    "pending_deletions": ("object_id", "ids of deleted traces: without them a replay would bring them back"),
    "audit_logs": ("resource_id", "who deleted which id when, without content: the proof of the erasure"),
}
_NEEDLES_A_QUESTION = 200  # ClickHouse takes up to 255 at a time
_CONDITIONS_A_STATEMENT = 20  # a statement has 256 KiB at most
_THREADS = 16
_TIMEOUT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Place:
    """One part of a store, how much of it was searched, and in how much of it something was found.

    Attributes:
        kept: why what was found stays; empty: it should not be there.
    """

    name: str
    searched: int
    found: int
    kept: str = ""

    @property
    def wrong(self) -> bool:
        """Whether something is there that should not be."""
        return self.found > 0 and not self.kept


def search(context: Context, settings: Settings, needles: Needles) -> list[Place]:
    """Return every place of the stack, also those where nothing was found.

    Raises:
        StackError: a store cannot be searched.
    """
    if context.current_engine(settings).name is EngineName.EMBEDDED:
        return [*search_embedded(context, needles), *search_files(context, needles)]
    services = context.compose(settings)
    return [
        *search_postgres(postgres_of(services), needles),
        *search_clickhouse(clickhouse_of(services), needles),
        *(place for name in (EVENTS, MEDIA, EXPORTS) for place in search_bucket(settings, name, needles)),
        *search_valkey(valkey_of(services), needles),
        *search_files(context, needles),
    ]


def search_postgres(postgres: Postgres, needles: Needles) -> Iterator[Place]:
    """Yield the tables of PostgreSQL."""
    tables = postgres.query(
        "SELECT to_json(table_name) FROM information_schema.tables"
        " WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY table_name;"
    )
    statements = [_rows_with(table, needles) for table in map(json.loads, tables.splitlines())]
    for row in postgres.query("\n".join(statements)).splitlines():
        table, searched, found, kept = json.loads(row)
        yield Place(f"PostgreSQL {table}", searched, found)
        if table in KEPT:
            column, why = KEPT[table]
            yield Place(f"PostgreSQL {table}.{column}", searched, kept, kept=why)


def _rows_with(table: str, needles: Needles) -> str:
    """Return the statement that counts the rows of a table, and those that have a needle.

    Random ids in the column that keeps them count apart.
    """
    column = KEPT.get(table, ("", ""))[0]
    random = f"ANY (SELECT strpos(said, one) > 0 FROM unnest(ARRAY[{_texts(needles.random)}]::text[]) AS one)"
    anywhere = [f"true = {random}"] if needles.random else []
    if needles.chosen:
        anywhere.append(f"said ~ {literal(needles.pattern())}")
    kept = f"t.{column} = ANY (ARRAY[{_texts(needles.random)}]::text[])" if column else "false"
    return (
        f"SELECT json_build_array({literal(table)}, count(*),"
        f" count(*) FILTER (WHERE {' OR '.join(anywhere) or 'false'}), count(*) FILTER (WHERE {kept}))"
        f' FROM "{table}" AS t, LATERAL (SELECT (to_jsonb(t) - {literal(column)})::text AS said) AS texts;'
    )


def _texts(texts: Sequence[str]) -> str:
    return ", ".join(map(literal, texts))


def search_clickhouse(clickhouse: ClickHouse, needles: Needles) -> Iterator[Place]:
    """Yield the tables of ClickHouse."""
    listed = clickhouse.rows(
        "SELECT table, groupArray(name) AS columns FROM system.columns"
        " WHERE default_kind NOT IN ('ALIAS', 'EPHEMERAL')"
        f" AND database = {clickhouse_literal(clickhouse.database)} GROUP BY table ORDER BY table"
    )
    engines = clickhouse.tables()
    for row in listed:
        if "MergeTree" not in engines.get(row["table"], ""):
            continue
        said = f"formatRow('TSVRaw', {', '.join(f'`{name}`' for name in row['columns'])})"
        conditions = [f"match({said}, {clickhouse_literal(needles.pattern())})"] if needles.chosen else []
        for begin in range(0, len(needles.random), _NEEDLES_A_QUESTION):
            some = map(clickhouse_literal, needles.random[begin : begin + _NEEDLES_A_QUESTION])
            conditions.append(f"multiSearchAny({said}, [{', '.join(some)}])")
        searched, found = 0, 0
        for begin in range(0, max(1, len(conditions)), _CONDITIONS_A_STATEMENT):
            either = " OR ".join(conditions[begin : begin + _CONDITIONS_A_STATEMENT]) or "0"
            counted = clickhouse.rows(
                f"SELECT toString(count()) AS searched, toString(countIf({either})) AS found"
                f" FROM `{clickhouse.database}`.`{row['table']}`"
            )[0]
            searched = int(counted["searched"])
            found = max(found, int(counted["found"]))  # at least: a row may have ids of two statements
        yield Place(f"ClickHouse {row['table']}", searched, found)


def search_bucket(settings: Settings, setting: str, needles: Needles) -> Iterator[Place]:
    """Yield a bucket: its keys, and the bytes of every object."""
    traces = frozenset(needles.random)

    def has(key: str) -> bool:
        try:
            body = bucket.get(key)
        except NoSuchObject:  # it has expired since it was listed
            return False
        if needles.occur_in(key.encode()) or needles.occur_in(body):
            return True
        if not key.startswith(ROOT):
            return False
        try:  # ids of protobuf are lists of numbers in it
            return any(span.trace in traces for span in spans_of(parse_batch(key, body)))
        except StoreError:
            return False

    with open_bucket(settings, setting) as bucket, ThreadPoolExecutor(_THREADS) as pool:
        hits = list(pool.map(has, [found.key for found in bucket.objects()]))
        yield Place(f"Bucket {bucket.location.bucket}", len(hits), sum(hits))


def search_valkey(valkey: Valkey, needles: Needles) -> Iterator[Place]:
    """Yield Valkey: names and values of all keys."""
    searched = found = 0
    for text in valkey.everything():
        searched += 1
        found += needles.occur_in(text)
    yield Place("Valkey", searched, found)


def search_embedded(context: Context, needles: Needles) -> Iterator[Place]:
    """Yield the tables of the embedded engine, which opens what is compressed."""
    argv = [sys.executable, "-m", MODULE, "search", "--data-dir", str(context.layout.embedded_dir)]
    request = json.dumps({"ids": needles.random, "pattern": needles.pattern()})
    done = context.runner.run(argv, env=context.environment, stdin=request, timeout_s=_TIMEOUT_S)
    tables: Mapping[str, Sequence[int]] = json.loads(checked(argv, done).stdout)
    for name, (searched, found) in tables.items():
        yield Place(f"Engine {name}", searched, found)


def search_files(context: Context, needles: Needles) -> Iterator[Place]:
    """Yield the files that the product has made on this machine."""
    searched = found = closed = 0
    for path in _plain_files(context.layout.stack_dir):
        try:
            hit = _file_has(path, needles)
        except PermissionError:  # it belongs to the user of a container
            closed += 1
            continue
        searched, found = searched + 1, found + hit
    shown = context.layout.shown(context.layout.stack_dir)
    yield Place(f"Files in {shown}", searched, found)
    if closed:
        yield Place(f"Files in {shown} that this user cannot read", 0, closed, "not searched: repeat as root")


def _file_has(path: Path, needles: Needles) -> bool:
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return needles.occur_in(content)


def _plain_files(directory: Path) -> Iterator[Path]:
    return (path for path in sorted(directory.rglob("*")) if path.is_file() and not path.is_symlink())
