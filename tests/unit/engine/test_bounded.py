"""Work in processes with limits: its outcome, what exceeds a limit, and whose turn it is."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable

from langfuse_embedded.bounded import Bounded, Limits, Send

LIMITS = Limits(cpu_seconds=20, seconds=20, memory_bytes=2**30)


def drive(fill: Callable[[Bounded], None], limits: Limits = LIMITS, parallel: int = 2) -> list[bytes]:
    """Run what `fill` adds until nothing is left; return all parts in the order in which they came."""
    watched = select.poll()
    bounded = Bounded(limits, watched, parallel=parallel)
    fill(bounded)
    parts: list[bytes] = []
    while bounded.timeout_ms is not None:
        for descriptor, _ in watched.poll(bounded.timeout_ms):
            parts += bounded.collect(descriptor)
        parts += bounded.enforce()
    return parts


def exceeded() -> bytes:
    return b"exceeded"


def spin(_send: Send) -> None:
    while True:
        pass


def test_parts_come_back_whole_and_in_order() -> None:
    sent = [b"a", b"b" * 1_000_000, b"\0" * 3]
    assert (
        drive(lambda bounded: bounded.add("zeus", lambda send: [send(one) for one in sent], exceeded)) == sent
    )  # type: ignore[arg-type, func-returns-value]


def test_work_that_uses_a_processor_for_too_long_is_ended() -> None:
    limits = Limits(cpu_seconds=1, seconds=60, memory_bytes=2**30)
    assert drive(lambda bounded: bounded.add("zeus", spin, exceeded), limits) == [b"exceeded"]


def test_work_that_only_waits_is_ended_too_even_when_it_is_stopped() -> None:
    limits = Limits(cpu_seconds=20, seconds=0.2, memory_bytes=2**30)

    def stop(_send: Send) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    assert drive(lambda bounded: bounded.add("zeus", stop, exceeded), limits) == [b"exceeded"]


def test_work_that_takes_too_much_memory_is_ended() -> None:
    limits = Limits(cpu_seconds=20, seconds=60, memory_bytes=64 * 2**20)

    def take(send: Send) -> None:
        send(b"begins")
        bytearray(2**30)

    assert drive(lambda bounded: bounded.add("zeus", take, exceeded), limits) == [b"begins", b"exceeded"]


def test_work_that_dies_is_told_apart_from_work_that_is_done() -> None:
    def die(_send: Send) -> None:
        os._exit(0)

    assert drive(lambda bounded: bounded.add("zeus", die, exceeded)) == [b"exceeded"]


def test_one_project_has_one_piece_at_work_and_others_have_their_turn() -> None:
    def work(name: bytes) -> Callable[[Send], None]:
        def run(send: Send) -> None:
            send(name)
            time.sleep(0.5)  # long enough for the others to be at work, on a busy machine too

        return run

    def fill(bounded: Bounded) -> None:
        for number in range(3):
            bounded.add("zeus", work(b"zeus %d" % number), exceeded)
        bounded.add("hera", work(b"hera"), exceeded)
        bounded.add("athena", work(b"athena"), exceeded)

    parts = drive(fill)
    assert [part for part in parts if part.startswith(b"zeus")] == [b"zeus 0", b"zeus 1", b"zeus 2"]
    assert parts.index(b"hera") < parts.index(b"zeus 1")
    assert parts.index(b"athena") < parts.index(b"zeus 2")


def test_work_is_a_session_that_gives_way_and_takes_no_share_of_its_parents() -> None:
    def tell(send: Send) -> None:
        send(f"{os.getsid(0) == os.getpid()} {os.nice(0) - nice}".encode())

    nice = os.nice(0)
    assert drive(lambda bounded: bounded.add("zeus", tell, exceeded)) == [b"True 10"]
