"""The first half of the writer: reads requests, prepares trace exports, passes everything on.

Preparing a span is two thirds of its cost and needs no access to `events.db`, so it runs in a process of its
own, a fork of the writer: while one export is prepared, the one before is written. Exports that take long are
prepared in processes with limits (`bounded.py`), and passed on in slices, between what others send. Answers
are the writer's.
"""

from __future__ import annotations

import fcntl
import gc
import logging
import marshal
import os
import select
import socket
import termios
import time
from array import array
from collections import deque
from pathlib import Path

from langfuse_embedded.bounded import Bounded, Limits, Send
from langfuse_embedded.clock import now_ms
from langfuse_embedded.otlp.event import Event
from langfuse_embedded.pricing.cpu_budget import BudgetSpent
from langfuse_embedded.process_tree import end_with_parent

from .commands import FAIL, REFUSE
from .errors import Refused, TooCostly
from .lookups import StateLookups
from .preparation import events_if_small, prepare, slices_of
from .protocol import Frame, encode, receive

log = logging.getLogger("langfuse_embedded.mapper")

# 50,000 spans take 10 s; what a client has to wait longer for it sends again anyway.
_LIMITS = Limits(cpu_seconds=20, seconds=45, memory_bytes=2**30)
# To price a small export. What takes longer is priced beside, too; the next one begins where it ended.
_PRICING_SECONDS = 0.05
# While a slice of a large export waits for the writer: a fraction of what writing it takes.
_LOOK_AGAIN_SECONDS = 0.001


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

    def forward(self, frame: Frame) -> bytes | None:
        """Return the frame to pass on: prepared if it is an export, else as it is.

        ``None``: it is an export that may take long. `forward_slices` prepares it.
        """
        if frame.head["command"] != "ingest_otlp":
            return encode(*frame)
        try:
            moment = now_ms()
            events = events_if_small(frame.head, frame.body, moment)
            if events is None:
                return None
            return self._prepared(frame, events, moment, budget=_PRICING_SECONDS)
        except BudgetSpent:
            return None
        except Exception as error:  # noqa: BLE001 - logged; one export must not end the process
            return _failed(frame, error)

    def forward_slices(self, frame: Frame, send: Send) -> None:
        """Send the frames to pass on for an export of any size; in a process of its own."""
        try:
            if self._lookups is not None:
                self._lookups.reopen()
            moment = now_ms()
            waiting: list[Event] | None = None
            for events in slices_of(frame.head, frame.body, moment):
                if waiting is not None:
                    send(self._prepared(frame, waiting, moment, more=True))
                waiting = events
            send(self._prepared(frame, waiting or [], moment))
        except (OSError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - logged
            send(_failed(frame, error))

    def _prepared(
        self,
        frame: Frame,
        events: list[Event],
        moment: int,
        *,
        more: bool = False,
        budget: float | None = None,
    ) -> bytes:
        if self._lookups is None:
            # Not earlier: the server may still be creating the file.
            self._lookups = StateLookups(self._state_path)
        traces = prepare(frame.head["project"], events, self._lookups, moment, budget)
        body = marshal.dumps([tuple(trace) for trace in traces])
        head = {
            "command": "ingest_otlp",
            "project": frame.head["project"],
            "sender": frame.head.get("sender"),
            "more": more,
        }
        return encode(frame.number, head, body)


def _failed(frame: Frame, error: Exception) -> bytes:
    if isinstance(error, Refused):
        costly = {"too_costly": True} if isinstance(error, TooCostly) else {}
        return encode(frame.number, {"command": REFUSE, "message": str(error), **costly})
    log.error("an export could not be prepared", exc_info=error)
    return encode(frame.number, {"command": FAIL, "message": "Internal Server Error"})


def _exceeded(number: int) -> bytes:
    log.warning("an export took more than %d s or too much memory, and was given up", _LIMITS.cpu_seconds)
    message = "Reading this export takes too long or too much memory: send smaller batches"
    return encode(number, {"command": REFUSE, "message": message, "too_costly": True})


def _run(requests: socket.socket, out: socket.socket, mapper: Mapper) -> None:
    # Both ends are watched: the writer may die while nothing is asked.
    watched = select.poll()
    watched.register(requests, select.POLLIN)
    watched.register(out, 0)
    bounded = Bounded(_LIMITS, watched)
    turns = Turns()
    # Of large exports. The next one goes on when the writer has taken the one before: what others send does
    # not queue behind them.
    slices: deque[bytes] = deque()
    while True:
        if slices and not _is_unread(out):
            out.sendall(slices.popleft())
        has_come = False
        for descriptor, _ in watched.poll(0 if turns or slices else bounded.timeout_ms):
            if descriptor == out.fileno():
                return
            if descriptor != requests.fileno():
                if not slices:
                    slices += bounded.collect(descriptor)
                continue
            frame = receive(requests)
            if frame is None:
                return
            turns.add(frame)
            has_come = True
        slices += bounded.enforce()
        if has_come:
            # All that waits is taken in before one is prepared: it may be the turn of a project among it.
            continue
        if turns:
            frame = turns.take()
            prepared = mapper.forward(frame)
            if prepared is not None:
                out.sendall(prepared)
            else:
                _add(bounded, mapper, frame)
        elif slices:
            time.sleep(_LOOK_AGAIN_SECONDS)


def _is_unread(out: socket.socket) -> bool:
    """Tell whether the other end has still to read something, as far as the system says so."""
    count = array("i", [0])
    try:
        fcntl.ioctl(out, termios.TIOCOUTQ, count)
    except OSError:
        return False
    return count[0] > 0


class Turns:
    """Requests that wait: of each project the oldest, one project after the other.

    How many there are is limited where they come from (`http/intake.py`).
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Frame]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, frame: Frame) -> None:
        """Let a request wait for the turn of its project."""
        self._waiting.setdefault(frame.head.get("project", ""), deque()).append(frame)

    def take(self) -> Frame:
        """Remove and return the request whose turn it is."""
        project = next(iter(self._waiting))
        queue = self._waiting.pop(project)
        frame = queue.popleft()
        if queue:
            self._waiting[project] = queue
        return frame


def _add(bounded: Bounded, mapper: Mapper, frame: Frame) -> None:
    bounded.add(
        frame.head["project"],
        lambda send: mapper.forward_slices(frame, send),
        lambda: _exceeded(frame.number),
    )
