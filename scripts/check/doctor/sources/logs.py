"""Lines of the last day's logs that mean trouble."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from scripts.check.doctor.facts import Facts, NotGathered, Surroundings
from scripts.core.errors import StackError
from scripts.docker.client import Client

from .containers import Containers

TIMEOUT_S = 5.0
LINES = 20_000
EMBEDDED_BYTES = 4 * 2**20

PATTERNS: Mapping[str, re.Pattern[str]] = {
    # The worker gave up on rows that had been acknowledged.
    "dropped": re.compile(r"Max attempts reached, dropped (\d+)"),
    # config/langfuse/set-refused-rows-aside.cjs
    "refused": re.compile(r"ClickHouse refuses (\d+) \w+ record\(s\), set aside"),
    "heap": re.compile(r"heap out of memory|Reached heap limit"),
    "memory": re.compile(r"MEMORY_LIMIT_EXCEEDED"),
    "stalled": re.compile(r"job stalled more than|could not renew lock", re.IGNORECASE),
    # Of the embedded engine: what it did not expect.
    "traceback": re.compile(r"^Traceback \(most recent call last\)|^[\w.]*CRITICAL\b"),
}


@dataclass(frozen=True, slots=True)
class Logs:
    """What was found: name of the pattern -> lines, each with its service before it."""

    lines: Mapping[str, Sequence[str]]


def gather_logs(surroundings: Surroundings, facts: Facts) -> Logs:
    """Return the lines that mean trouble. Raises NotGathered where there is no log."""
    if surroundings.is_compose:
        texts = _of_containers(surroundings, facts)
    else:
        log = surroundings.context.layout.embedded_log
        if not log.exists():
            raise NotGathered("there is no log yet")
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - EMBEDDED_BYTES))
            texts = {"embedded": file.read().decode(errors="replace")}
    return Logs(find(texts))


def find(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the lines of each pattern."""
    found: dict[str, list[str]] = {name: [] for name in PATTERNS}
    for service, text in texts.items():
        for line in text.splitlines():
            for name, pattern in PATTERNS.items():
                if pattern.search(line):
                    found[name].append(f"{service}: {line.strip()[:200]}")
    return found


def _of_containers(surroundings: Surroundings, facts: Facts) -> dict[str, str]:
    client = Client(surroundings.context.runner, timeout_s=TIMEOUT_S)
    texts: dict[str, str] = {}
    for service in ("langfuse-web", "langfuse-worker"):
        container = facts.of(Containers).by_name.get(service)
        if container is None:
            continue
        with suppress(StackError):
            texts[service] = client.logs(container.id, "--since", "24h", "--tail", str(LINES))
    if not texts:
        raise NotGathered("neither web nor worker has a log")
    return texts
