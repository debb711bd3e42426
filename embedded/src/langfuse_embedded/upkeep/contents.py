"""Say what a data directory contains: schema levels, rows per table and project, and known samples."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from langfuse_embedded.errors import DataDirectoryError
from langfuse_embedded.store.bodies import BlockReader
from langfuse_embedded.store.database import schema_steps
from langfuse_embedded.store.hexid import unpack

from .snapshot import BEFORE_EVENTS, DATABASES

Counts = dict[str, dict[str, int]]
Sample = dict[str, Any]

_SAMPLES = 3


def schema_levels() -> dict[str, int]:
    """Return the newest schema of each database that this version of the engine knows."""
    return {name: schema_steps(_folder(name))[-1][0] for name in (*DATABASES, BEFORE_EVENTS)}


def describe(data_dir: Path, *, check: bool = False) -> dict[str, Any]:
    """Return what the databases of a copy hold; with `check`, SQLite walks through their pages too.

    `counts` has the rows of each table by project; tables that belong to no project count under an empty
    name. `samples` are a few traces, scores, prompts, dataset items, media and LLM connections of every
    project, with facts that the API must give again under the same names. The `sha256` of a trace is that of
    its observations' ids, names, types, inputs and outputs, see `digest`; that of media is as the API has it.

    Raises:
        DataDirectoryError: a database is missing or damaged.
    """
    counts: Counts = {}
    levels: dict[str, int] = {}
    samples: list[Sample] = []
    for name in DATABASES:
        path = data_dir / name
        try:
            with closing(_open(path)) as db:
                if check:
                    _check(db, path)
                levels[name] = db.execute("pragma user_version").fetchone()[0]
                db.execute("begin")
                counts.update(_counts(db))
                samples += _event_samples(db) if _folder(name) == "events" else _state_samples(db)
        except sqlite3.Error as error:
            raise DataDirectoryError(f"{path} cannot be read: {error}. Restore another backup.") from error
    judges = data_dir / BEFORE_EVENTS
    if judges.is_file():
        # Its rows come and go while nobody looks: they are not counted.
        with closing(_open(judges)) as db:
            if check:
                _check(db, judges)
            levels[BEFORE_EVENTS] = db.execute("pragma user_version").fetchone()[0]
    return {"schema": levels, "counts": counts, "samples": samples}


def digest(*parts: object) -> str:
    """Return the SHA-256 over texts, each with its length before it."""
    whole = hashlib.sha256()
    for part in parts:
        text = ("" if part is None else str(part)).encode("utf-8", "surrogatepass")
        whole.update(b"%d:" % len(text))
        whole.update(text)
    return whole.hexdigest()


def _open(path: Path) -> sqlite3.Connection:
    # Nobody writes into a copy: without locks SQLite leaves no files of its own beside it.
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
    db.row_factory = sqlite3.Row
    return db


def _folder(database: str) -> str:
    return database.removesuffix(".db")


def _check(db: sqlite3.Connection, path: Path) -> None:
    found = [row[0] for row in db.execute("pragma quick_check(3)")]
    if found != ["ok"]:
        raise DataDirectoryError(f"{path} is damaged: {'; '.join(found)}. Restore another backup.")


def _counts(db: sqlite3.Connection) -> Counts:
    tables = [
        row[0]
        for row in db.execute("select name from sqlite_schema where type = 'table' order by name")
        if not row[0].startswith("sqlite_")
    ]
    return {table: dict(_by_project(db, table)) for table in tables}


def _by_project(db: sqlite3.Connection, table: str) -> Iterator[tuple[str, int]]:
    columns = {row["name"] for row in db.execute(f"pragma table_info({table})")}
    if "project_id" in columns:
        group = "project_id"
    elif "project" in columns:
        group = "(select id from projects p where p.key = t.project)"
    else:
        group = "''"
    yield from db.execute(f"select {group}, count(*) from {table} t group by 1 order by 1")


def _event_samples(db: sqlite3.Connection) -> Iterator[Sample]:
    blocks = BlockReader(db)
    for key, project in db.execute("select key, id from projects order by id").fetchall():
        for trace_id in _spread(db, key):
            yield _trace(db, blocks, key, project, trace_id)
        scores = db.execute(
            "select id, name, data_type, comment from scores where project = ? order by id limit ?",
            (key, _SAMPLES),
        )
        for row in scores:
            facts = {"name": row["name"], "dataType": row["data_type"], "comment": row["comment"]}
            yield {"kind": "score", "project": project, "id": row["id"], "facts": facts}


def _spread(db: sqlite3.Connection, project: int) -> list[Any]:
    """Return a few traces of a project: the first, the last, and one in the middle by arrival."""
    low, high = db.execute(
        "select min(seq), max(seq) from observations where project = ?", (project,)
    ).fetchone()
    if low is None:
        return []
    found: dict[Any, None] = {}
    for seq in (low, (low + high) // 2, high):
        row = db.execute(
            "select trace_id from observations where project = ? and seq >= ? order by seq limit 1",
            (project, seq),
        ).fetchone()
        found[row[0]] = None
    return list(found)


def _trace(db: sqlite3.Connection, blocks: BlockReader, key: int, project: str, trace_id: Any) -> Sample:
    rows = db.execute(
        "select span_id, name, type, block, position from observations where project = ? and trace_id = ?",
        (key, trace_id),
    ).fetchall()
    observations = []
    for row in rows:
        body = blocks.body(row["block"], row["position"])
        observations.append(
            (unpack(row["span_id"]), row["name"], row["type"], body.input or "", body.output or "")
        )
    texts = [text for observation in sorted(observations) for text in observation]
    facts = {"observations": len(rows), "sha256": digest(*texts)}
    return {"kind": "trace", "project": project, "id": unpack(trace_id), "facts": facts}


def _state_samples(db: sqlite3.Connection) -> Iterator[Sample]:
    for (project,) in db.execute("select id from projects order by id").fetchall():
        for kind, statement in _STATE_SAMPLES.items():
            for row in db.execute(statement, (project, _SAMPLES)):
                facts = {name: row[name] for name in row.keys() if name != "id"}  # noqa: SIM118 - not a dict
                yield {"kind": kind, "project": project, "id": row["id"], "facts": facts}


_STATE_SAMPLES = {
    "prompt": 'select name as id, version, type, commit_message as "commitMessage" from prompts'
    " where project_id = ? order by name, version limit ?",
    "dataset_item": 'select id, status, source_trace_id as "sourceTraceId" from dataset_items'
    " where project_id = ? and valid_to is null and not is_deleted order by id limit ?",
    "media": 'select id, content_type as "contentType", content_length as "contentLength", sha256 from media'
    " where project_id = ? and upload_http_status in (200, 201) order by id limit ?",
    "llm_connection": 'select provider as id, adapter, display_secret as "displaySecretKey"'
    " from llm_connections where project_id = ? order by provider limit ?",
}
