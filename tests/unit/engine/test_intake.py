"""Bodies in memory: counted as they arrive, shared among projects; and how fast they have to arrive."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Message

from langfuse_embedded.http import pace
from langfuse_embedded.http.errors import RequestTimeout, Unavailable
from langfuse_embedded.http.intake import Intake
from langfuse_embedded.http.pace import Paced
from langfuse_embedded.store.writer import mapper
from langfuse_embedded.store.writer.protocol import Frame


def run(scenario: Any) -> Any:
    return asyncio.run(scenario())


def test_a_project_gets_half_of_what_is_left_and_the_next_one_always_finds_room() -> None:
    async def scenario() -> list[int]:
        intake = Intake(budget=1024, patience=0)
        held = []
        for project in ("zeus", "hera", "athena"):
            with intake.hold(project) as first:
                await first.grow(1)
            hold = intake.hold(project).__enter__()
            while True:
                before = hold.size
                if intake._fits(hold, 1):
                    await hold.grow(1)
                if hold.size == before:
                    break
            held.append(hold.size)
        return held

    assert run(scenario) == [512, 256, 128]


def test_bodies_of_a_project_that_wait_for_each_other_end_one_after_the_other() -> None:
    async def scenario() -> list[str]:
        intake, done = Intake(budget=100, patience=5), list[str]()

        async def send(name: str) -> None:
            with intake.hold("zeus") as hold:
                for _ in range(6):
                    await hold.grow(10)
                    await asyncio.sleep(0)
                done.append(name)

        await asyncio.gather(*(send(str(number)) for number in range(5)))
        assert intake.waiting == 0
        return done

    assert sorted(run(scenario)) == list("01234")


def test_who_finds_no_room_within_the_patience_is_told_to_come_again_and_holds_nothing() -> None:
    async def scenario() -> None:
        intake = Intake(budget=100, patience=0.05)
        with intake.hold("zeus") as first, intake.hold("zeus") as beyond:
            await first.grow(50)
            await beyond.grow(40)  # the one that goes on beyond the share
            with intake.hold("zeus") as late:
                with pytest.raises(Unavailable) as busy:
                    await late.grow(1)
                assert busy.value.headers == {"retry-after": "1"}
                assert late.size == 0
        with intake.hold("hera") as hold:
            await hold.grow(50)
        assert intake.waiting == 0

    run(scenario)


def test_what_a_project_sends_on_is_limited_and_no_other_project_waits_for_it() -> None:
    async def scenario() -> list[str]:
        intake, seen = Intake(window=100, patience=5), list[str]()
        release = asyncio.Event()

        async def send(project: str, size: int) -> None:
            async with intake.window(project, size):
                seen.append(f"{project} {size}")
                if project == "zeus":
                    await release.wait()

        waiting = [asyncio.create_task(send("zeus", size)) for size in (80, 30, 500, 20)]
        await asyncio.sleep(0)
        await send("hera", 90)
        release.set()
        await asyncio.gather(*waiting)
        assert intake.waiting == 0
        return seen

    assert run(scenario) == ["zeus 80", "hera 90", "zeus 30", "zeus 500", "zeus 20"]


def test_who_waits_too_long_behind_the_own_project_is_told_to_come_again() -> None:
    async def scenario() -> None:
        intake = Intake(window=100, patience=0.05)
        async with intake.window("zeus", 100):
            with pytest.raises(Unavailable):
                async with intake.window("zeus", 1):
                    pass
        async with intake.window("zeus", 100):
            pass

    run(scenario)


class Sender:
    """A client that sends `size` bytes every `seconds` of a clock that only it moves."""

    def __init__(self, seconds: float, size: int, count: int) -> None:
        self.now, self.seconds, self.size, self.left = 0.0, seconds, size, count

    async def __call__(self) -> Message:
        self.now += self.seconds
        self.left -= 1
        return {"type": "http.request", "body": b"x" * self.size, "more_body": self.left > 0}


async def received(sender: Sender) -> int:
    paced = Paced(sender, clock=lambda: sender.now)
    arrived = 0
    while sender.left > 0:
        arrived += len((await paced())["body"])
    return arrived


def test_a_slow_body_arrives_whole_and_one_that_drips_does_not() -> None:
    slow = Sender(1.0, 20_000, 200)
    assert asyncio.run(received(slow)) == 4_000_000
    with pytest.raises(RequestTimeout):
        asyncio.run(received(Sender(1.0, 1, 200)))


def test_a_body_that_stops_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "IDLE_SECONDS", 0.05)

    async def nothing() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(RequestTimeout):
        asyncio.run(Paced(nothing)())


def test_in_the_mapping_process_one_project_waits_for_one_export_of_another() -> None:
    turns = mapper.Turns()
    for number, project in enumerate(["zeus", "zeus", "zeus", "hera", "athena", "hera"]):
        turns.add(Frame(number, {"command": "ingest_otlp", "project": project}, b""))
    assert [turns.take().number for _ in range(6)] == [0, 3, 4, 1, 5, 2]
    assert not turns
