"""Work whose cost a client chooses: each piece in a process with limits of time and memory.

A process that runs `Bounded` has no threads. It forks a child for each piece of work; what the child sends
comes back in parts, and a child that exceeds a limit is ended. A project has one piece at work at a time and
its others wait, so that nobody's work holds up someone else's for longer than a piece takes. Children give
way to the processes that serve everybody.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .process_tree import end_with_parent

Send = Callable[[bytes], None]
Work = Callable[[Send], None]
"""Does the work in the child, and sends its outcome in one part or several."""

_LENGTH = struct.Struct("<I")
_READ_BYTES = 1 << 18
_GIVE_WAY = 10
_SHARE_GIVES_WAY = 5
_PAGE = resource.getpagesize()


@dataclass(frozen=True, slots=True)
class Limits:
    """What one piece of work may take: processor and clock in seconds, and bytes more than its parent has."""

    cpu_seconds: int
    seconds: float
    memory_bytes: int


@dataclass(slots=True)
class _Waiting:
    work: Work
    exceeded: Callable[[], bytes]
    limits: Limits


@dataclass(slots=True)
class _Child:
    owner: str
    pid: int
    connection: socket.socket
    deadline: float
    exceeded: Callable[[], bytes]
    received: bytearray = field(default_factory=bytearray)
    is_done: bool = False


class Bounded:
    """Runs work of several owners (projects) within limits, beside a loop over `poll`.

    `poll` gets the descriptors to watch; those that are ready belong in `collect`.
    """

    def __init__(self, limits: Limits, poll: select.poll, *, parallel: int = 2) -> None:
        self._limits, self._poll, self._parallel = limits, poll, parallel
        self._waiting: dict[str, deque[_Waiting]] = {}
        self._children: dict[int, _Child] = {}

    def add(
        self, owner: str, work: Work, exceeded: Callable[[], bytes], limits: Limits | None = None
    ) -> None:
        """Do work when it is its owner's turn. `exceeded` makes the part that stands for a limit exceeded."""
        waiting = _Waiting(work, exceeded, limits or self._limits)
        self._waiting.setdefault(owner, deque()).append(waiting)
        self._start_waiting()

    @property
    def timeout_ms(self) -> int | None:
        """How long a poll may wait before `enforce` has something to do; ``None``: for any time."""
        if not self._children:
            return None
        nearest = min(child.deadline for child in self._children.values())
        return max(0, int((nearest - time.monotonic()) * 1000) + 1)

    def collect(self, descriptor: int) -> list[bytes]:
        """Return the parts that have arrived on a descriptor; none for descriptors of others."""
        child = self._children.get(descriptor)
        if child is None:
            return []
        data = child.connection.recv(_READ_BYTES)
        if not data:
            return self._end(child)
        child.received += data
        parts = []
        for part in _parts(child.received):
            if not part:
                child.is_done = True
            else:
                parts.append(part)
        return parts

    def enforce(self) -> list[bytes]:
        """End children that are late; return what stands for their outcome."""
        now = time.monotonic()
        late = [child for child in self._children.values() if child.deadline <= now]
        return [part for child in late for part in self._end(child)]

    def _end(self, child: _Child) -> list[bytes]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)  # harmless where it has ended: it is still to be waited for
        os.waitpid(child.pid, 0)
        descriptor = child.connection.fileno()
        self._poll.unregister(descriptor)
        del self._children[descriptor]
        child.connection.close()
        self._start_waiting()
        return [] if child.is_done else [child.exceeded()]

    def _start_waiting(self) -> None:
        busy = {child.owner for child in self._children.values()}
        for owner in [owner for owner in self._waiting if owner not in busy]:
            if len(self._children) >= self._parallel:
                return
            queue = self._waiting.pop(owner)
            self._start(owner, queue.popleft())
            if queue:
                # Behind all others: one after the other gets its turn.
                self._waiting[owner] = queue

    def _start(self, owner: str, waiting: _Waiting) -> None:
        ours, theirs = socket.socketpair()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                end_with_parent(parent)
                ours.close()
                _limit(waiting.limits)
                waiting.work(lambda part: theirs.sendall(_LENGTH.pack(len(part)) + part))
                theirs.sendall(_LENGTH.pack(0))
                code = 0
            except (BrokenPipeError, ConnectionResetError, MemoryError):
                pass
            finally:
                os._exit(code)
        theirs.close()
        self._poll.register(ours, select.POLLIN)
        deadline = time.monotonic() + waiting.limits.seconds
        self._children[ours.fileno()] = _Child(owner, pid, ours, deadline, waiting.exceeded)


def _limit(limits: Limits) -> None:
    os.nice(_GIVE_WAY)
    _take_own_share()
    # A new process has used nothing yet; the soft limit ends it, the hard one is for who ignores that.
    seconds = limits.cpu_seconds
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    with contextlib.suppress(OSError, ValueError):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE
        resource.setrlimit(resource.RLIMIT_AS, (used + limits.memory_bytes,) * 2)


def _take_own_share() -> None:
    """Be a session: where Linux shares the processor among sessions, this one takes nothing from the engine.

    Else the kernel holds what costly work has used against the processes that serve everybody: they wait when
    they wake up (sched(7), "The autogroup feature"). Among sessions nice values say nothing; half of the way
    is for a busy machine, where the lowest share would end large exports.
    """
    with contextlib.suppress(OSError):
        os.setsid()
        Path("/proc/self/autogroup").write_text(f"{_SHARE_GIVES_WAY}")


def _parts(received: bytearray) -> Iterator[bytes]:
    """Yield and remove the complete parts; an empty one says that the work is done."""
    start = 0
    while len(received) - start >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(received, start)
        if len(received) - start - _LENGTH.size < length:
            break
        start += _LENGTH.size
        yield bytes(received[start : start + length])
        start += length
    del received[:start]
