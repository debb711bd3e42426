"""Copy a data directory as it is at one moment, also while an engine writes into it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

from langfuse_embedded.errors import DataDirectoryError
from langfuse_embedded.judge.jobs import JUDGE_FILE
from langfuse_embedded.store.database import open_database
from langfuse_embedded.store.events import EVENTS_FILE

STATE_FILE = "state.db"
MEDIA_DIR = "media"
# What refers comes first, what is referred to last: a trace in the copy finds its prompt and its media there.
DATABASES = (EVENTS_FILE, STATE_FILE)
# Held before the events: a judgement that ended meanwhile waits in the copy, and is made again with the same
# ids. The other way round it would be lost: ended, and without its score.
BEFORE_EVENTS = JUDGE_FILE
# 16 MB a step: the copy goes on from the same moment, and an interruption is noticed between steps.
_PAGES_PER_STEP = 4096


def take_snapshot(data_dir: Path, into: Path) -> None:
    """Copy databases and media to the directory `into`, which must not exist.

    All databases are held at one moment and copied from there page by page, so that a copy shares most of its
    bytes with the copy before. What is derived (the metrics projection) and what belongs to a process (locks)
    is left out. Media files never change once they have their name: they are linked where that is possible.

    Raises:
        DataDirectoryError: there is no data, or the copy could not be written.
    """
    for name in DATABASES:
        if not (data_dir / name).is_file():
            raise DataDirectoryError(
                f"{data_dir} has no {name}: it is not the data of an engine. Check --data-dir."
            )
    try:
        into.mkdir(parents=True, mode=0o700)
        _copy_databases(data_dir, into)
        _copy_media(data_dir / MEDIA_DIR, into / MEDIA_DIR)
    except (OSError, sqlite3.Error) as error:
        raise DataDirectoryError(
            f"The copy of {data_dir} to {into} failed: {error}. Free some disk space there, then repeat."
        ) from error


def _copy_databases(data_dir: Path, into: Path) -> None:
    with ExitStack() as opened:
        sources = []
        judges = [BEFORE_EVENTS] if (data_dir / BEFORE_EVENTS).is_file() else []
        for name in (*judges, *DATABASES):
            source = opened.enter_context(closing(open_database(data_dir / name, readonly=True)))
            source.execute("begin")
            source.execute("select count(*) from sqlite_schema").fetchone()  # the moment is fixed by a read
            sources.append((name, source))
        for name, source in sources:
            _copy_database(source, into / name)


def _copy_database(source: sqlite3.Connection, path: Path) -> None:
    with closing(sqlite3.connect(path)) as target:
        target.execute("pragma synchronous=off")  # synced as a whole below
        source.backup(target, pages=_PAGES_PER_STEP)
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _copy_media(source: Path, target: Path) -> None:
    for path in sorted(source.glob("??/*")):  # what is being uploaded is in a separate folder
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            os.link(path, copy)
        except OSError:
            shutil.copyfile(path, copy)
