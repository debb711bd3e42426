"""Footprint of the exporter with 20 projects and 50 alerts. `python -m benchmarks.exporter`."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import httpx
import psutil

from tests.embedded.exporting import RunningExporter, poll
from tests.embedded.harness import Keys, RunningEngine
from tests.embedded.seeding import make_seed, push

PROJECTS = 20
ALERTS = 50
INTERVAL_S = 60
CANARY_S = 30
SCRAPE_EVERY_S = 1.0


def alerts_text() -> str:
    """Return a file of 50 alerts on scores, cost, latency and errors, some of them grouped."""
    conditions = (
        ("attribution_confidence", "avg < 0.7", ""),
        ("conformal_coverage", "abs(avg - 0.9) > 0.05", ""),
        ("llm_cost", "sum > 50", "model"),
        ("latency", "p95 > 20s", "trace_name"),
        ("error_rate", "avg > 10%", "agent"),
        ("gap_fill_success", "avg < 50%", "tag"),
        ("attribution_confidence", "share(>= 90%) < 60%", ""),
        ("tokens", "sum(tokens) / count(traces) > 2000", ""),
        ("satisfaction", "avg < 3.5", "environment"),
        ("tts_latency_ms", "p95 > 800", ""),
    )
    windows = ("15m", "1h", "6h", "24h", "7d")
    lines = ["actions: {hook: {type: webhook, url: 'http://127.0.0.1:9/'}}", "alerts:"]
    for number in range(ALERTS):
        metric, condition, group = conditions[number % len(conditions)]
        by = f", group_by: {group}" if group else ""
        window = windows[number // len(conditions)]
        lines.append(
            f"  - {{name: alert_{number}, metric: {metric}, condition: '{condition}', "
            f"window: {window}, action: hook{by}}}"
        )
    return "\n".join(lines) + "\n"


def measure(seconds: float) -> dict[str, float]:
    """Return the figures of an exporter that is scraped for `seconds` seconds after its first reading."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        engine = RunningEngine(directory / "engine").start()
        keys = [engine.keys, *(engine.provision(f"p{number}") for number in range(PROJECTS - 1))]
        for number, key in enumerate(keys):
            with engine.client_for(key) as client:
                push(client, make_seed(number))
        exporter = RunningExporter(
            directory / "exporter", engine.base_url, keys, alerts_text(), _environment()
        )
        try:
            exporter.start()
            poll(lambda: _read(exporter, keys), "all projects are read", timeout_s=120)
            return _observe(exporter, seconds)
        finally:
            exporter.stop()
            engine.stop()


def _environment() -> dict[str, str]:
    return {"EXPORTER_INTERVAL_S": str(INTERVAL_S), "CANARY_INTERVAL_S": str(CANARY_S)}


def _read(exporter: RunningExporter, keys: list[Keys]) -> bool:
    up = exporter.metrics().get("langfuse_exporter_project_up", [])
    return sum(value for _, value in up) == len(keys)


def _observe(exporter: RunningExporter, seconds: float) -> dict[str, float]:
    process = psutil.Process(exporter.process.pid)
    before = process.cpu_times()
    start = time.monotonic()
    scrapes, size = [], 0
    with httpx.Client(base_url=exporter.url) as client:  # Prometheus keeps its connection too
        while time.monotonic() - start < seconds:
            begun = time.monotonic()
            size = len(client.get("/metrics").content)
            scrapes.append(time.monotonic() - begun)
            time.sleep(SCRAPE_EVERY_S)
    wall = time.monotonic() - start
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return {
        "scrape p50, ms": statistics.median(scrapes) * 1000,
        "scrape p95, ms": statistics.quantiles(scrapes, n=20)[-1] * 1000,
        "answer, KB": size / 1000,
        "CPU, % of one core": used / wall * 100,
        "resident, MB": process.memory_info().rss / 1e6,
        "reading all projects, s": exporter.value("langfuse_exporter_cycle_seconds") or 0.0,
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=INTERVAL_S, help="how long; use multiples of 60")
    for what, value in measure(parser.parse_args().seconds).items():
        print(f"{what:<40} {value:10.1f}")


if __name__ == "__main__":
    main()
