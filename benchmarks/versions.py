"""What a request costs in this checkout and in another one, measured in turns in one sitting.

    git worktree add --detach ../before v1.0.0
    python -m benchmarks.versions --other ../before [--rounds 60]
    python -m benchmarks.versions --judge          without and with a judge that looks at all, and judges none

Both engines run at once on empty directories and get the same load in short turns, so that what else the
machine does, and how fast it is just now, meets both. What counts is the CPU time of all processes of an
engine: it says more than seconds on a machine that others use.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from urllib.parse import quote

import psutil
from rich.console import Console
from rich.table import Table

from tests.embedded.harness import RunningEngine
from tests.embedded.judging import ALLOWED, connect, evaluator, rule

from .harness import AGGREGATE, CONNECTIONS, READ_PATH, Bench
from .load import SPANS_PER_EXPORT, SPANS_PER_TRACE, exports, send_all

_STORED = 20_000
_START_SECONDS = 10.0
_JUDGE = "langfuse_embedded.judge"
# Of all threads of a process, ended ones too: CPUCLOCK_SCHED in Linux's posix-timers.h.
_CPU_CLOCK = 2
_PACKAGE = "langfuse_embedded"
_PARTS = ("server", "writer", "mapper", "judge", "other")
_THIS = Path(__file__).parents[1]

Step = Callable[[Bench, int], int]
"""Does a turn with this seed, and returns how many things it did."""
Costs = Counter[str]
"""CPU seconds by process."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--other", type=Path, default=_THIS, help="the checkout to compare with")
    parser.add_argument("--judge", action="store_true", help="this one has a judge")
    parser.add_argument("--rounds", type=int, default=60, help="turns of each engine (default: 60)")
    arguments = parser.parse_args()
    console = Console(width=120)
    with ExitStack() as stack:
        other, this = (
            Bench(stack.enter_context(_Engine(_sources(checkout)))) for checkout in (arguments.other, _THIS)
        )
        if arguments.judge:
            _start_judge(this)
        for bench in (other, this):
            bench.warm_up()
            bench.ingest(_STORED, seed=2)
            bench.aggregate()
        table = Table(
            "microseconds of CPU", "other", "this", "this / other (half of the rounds)", "by process"
        )
        for name, step in _STEPS:
            table.add_row(name, *_compared(other, this, step, arguments.rounds))
        console.print(table)


class _Engine(RunningEngine):
    def __init__(self, sources: Path) -> None:
        super().__init__(environment={"PYTHONPATH": str(sources), **ALLOWED})


def _start_judge(bench: Bench) -> None:
    client = bench.engine.client
    connect(client, "http://127.0.0.1:9/v1")
    judge = evaluator(client, "quality")
    nobody = [{"column": "name", "type": "stringOptions", "operator": "any of", "value": ["nobody"]}]
    rule(client, [judge["id"]], filter=nobody)
    deadline = time.monotonic() + _START_SECONDS
    while not any(_JUDGE in process.cmdline() for process in bench.processes()):
        if time.monotonic() > deadline:
            raise SystemExit("the judge did not start")
        time.sleep(0.05)


def _sources(checkout: Path) -> Path:
    found = [path for path in (checkout / "embedded" / "src", checkout) if (path / _PACKAGE).is_dir()]
    if not found:
        raise SystemExit(f"{checkout} has no {_PACKAGE}: name a checkout of this repository")
    return found[0].resolve()


def _compared(other: Bench, this: Bench, step: Step, rounds: int) -> tuple[str, ...]:
    """Return the cells of a row: medians of both, of the quotients of the rounds, and by process."""
    costs: dict[Bench, list[Costs]] = {other: [], this: []}
    for number in range(rounds):
        for bench in (other, this) if number % 2 else (this, other):
            before = _cpu(bench)
            count = step(bench, number)
            spent = _cpu(bench)
            spent.subtract(before)
            costs[bench].append(Counter({name: spent[name] / count * 1e6 for name in spent}))
    olds, news = ([sum(one.values()) for one in costs[bench]] for bench in (other, this))
    quotients = sorted(new / old for old, new in zip(olds, news, strict=True))
    quarter = len(quotients) // 4
    parts = (
        f"{part} {_median(costs[other], part):.0f}, {_median(costs[this], part):.0f}"
        for part in _PARTS
        if any(one[part] for one in costs[this])
    )
    return (
        f"{statistics.median(olds):,.1f}",
        f"{statistics.median(news):,.1f}",
        f"{statistics.median(quotients):.3f} ({quotients[quarter]:.2f} to {quotients[-1 - quarter]:.2f})",
        "; ".join(parts),
    )


def _median(costs: list[Costs], part: str) -> float:
    return statistics.median(one[part] for one in costs)


def _cpu(bench: Bench) -> Costs:
    used: Costs = Counter()
    for process in bench.processes():
        seconds = time.clock_gettime(~process.pid << 3 | _CPU_CLOCK)
        used[_part(bench, process)] += seconds  # type: ignore[assignment]
    return used


def _part(bench: Bench, process: psutil.Process) -> str:
    if process.pid == bench.engine.pid:
        return "server"
    if "langfuse_embedded.store.writer" in process.cmdline():
        return "writer" if process.ppid() == bench.engine.pid else "mapper"
    return "judge" if _JUDGE in process.cmdline() else "other"


def _exports(bench: Bench, seed: int) -> int:
    return _send(bench, 2_000, seed, CONNECTIONS)


def _small_exports(bench: Bench, seed: int) -> int:
    return _send(bench, 40 * SPANS_PER_TRACE, seed, 1, traces_per_export=1) // SPANS_PER_TRACE


def _send(bench: Bench, spans: int, seed: int, connections: int, traces_per_export: int = 10) -> int:
    load = exports(spans, f"{connections} {seed}", traces_per_export)
    sent = send_all(bench.connect, load, connections)
    assert not sent.refused, sent.refused
    return spans


def _reads(bench: Bench, seed: int) -> int:
    return _get(bench, [READ_PATH + trace for trace in Random(seed).choices(bench.stored, k=100)])


def _aggregates(bench: Bench, _seed: int) -> int:
    return _get(bench, [f"/api/public/v2/metrics?query={quote(json.dumps(AGGREGATE))}"] * 10)


def _get(bench: Bench, paths: list[str]) -> int:
    connection = bench.connect()
    for path in paths:
        status, body = connection.call("GET", path)
        assert status == 200, body
    connection.close()
    return len(paths)


_STEPS: tuple[tuple[str, Step], ...] = (
    ("aggregate by model", _aggregates),
    ("trace read", _reads),
    (f"a span, in exports of {SPANS_PER_EXPORT}, {CONNECTIONS} connections", _exports),
    (f"an export of {SPANS_PER_TRACE} spans, 1 connection", _small_exports),
)


if __name__ == "__main__":
    main()
