"""What requests ask for at a cost that the client chooses; run in processes with limits (`bounded.py`).

    python -m langfuse_embedded.tasks DATA_DIR SOCKET_FD PARENT

The process is started with the first task, and serves until the server closes the socket. Requests are frames
of the writer's protocol: `{"owner": …, "task": …}` and the arguments as JSON.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from langfuse_embedded.pricing.patterns import InvalidPattern, bounded_javascript, bounded_pattern
from langfuse_embedded.store.database import open_database
from langfuse_embedded.store.dataset_items import current_items
from langfuse_embedded.store.writer.protocol import FAILED, TOO_COSTLY, Frame, encode, receive

from . import log_lines
from .bounded import Bounded, Limits, Send
from .json_schemas import errors_of
from .process_tree import end_with_parent

log = logging.getLogger("langfuse_embedded.tasks")

_LIMITS = Limits(cpu_seconds=2, seconds=5, memory_bytes=512 * 2**20)
# A dataset may have a hundred thousand items; whoever changes its schema waits.
_LONG = Limits(cpu_seconds=8, seconds=20, memory_bytes=512 * 2**20)
_LONGEST_READ_SECONDS = 0.2
_TOO_COSTLY = "takes more than {} s or too much memory"


def schema_errors(_data_dir: Path, pairs: list[tuple[dict[str, Any], Any]]) -> list[list[str]]:
    """Return for each pair of a schema and a value what is wrong with the value."""
    return [[error.message for error in errors_of(schema, value)] for schema, value in pairs]


def item_errors(
    data_dir: Path, dataset_id: str, schemas: dict[str, dict[str, Any] | None], most: int
) -> list[dict[str, Any]]:
    """Return what is wrong with the fields of a dataset's items, of `most` fields at the most."""
    found: list[dict[str, Any]] = []
    with closing(open_database(data_dir / "state.db", readonly=True)) as db:
        for item in current_items(db, dataset_id):
            for field, value in (("input", item.input), ("expectedOutput", item.expected_output)):
                schema = schemas[field]
                errors = errors_of(schema, value) if schema else []
                if errors and len(found) < most:
                    shown = [
                        {"path": error.path, "message": error.message, "keyword": error.keyword}
                        for error in errors
                    ]
                    found.append({"datasetItemId": item.id, "field": field, "errors": shown})
            if len(found) >= most:
                break
    return found


def pattern_errors(_data_dir: Path, patterns: list[tuple[str, str]]) -> list[str]:
    """Return for each pattern with its dialect why it cannot be used; empty when it can."""
    return [_pattern_error(pattern, dialect) for pattern, dialect in patterns]


def _pattern_error(pattern: str, dialect: str) -> str:
    begin = time.process_time()
    try:
        bounded_pattern(pattern) if dialect == "postgres" else bounded_javascript(pattern, any_case=False)
    except InvalidPattern as error:
        return str(error) or "invalid"
    # It is read again where exports are prepared, while others wait.
    return "takes too long to read" if time.process_time() - begin > _LONGEST_READ_SECONDS else ""


TASKS: dict[str, tuple[Callable[..., Any], Limits]] = {
    "schema_errors": (schema_errors, _LIMITS),
    "item_errors": (item_errors, _LONG),
    "pattern_errors": (pattern_errors, Limits(cpu_seconds=1, seconds=5, memory_bytes=256 * 2**20)),
}


def run(data_dir: Path, descriptor: int) -> int:
    """Serve one connection until the server closes it; return the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    watched = select.poll()
    bounded = Bounded(_LIMITS, watched)
    with socket.socket(fileno=descriptor) as connection:
        watched.register(connection, select.POLLIN)
        while True:
            for ready, _ in watched.poll(bounded.timeout_ms):
                if ready != connection.fileno():
                    for part in bounded.collect(ready):
                        connection.sendall(part)
                    continue
                frame = receive(connection)
                if frame is None:
                    return 0
                _add(bounded, data_dir, frame)
            for part in bounded.enforce():
                connection.sendall(part)


def _add(bounded: Bounded, data_dir: Path, frame: Frame) -> None:
    _, limits = TASKS[frame.head["task"]]
    message = _TOO_COSTLY.format(limits.cpu_seconds)
    bounded.add(
        frame.head["owner"],
        lambda send: _do(data_dir, frame, send),
        lambda: encode(frame.number, {"error": TOO_COSTLY, "message": message}),
        limits,
    )


def _do(data_dir: Path, frame: Frame, send: Send) -> None:
    task, _ = TASKS[frame.head["task"]]
    try:
        answer: dict[str, Any] = {"result": task(data_dir, *orjson.loads(frame.body))}
    except MemoryError:
        raise
    except Exception:
        log.exception("the task %s failed", frame.head["task"])
        answer = {"error": FAILED, "message": "Internal Server Error"}
    send(encode(frame.number, answer))


if __name__ == "__main__":
    os.umask(0o077)
    end_with_parent(int(sys.argv[3]))
    log_lines.configure()
    sys.exit(run(Path(sys.argv[1]), int(sys.argv[2])))
