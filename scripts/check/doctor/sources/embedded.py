"""The data directory of the embedded engine, looked at from outside."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from scripts.check.doctor.facts import Facts, NotGathered, Surroundings
from scripts.core import host
from scripts.core.errors import StackError
from scripts.engines.embedded import EmbeddedEngine

DATABASES = ("state.db", "events.db")
CHECK_S = 2.5
# Of the virtual machine's steps between two looks at the clock.
_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class EmbeddedData:
    """What is in the data directory.

    Attributes:
        exists: whether there is one.
        damage: database -> what SQLite complains about; empty: nothing.
        unchecked: databases that were too large to check in time.
        levels, known: schema of each database on disk, and the newest that this version knows.
        salted: public key -> hash of its secret key, as stored.
        bytes: of all files; `wal_bytes` of the write-ahead logs.
        observations: rows in the record.
        stale_pid: a pid file whose process is not this engine, or empty.
        oldest_s: seconds since its first project was made.
    """

    exists: bool
    damage: Mapping[str, str]
    unchecked: tuple[str, ...]
    levels: Mapping[str, int]
    known: Mapping[str, int]
    salted: Mapping[str, str]
    bytes: int
    wal_bytes: int
    stale_pid: str
    oldest_s: float


def gather_embedded(surroundings: Surroundings, _facts: Facts) -> EmbeddedData:
    """Return what is in the data directory. Raises NotGathered on the compose engine."""
    if surroundings.is_compose:
        raise NotGathered("the data of this stack is in the stores of the compose engine")
    directory = surroundings.context.layout.embedded_dir
    damage: dict[str, str] = {}
    levels: dict[str, int] = {}
    unchecked = []
    salted: dict[str, str] = {}
    oldest_s = 0.0
    for name in DATABASES:
        if not (directory / name).exists():
            continue
        try:
            with closing(sqlite3.connect(f"{(directory / name).as_uri()}?mode=ro", uri=True)) as db:
                levels[name] = db.execute("pragma user_version").fetchone()[0]
                if not _checked(db):
                    unchecked.append(name)
                if name == "state.db":
                    salted = dict(db.execute("select public_key, secret_hash from api_keys").fetchall())
                    first = db.execute("select min(created_at) from projects").fetchone()[0]
                    oldest_s = surroundings.now.timestamp() - first / 1000 if first else 0.0
        except sqlite3.Error as error:
            damage[name] = str(error)
    files = [path for path in directory.rglob("*") if path.is_file()] if directory.exists() else []
    sizes = {path: _size(path) for path in files}
    return EmbeddedData(
        exists=directory.exists(),
        damage=damage,
        unchecked=tuple(unchecked),
        levels=levels,
        known=_known_levels(surroundings),
        salted=salted,
        bytes=sum(sizes.values()),
        wal_bytes=sum(size for path, size in sizes.items() if path.name.endswith("-wal")),
        stale_pid=_stale_pid(surroundings),
        oldest_s=oldest_s,
    )


def _checked(db: sqlite3.Connection) -> bool:
    """Walk through a database; return False when that takes too long. Raises sqlite3.Error for damage."""
    deadline = time.monotonic() + CHECK_S
    db.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        found = db.execute("pragma quick_check(3)").fetchall()
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            return False
        raise
    finally:
        db.set_progress_handler(None, 0)
    if found != [("ok",)]:
        raise sqlite3.DatabaseError("; ".join(str(row[0]) for row in found))
    return True


def _known_levels(surroundings: Surroundings) -> dict[str, int]:
    engine = surroundings.engine
    if not isinstance(engine, EmbeddedEngine):
        return {}
    argv = [engine.python, "-m", engine.module, "schema"]
    try:
        done = surroundings.context.runner.run(argv, env=surroundings.context.environment, timeout_s=9)
        return {str(name): int(level) for name, level in json.loads(done.stdout).items()}
    except (StackError, ValueError, AttributeError):
        return {}


def _stale_pid(surroundings: Surroundings) -> str:
    path = surroundings.context.layout.embedded_dir / "engine.pid"
    if not path.exists() or not isinstance(surroundings.engine, EmbeddedEngine):
        return ""
    if surroundings.engine.find():
        return ""
    text = path.read_text(errors="replace").strip()
    return text if not text.isdigit() or not host.command_line(int(text)) else f"{text} (another program)"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # a temporary file of the engine
        return 0
