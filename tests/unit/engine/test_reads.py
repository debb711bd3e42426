"""Threads for queries: a project that asks for much waits for itself, and not others for it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from langfuse_embedded.http.errors import Unavailable
from langfuse_embedded.http.reads import Reads


def run(scenario: Any) -> Any:
    return asyncio.run(scenario())


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0.002)


class Work:
    """Queries that last until they are let go, and how many of each project are at work."""

    def __init__(self, reads: Reads) -> None:
        self.reads, self.go_on = reads, threading.Event()
        self.lock, self.busy, self.order = threading.Lock(), dict[str, int](), list[str]()
        self.tasks: list[asyncio.Task[None]] = []

    def ask(self, project: str, times: int = 1) -> None:
        def read() -> None:
            with self.lock:
                self.busy[project] = self.busy.get(project, 0) + 1
                self.order.append(project)
            assert self.go_on.wait(30)

        self.tasks += [asyncio.create_task(self.reads.run(project, read)) for _ in range(times)]

    async def end(self) -> list[Any]:
        self.go_on.set()
        return await asyncio.gather(*self.tasks, return_exceptions=True)


def test_a_project_alone_gets_half_and_each_next_one_half_of_the_rest() -> None:
    async def scenario() -> dict[str, int]:
        work = Work(Reads(threads=16))
        for project in ("zeus", "hera", "athena", "hermes"):
            work.ask(project, 50)
            await settle()
        found = dict(work.busy)
        assert await work.end() == [None] * 200
        return found

    assert run(scenario) == {"zeus": 8, "hera": 4, "athena": 2, "hermes": 1}


def test_one_query_of_a_neighbour_does_not_wait_behind_hundreds() -> None:
    async def scenario() -> None:
        work = Work(Reads(threads=4))
        work.ask("zeus", 300)
        await settle()
        assert work.busy == {"zeus": 2}
        assert await asyncio.wait_for(work.reads.run("hera", lambda: "done"), 30) == "done"
        await work.end()

    run(scenario)


def test_waiting_projects_take_turns_and_queries_of_one_go_in_their_order() -> None:
    async def scenario() -> list[str]:
        reads, order = Reads(threads=1), list[str]()
        work = Work(reads)
        work.ask("zeus")
        await settle()

        def note(name: str) -> Any:
            return lambda: order.append(name)

        tasks = [
            asyncio.create_task(reads.run(name[0], note(name))) for name in ("a1", "a2", "a3", "b1", "b2")
        ]
        await settle()
        assert order == []
        await work.end()
        await asyncio.gather(*tasks)
        return order

    assert run(scenario) == ["a1", "b1", "a2", "b2", "a3"]


def test_who_gets_no_thread_within_the_patience_is_told_to_ask_again_and_holds_none() -> None:
    async def scenario() -> None:
        reads = Reads(threads=2, patience=0.05)
        work = Work(reads)
        work.ask("zeus")
        await settle()
        with pytest.raises(Unavailable, match="Ask again"):
            await reads.run("zeus", lambda: None)
        work.go_on.set()
        await asyncio.gather(*work.tasks)
        assert await reads.run("zeus", lambda: 7) == 7
        assert (reads._free, dict(reads._busy), reads._waiting) == (2, {}, {})

    run(scenario)


def test_whoever_gives_up_or_fails_leaves_a_free_thread() -> None:
    async def scenario() -> None:
        reads = Reads(threads=2)
        work = Work(reads)
        work.ask("zeus", 2)
        await settle()
        work.tasks[1].cancel()
        await settle()
        assert await reads.run("hera", lambda: 1) == 1
        await work.end()

        def fails() -> None:
            raise ValueError("planted")

        for _ in range(5):
            with pytest.raises(ValueError, match="planted"):
                await reads.run("zeus", fails)
        assert (reads._free, dict(reads._busy), reads._waiting) == (2, {}, {})

    run(scenario)
