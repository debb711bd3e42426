"""The loop of the writer process: read all requests that wait, run them, commit once, answer each."""

from __future__ import annotations

import fcntl
import logging
import os
import select
import signal
import socket
import sqlite3
import time
from pathlib import Path
from typing import IO, Any

from langfuse_embedded import log_lines
from langfuse_embedded.errors import DataDirectoryError, DirectoryInUse, EngineError
from langfuse_embedded.store.storage import refused

from . import mapper
from .commands import COMMANDS
from .context import WriteContext
from .errors import Failed, Refused, TooCostly
from .protocol import FAILED, GREETING, PING, REFUSED, TOO_COSTLY, UNAVAILABLE, Frame, encode, receive

log = logging.getLogger("langfuse_embedded.writer")

# One group: enough to share a sync among many, and still answered within a few tens of milliseconds.
_GROUP_BYTES = 4 << 20
_GROUP_FRAMES = 64
_LOCK_TIMEOUT = 10.0
_REST_SECONDS = 1.0


def run(data_dir: Path, descriptor: int) -> int:
    """Serve one connection until the server closes it; return the exit code."""
    os.umask(0o077)
    log_lines.configure()
    # The server decides when to stop: a signal to the whole group must not cut off what it has accepted.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with (
        socket.socket(fileno=descriptor) as connection,
        mapper.start(connection, data_dir) as requests,
    ):
        try:
            lock = _hold(data_dir)
            context = WriteContext(data_dir)
        except EngineError as error:
            connection.sendall(encode(GREETING, {"error": type(error).__name__, "message": str(error)}))
            return 1
        with lock:
            try:
                connection.sendall(encode(GREETING, {"result": "ready"}))
                _serve(context, requests, connection)
            except (BrokenPipeError, ConnectionResetError):
                log.info("the server is gone; what was accepted is stored")
            finally:
                context.close()
    return 0


def _hold(data_dir: Path) -> IO[str]:
    """Wait until the writer of a killed server has finished; then hold the file for this process alone."""
    path = data_dir / "writer.lock"
    try:
        lock = path.open("a")
    except OSError as error:
        raise DataDirectoryError(
            f"Cannot use {path}: {error.strerror}. Check that the directory may be written by this user."
        ) from error
    deadline = time.monotonic() + _LOCK_TIMEOUT
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() < deadline:
                time.sleep(0.01)
                continue
            lock.close()
            raise DirectoryInUse(
                f"Another writer holds {path} for more than {_LOCK_TIMEOUT:g} s. Stop it, then start again."
            ) from None
        return lock


def _serve(context: WriteContext, requests: socket.socket, answers: socket.socket) -> None:
    while True:
        while context.has_log and not _arrives(requests, _REST_SECONDS):
            context.fold()
        group, ended = _receive(requests)
        if group:
            answers.sendall(b"".join(_handle(context, group)))
        if ended:
            return


def _arrives(connection: socket.socket, seconds: float) -> bool:
    """Wait for a request; tell whether one came, or the end of the connection."""
    return bool(select.select([connection], [], [], seconds)[0])


def _receive(connection: socket.socket) -> tuple[list[Frame], bool]:
    """Return at least one request, and others that wait already; or that the connection has ended.

    A slice of a large export is the last of its group: others do not wait for more than one.
    """
    group: list[Frame] = []
    size = 0
    while size < _GROUP_BYTES and len(group) < _GROUP_FRAMES:
        if group and not _arrives(connection, 0):
            break
        frame = receive(connection)
        if frame is None:
            return group, True
        group.append(frame)
        if frame.head.get("more"):
            break
        size += frame.size
    return group, False


def _handle(context: WriteContext, group: list[Frame]) -> list[bytes]:
    """Run and commit a group; return the answers, which say nothing was stored when the commit failed."""
    if all(frame.head["command"] == PING for frame in group):
        # Nothing to commit, and no lock on the file to wait for.
        return [encode(frame.number, {"result": COMMANDS[PING](context, frame.head, b"")}) for frame in group]
    try:
        context.begin()
        answers = [(frame.number, _run(context, frame)) for frame in group]
        context.commit()
    except sqlite3.Error as error:
        _roll_back(context)
        log.error("nothing of %d requests was stored: %s", len(group), error)
        answer = {"error": UNAVAILABLE, "message": refused(str(error))}
        answers = [(frame.number, answer) for frame in group]
    # Of an export that comes in slices only the last one is answered, or the first that fails.
    return [
        encode(frame.number, head)
        for frame, (_, head) in zip(group, answers, strict=True)
        if not (frame.head.get("more") and "result" in head)
    ]


def _run(context: WriteContext, frame: Frame) -> dict[str, Any]:
    try:
        return {"result": context.run(COMMANDS[frame.head["command"]], frame.head, frame.body)}
    except TooCostly as error:
        return {"error": TOO_COSTLY, "message": str(error)}
    except Refused as error:
        return {"error": REFUSED, "message": str(error)}
    except Failed as error:
        return {"error": FAILED, "message": str(error)}
    except sqlite3.OperationalError:
        # The disk or the file: it concerns the whole group.
        raise
    except Exception:
        log.exception("the command %s failed", frame.head.get("command"))
        return {"error": FAILED, "message": "Internal Server Error"}


def _roll_back(context: WriteContext) -> None:
    try:
        context.rollback()
    except sqlite3.Error as error:
        # The file cannot even be read: a new process starts from what is on disk.
        raise SystemExit(f"cannot go on with {context.path}: {error}") from error
