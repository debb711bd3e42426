"""What the SDK costs an application: time and CPU for each observation. `python -m benchmarks.overhead`.

The application is a separate process, which opens and ends generations with a kilobyte each way, twenty at
a time with a pause between. The server is there, slow, away, or so far behind that the SDK's queue is full.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.embedded.exporting import free_port
from tests.embedded.harness import DEFAULT_KEYS, REPOSITORY, RunningEngine

OBSERVATIONS, AT_A_TIME, PAUSE_S = 2000, 20, 0.02
TEXT = "How long is the warranty of a turntable? " * 25
Figures = dict[str, float]


@dataclass(frozen=True)
class Condition:
    """What the application meets.

    Attributes:
        faults: of the engine; None: nothing listens there.
        application: variables of the application.
    """

    name: str
    faults: str | None = "none"
    application: Mapping[str, str] | None = None


FULL = {"OTEL_BSP_MAX_QUEUE_SIZE": "64", "LANGFUSE_FLUSH_AT": "64"}
CONDITIONS = (
    Condition("tracing switched off", None, {"LANGFUSE_TRACING_ENABLED": "false"}),
    Condition("server there"),
    Condition("server slow: answers after 2 s", "slow:1:2s@/api/public/otel"),
    Condition("server away: connection refused", None),
    Condition("full queue: 64, answers after 2 s", "slow:1:2s@/api/public/otel", FULL),
)
COLUMNS = ("p50 us", "p99 us", "CPU us", "slowest ms", "end s", "arrived %")


def application(count: int) -> None:
    """Send observations, and print what that took."""
    from langfuse import Langfuse

    langfuse = Langfuse()
    took: list[int] = []
    began = time.process_time()
    with langfuse.start_as_current_observation(name="request", as_type="span") as root:
        for number in range(count):
            if number % AT_A_TIME == 0:
                time.sleep(PAUSE_S)
            start = time.perf_counter_ns()
            with langfuse.start_as_current_observation(
                name="answer", as_type="generation", model="gpt-4o-mini", input=TEXT
            ) as call:
                call.update(output=TEXT, usage_details={"input": 250, "output": 250})
            took.append(time.perf_counter_ns() - start)
    at_end = time.monotonic()
    langfuse.shutdown()
    at_end = time.monotonic() - at_end
    cuts = statistics.quantiles(took, n=100)
    figures = {
        "p50 us": cuts[49] / 1000,
        "p99 us": cuts[98] / 1000,
        "slowest ms": max(took) / 1e6,
        "CPU us": (time.process_time() - began) / count * 1e6,
        "end s": at_end,
    }
    print(json.dumps({"trace": root.trace_id, "figures": figures}))


@contextmanager
def server(condition: Condition) -> Iterator[RunningEngine | None]:
    """Run the engine of a condition."""
    if condition.faults is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as directory:
        engine = RunningEngine(Path(directory) / "engine", {"EMBEDDED_FAULTS": condition.faults}).start()
        try:
            yield engine
        finally:
            engine.stop()


def measure(condition: Condition, engine: RunningEngine | None, count: int) -> Figures:
    """Run the application once."""
    url = engine.base_url if engine else f"http://127.0.0.1:{free_port()}"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.overhead", "--application", "--observations", str(count)],
        cwd=REPOSITORY,
        env={
            **{
                name: value for name, value in os.environ.items() if not name.startswith(("LANGFUSE", "OTEL"))
            },
            "LANGFUSE_BASE_URL": url,
            "LANGFUSE_PUBLIC_KEY": DEFAULT_KEYS.public_key,
            "LANGFUSE_SECRET_KEY": DEFAULT_KEYS.secret_key,
            **(condition.application or {}),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    figures: Figures = told["figures"]
    figures["arrived %"] = 100 * (arrived(engine, told["trace"]) if engine else 0) / count
    return figures


def arrived(engine: RunningEngine, trace: str) -> int:
    """Return how many of the trace's generations the engine has."""
    query = {
        "view": "observations",
        "metrics": [{"measure": "count", "aggregation": "count"}],
        "filters": [
            {"column": "traceId", "operator": "=", "value": trace, "type": "string"},
            {"column": "type", "operator": "any of", "value": ["GENERATION"], "type": "stringOptions"},
        ],
        "fromTimestamp": "2020-01-01T00:00:00Z",
        "toTimestamp": "2100-01-01T00:00:00Z",
    }
    answer = engine.client.get("/api/public/v2/metrics", params={"query": json.dumps(query)})
    return int(answer.raise_for_status().json()["data"][0]["count_count"])


def main() -> None:
    """Print a table: medians over the rounds, but the slowest of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--observations", type=int, default=OBSERVATIONS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--application", action="store_true", help="be the application that is measured")
    given = parser.parse_args()
    if given.application:
        application(given.observations)
        return
    print(f"{'':<36}" + "".join(f"{column:>12}" for column in COLUMNS))
    for condition in CONDITIONS:
        with server(condition) as engine:
            rounds = [measure(condition, engine, given.observations) for _ in range(given.rounds)]
        row = {column: statistics.median(one[column] for one in rounds) for column in COLUMNS}
        row["slowest ms"] = max(one["slowest ms"] for one in rounds)
        cells = "".join(f"{row[column]:>12,.{1 if column.endswith(' s') else 0}f}" for column in COLUMNS)
        print(f"{condition.name:<36}{cells}", flush=True)


if __name__ == "__main__":
    main()
