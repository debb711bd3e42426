"""The first half of the writer: reads requests, prepares trace exports, passes everything on.

Preparing a span is two thirds of its cost and needs no access to `events.db`, so it runs in a process of its
own, a fork of the writer: while one export is prepared, the one before is written. Order is kept, and answers
are the writer's.
"""

from __future__ import annotations

import gc
import logging
import marshal
import os
import select
import socket
from pathlib import Path
from typing import Any

from langfuse_embedded.clock import now_ms
from langfuse_embedded.process_tree import end_with_parent

from .commands import FAIL, REFUSE
from .errors import Refused
from .lookups import StateLookups
from .preparation import events_of, prepare
from .protocol import Frame, Payload, encode, receive

log = logging.getLogger("langfuse_embedded.mapper")


def start(requests: socket.socket, data_dir: Path) -> socket.socket:
    """Fork the process that reads `requests`; return the socket on which they come out prepared."""
    prepared, out = socket.socketpair()
    # What is there now is never garbage: without this a collection would copy the shared pages.
    gc.freeze()
    writer = os.getpid()
    if os.fork() == 0:
        end_with_parent(writer)
        prepared.close()
        code = 1
        try:
            _run(requests, out, Mapper(data_dir))
            code = 0
        except (BrokenPipeError, ConnectionResetError):
            pass  # The writer is gone; whoever started it knows.
        except BaseException:
            log.exception("the mapping process ends")
        finally:
            os._exit(code)
    out.close()
    return prepared


class Mapper:
    """Turns requests as they came from the client into requests for the writer."""

    def __init__(self, data_dir: Path) -> None:
        self._state_path = data_dir / "state.db"
        self._lookups: StateLookups | None = None

    def forward(self, frame: Frame) -> bytes:
        """Return the frame to pass on: prepared if it is an export, else as it is."""
        if frame.head["command"] != "ingest_otlp":
            return encode(*frame)
        try:
            body = self._prepared(frame.head, frame.body)
        except Refused as error:
            return encode(frame.number, {"command": REFUSE, "message": str(error)})
        except Exception:
            log.exception("an export could not be prepared")
            return encode(frame.number, {"command": FAIL, "message": "Internal Server Error"})
        return encode(frame.number, {"command": "ingest_otlp", "project": frame.head["project"]}, body)

    def _prepared(self, head: dict[str, Any], body: Payload) -> bytes:
        if self._lookups is None:
            # Not earlier: the server may still be creating the file.
            self._lookups = StateLookups(self._state_path)
        moment = now_ms()
        events = events_of(head, body, moment)
        traces = prepare(head["project"], events, self._lookups, moment)
        return marshal.dumps([tuple(trace) for trace in traces])


def _run(requests: socket.socket, out: socket.socket, mapper: Mapper) -> None:
    # Both ends are watched: the writer may die while nothing is asked.
    watched = select.poll()
    watched.register(requests, select.POLLIN)
    watched.register(out, 0)
    while True:
        ready = {descriptor for descriptor, _ in watched.poll()}
        if out.fileno() in ready:
            return
        frame = receive(requests)
        if frame is None:
            return
        out.sendall(mapper.forward(frame))
