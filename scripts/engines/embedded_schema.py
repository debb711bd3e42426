"""The schemas of the embedded engine's databases: those on disk, and those that this version knows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from scripts.core.errors import EngineError
from scripts.core.runner import Runner
from scripts.core.waiting import tail

DATABASES = ("events.db", "state.db")
JUDGE = "judge.db"
"""What judges have to do. It is there from the first enabled rule on, so no upgrade counts on it."""

Levels = Mapping[str, int]


def stored_levels(directory: Path) -> Levels:
    """Return the schema of each database in a data directory; empty without any.

    Raises:
        EngineError: one is not a database.
    """
    found = {}
    for name in DATABASES:
        path = directory / name
        if not path.is_file():
            continue
        try:
            with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
                found[name] = int(db.execute("pragma user_version").fetchone()[0])
        except sqlite3.Error as error:
            raise EngineError(
                f"{path} cannot be read: {error}.", fix="restore a backup: make restore REPLACE=1."
            ) from error
    return found


def known_levels(runner: Runner, python: str, module: str, environment: Mapping[str, str]) -> Levels:
    """Return the newest schema of each database that this version of the engine knows.

    Raises:
        EngineError: it does not say.
    """
    done = runner.run([python, "-m", module, "schema"], env=environment)
    try:
        levels = json.loads(done.stdout)
    except ValueError as error:
        raise EngineError(
            "The embedded engine does not say which schemas it knows.", details=tail(done.stderr)
        ) from error
    return {name: level for name, level in levels.items() if name != JUDGE}


def older(stored: Levels, known: Levels) -> bool:
    """Return whether a start would bring any database to a newer schema. A database of level 0 is empty."""
    return any(0 < level < known.get(name, level) for name, level in stored.items())


def newer(stored: Levels, known: Levels) -> bool:
    """Return whether a newer version has written any of them."""
    return any(level > known.get(name, level) for name, level in stored.items())


def levels_text(levels: Levels) -> str:
    """Return levels in a few words."""
    return ", ".join(f"{name.removesuffix('.db')} {level}" for name, level in sorted(levels.items()))
