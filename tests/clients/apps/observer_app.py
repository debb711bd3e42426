"""An orchestrator that is observed with examples/observer.py: nested, concurrent and failing agents."""

import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "examples"))

from observer import Observer

now = [0.0]


async def work(observer: Observer, number: int) -> str:
    """A task whose planner calls a coder; both cost something."""
    async with (
        observer.task("bug_fix", session_id=f"observed-{number}", user_id="athena", input_="t") as root,
        observer.run("planner", input_="plan") as outer,
    ):
        outer.call("gpt-4o", {"input": 1000, "output": 0}, usd=0.0025)
        async with observer.run("coder", input_="code") as inner:
            await asyncio.sleep(0)
            inner.call("gpt-4o-mini", {"input": 1000, "output": 0})
            inner.finish(success=True, quality=0.5, output="patch")
        outer.call("gpt-4o", {"input": 1000, "output": 0}, usd=0.0025)
        outer.finish(success=True, quality=1.0, output="done")
    return root.trace_id


async def fail(observer: Observer) -> tuple[str, list[str | None]]:
    """A task whose first agent raises until it is left alone, is tried again later, and works again."""
    chosen: list[str | None] = []
    async with observer.task("refactoring") as root:
        for _ in range(observer.failures_to_open):
            try:
                async with observer.run("shaky"):
                    raise RuntimeError("no tests")
            except RuntimeError:
                observer.switch("shaky", "planner", "no tests")
        chosen.append(observer.choose(["shaky"]))
        now[0] += observer.pause_s
        chosen.append(observer.choose(["shaky"]))
        async with observer.run("shaky") as run:
            run.finish(success=True)
        chosen.append(observer.choose(["shaky"], budget_left=0))
    return root.trace_id, chosen


async def main() -> None:
    async with Observer(clock=lambda: now[0]) as observer:
        tasks = await asyncio.gather(*(work(observer, number) for number in range(3)))
        failed, chosen = await fail(observer)
        best = observer.choose(["planner", "coder"])
    print(json.dumps({"tasks": tasks, "failed": failed, "chosen": chosen, "best": best}))


asyncio.run(main())
