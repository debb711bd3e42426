"""Remove for good what hangs on deleted traces and sessions, and leave none of it in the files.

The public API deletes traces with their observations and scores. What refers to them (comments, dataset
items made from them with all their versions, queue items, media) it keeps, as the server does, and deleted
rows stay in free pages of the files. The engine must not run meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from langfuse_embedded.errors import DataDirectoryError
from langfuse_embedded.judge.jobs import JUDGE_FILE, purge_traces
from langfuse_embedded.lifecycle import data_directory
from langfuse_embedded.store.database import open_database
from langfuse_embedded.store.events import EVENTS_FILE
from langfuse_embedded.store.media import MediaFiles

from .snapshot import MEDIA_DIR, STATE_FILE

Counts = dict[str, int]


def purge(data_dir: Path, subjects: Mapping[str, Mapping[str, list[str]]]) -> Counts:
    """Remove what belongs to `traces`, `observations` and `sessions` of each project, then shrink the files.

    Returns how many rows of which kind went.

    Raises:
        DirectoryInUse: an engine works on the directory.
        DataDirectoryError: the files cannot be written.
    """
    counts: Counts = {}
    with data_directory(data_dir):
        try:
            with (
                closing(open_database(data_dir / STATE_FILE)) as state,
                closing(open_database(data_dir / EVENTS_FILE)) as events,
            ):
                files = MediaFiles(data_dir / MEDIA_DIR)
                for project, ids in subjects.items():
                    for name, count in _purge_project(state, events, files, project, ids).items():
                        counts[name] = counts.get(name, 0) + count
                for database in (state, events):
                    _shrink(database)
            if (data_dir / JUDGE_FILE).is_file():
                with closing(open_database(data_dir / JUDGE_FILE)) as judge:
                    counts["judgements"] = sum(
                        purge_traces(judge, project, ids.get("traces", ()))
                        for project, ids in subjects.items()
                    )
                    _shrink(judge)
        except sqlite3.Error as error:
            raise DataDirectoryError(
                f"{data_dir} could not be cleaned: {error}. Free some disk space, then repeat."
            ) from error
        # Derived from the events: the engine builds it anew.
        for path in data_dir.glob("metrics.duckdb*"):
            path.unlink()
    return counts


def _purge_project(
    state: sqlite3.Connection,
    events: sqlite3.Connection,
    files: MediaFiles,
    project: str,
    ids: Mapping[str, list[str]],
) -> Counts:
    for database in (state, events):
        database.execute("create temp table if not exists gone (kind text, id text, primary key (kind, id))")
        database.execute("delete from gone")
        rows = [(kind, one) for kind, values in ids.items() for one in values]
        database.executemany("insert or ignore into gone values (?, ?)", rows)
    with events:
        events.execute("begin immediate")
        scores = events.execute(
            "delete from scores where project = (select key from projects where id = ?)"
            " and session_id in (select id from gone where kind = 'sessions')",
            (project,),
        ).rowcount
    with state:
        state.execute("begin immediate")
        counts = {"scores_of_sessions": scores, **_purge_state(state, project)}
        media = _unreferenced(state, project)
        state.executemany(
            "delete from media where project_id = ? and id = ?", [(project, one) for one in media]
        )
    for one in media:
        files.path(project, one).unlink(missing_ok=True)
    return {**counts, "media": len(media)}


def _purge_state(state: sqlite3.Connection, project: str) -> Counts:
    targets = (
        "select case kind when 'traces' then 'TRACE' when 'sessions' then 'SESSION' else 'OBSERVATION' end,"
        " id from gone"
    )
    traces = "(select id from gone where kind = 'traces')"
    items = f"(select distinct id from dataset_items where project_id = ?1 and source_trace_id in {traces})"
    state.execute("create temp table if not exists loose_media (id text primary key)")
    state.execute("delete from loose_media")
    state.execute(
        "insert or ignore into loose_media select media_id from trace_media where project_id = ?1 and"
        f" trace_id in {traces} union select media_id from dataset_item_media where project_id = ?1 and"
        f" dataset_item_id in {items}",
        (project,),
    )
    statements = {
        "comments": f"delete from comments where project_id = ?1 and (object_type, object_id) in ({targets})",
        "queue_items": "delete from annotation_queue_items where queue_id in"
        " (select id from annotation_queues where project_id = ?1)"
        f" and (object_type, object_id) in ({targets})",
        "run_items": "delete from dataset_run_items where run_id in (select id from dataset_runs where"
        f" project_id = ?1) and (trace_id in {traces} or dataset_item_id in {items})",
        "item_media": f"delete from dataset_item_media where project_id = ?1 and dataset_item_id in {items}",
        "dataset_items": f"delete from dataset_items where project_id = ?1 and id in {items}",
        "trace_media": f"delete from trace_media where project_id = ?1 and trace_id in {traces}",
    }
    return {name: state.execute(sql, (project,)).rowcount for name, sql in statements.items()}


def _unreferenced(state: sqlite3.Connection, project: str) -> list[str]:
    """Return media that only what was removed has referred to."""
    rows: Iterable[Any] = state.execute(
        "select id from loose_media m where not exists"
        " (select 1 from trace_media t where t.project_id = ?1 and t.media_id = m.id) and not exists"
        " (select 1 from dataset_item_media d where d.project_id = ?1 and d.media_id = m.id)",
        (project,),
    )
    return [row[0] for row in rows]


def _shrink(database: sqlite3.Connection) -> None:
    database.execute("vacuum")
    database.execute("pragma wal_checkpoint(truncate)")
