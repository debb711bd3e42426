"""Open SQLite files: one place for pragmas, schema versions, and errors that say what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from langfuse_embedded.errors import DataDirectoryError, NewerData

# Readers wait for a checkpoint at most, a writer for another writer: both take milliseconds.
BUSY_TIMEOUT_MS = 10_000


def open_database(path: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """Return a connection in autocommit mode with WAL, foreign keys and rows by name.

    Every commit is synced (`synchronous=FULL`): what was answered survives the loss of power, not only of the
    process.

    Raises:
        DataDirectoryError: the file cannot be opened, or is not a database.
    """
    # A path may hold what means something in an address: `#`, `?`, `%`.
    uri = f"{path.absolute().as_uri()}?mode={'ro' if readonly else 'rwc'}"
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute(f"pragma busy_timeout={BUSY_TIMEOUT_MS}")
        if not readonly:
            connection.execute("pragma journal_mode=wal")
            connection.execute("pragma synchronous=full")
            connection.execute("pragma foreign_keys=on")
        # A pragma that reads the header: a torn or foreign file is found here, not in the first request.
        connection.execute("pragma user_version").fetchone()
    except sqlite3.Error as error:
        raise _explained(path, error) from error
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all or nothing: commit at the end of the block, roll back when it or the commit fails."""
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        # On a full disk SQLite has rolled back by itself.
        if connection.in_transaction:
            connection.execute("rollback")
        raise


def migrate(connection: sqlite3.Connection, folder: str, path: Path) -> None:
    """Bring the database to the newest schema in `store/schema/<folder>`.

    Each file `NNNN_name.sql` is one step, applied once, in a transaction of its own together with its number
    (`user_version`): a crash between steps leaves a state that the next start goes on from.

    Raises:
        NewerData: a newer version of the engine wrote the file.
        DataDirectoryError: a step failed.
    """
    steps = schema_steps(folder)
    have: int = connection.execute("pragma user_version").fetchone()[0]
    if have > steps[-1][0]:
        raise NewerData(
            f"{path} has schema {have}, this version of the engine knows {steps[-1][0]}: it was written by a "
            "newer version. Start that version, or point the engine at another data directory."
        )
    for number, script in steps:
        if number <= have:
            continue
        try:
            connection.executescript(f"begin immediate;\n{script}\npragma user_version={number};\ncommit;")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("rollback")
            raise _explained(path, error) from error


def schema_steps(folder: str) -> list[tuple[int, str]]:
    """Return the numbered schema scripts of a database, in order."""
    files = resources.files(__package__).joinpath("schema", folder).iterdir()
    steps = [
        (int(file.name.split("_")[0]), file.read_text("utf-8"))
        for file in files
        if file.name.endswith(".sql")
    ]
    return sorted(steps)


def _explained(path: Path, error: sqlite3.Error) -> DataDirectoryError:
    text = str(error)
    if "not a database" in text or "malformed" in text:
        hint = "The file is damaged. Move it away and restore a backup, or start with an empty one."
    elif "readonly" in text or "unable to open" in text:
        hint = "Check that the directory exists and that this user may write to it."
    elif "full" in text:
        hint = "The disk is full. Free some space and start again: nothing acknowledged is lost."
    else:
        hint = "See the message above; the file was left as it is."
    return DataDirectoryError(f"Cannot use {path}: {text}. {hint}")
