"""What the services see from inside their containers: limits, use of memory and CPU, clock, names."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from scripts.check.doctor.facts import Facts, NotGathered, Surroundings
from scripts.core.errors import StackError
from scripts.docker.containers import Container

from .containers import Containers, run_inside

# The files of cgroup v2, or else those of v1 under the names of v2.
_SCRIPT = """
say() { printf '%s=' "$1"; shift; "$@" 2>/dev/null | tr '\\n' ' '; echo; }
cd /sys/fs/cgroup 2>/dev/null
if [ -e memory.max ]; then
  say memory.max cat memory.max
  say memory.current cat memory.current
  say memory.events cat memory.events
  say cpu.max cat cpu.max
  say cpu.stat cat cpu.stat
else
  say memory.max cat memory/memory.limit_in_bytes
  say memory.current cat memory/memory.usage_in_bytes
  say memory.events cat memory/memory.oom_control
  say cpu.max cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us
  say cpu.stat cat cpu/cpu.stat
fi
say zone date +%z
say now date +%s
say files sh -c 'ulimit -n'
for name in "$@"; do say "dns $name" getent hosts "$name"; done
"""

_BEYOND = 1 << 60


@dataclass(frozen=True, slots=True)
class Inside:
    """What one container sees.

    Attributes:
        memory_limit, memory_used: in bytes; a limit of 0 means none, None that it cannot be read.
        killed: how many of its processes were killed for want of memory.
        throttled: the share of CPU periods in which it had to wait, 0 to 1.
        cpu_limit: in CPUs; 0 means none, None that it cannot be read.
        zone: offset from UTC, such as `+0000`.
        ahead_s: how far its clock is ahead of this machine's.
        resolved: host name -> whether it has an address.
    """

    memory_limit: int | None
    memory_used: int
    killed: int
    throttled: float
    cpu_limit: float | None
    zone: str
    ahead_s: float
    files: int
    resolved: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Insides:
    """The view of every container that could be asked.

    Attributes:
        unasked: services that could not be asked, with the reason.
    """

    by_name: Mapping[str, Inside]
    unasked: Mapping[str, str]


def gather_insides(surroundings: Surroundings, facts: Facts) -> Insides:
    """Return what each running container sees."""
    running = [one for one in facts.of(Containers).by_name.values() if one.running]
    if not running:
        raise NotGathered("no container runs")
    stores = [
        one.service for one in running if one.service in {"postgres", "clickhouse", "valkey", "seaweedfs"}
    ]

    def ask(container: Container) -> Inside | str:
        names = stores if container.service.startswith("langfuse-") else []
        try:
            text = run_inside(surroundings, container, ["sh", "-c", _SCRIPT, "sh", *names])
        except NotGathered as error:
            return str(error)
        except StackError as error:
            return error.message
        return inside_from(text, time.time())

    with ThreadPoolExecutor(max_workers=4) as pool:
        answers = dict(zip([one.name for one in running], pool.map(ask, running), strict=True))
    return Insides(
        {service: answer for service, answer in answers.items() if isinstance(answer, Inside)},
        {service: answer for service, answer in answers.items() if isinstance(answer, str)},
    )


def inside_from(text: str, now: float) -> Inside:
    """Return the facts in what the script prints."""
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    pairs = said.get("cpu.stat", "").split()
    usage = dict(zip(pairs[::2], pairs[1::2], strict=False))
    events = said.get("memory.events", "").split()
    quota, _, period = said.get("cpu.max", "").strip().partition(" ")
    share = int(quota) / int(period) if quota.isdigit() and period.strip().isdigit() else 0.0
    periods = int(usage.get("nr_periods", 0))
    return Inside(
        memory_limit=_limit(said.get("memory.max", "")),
        memory_used=_number(said.get("memory.current", "")),
        killed=int(dict(zip(events[::2], events[1::2], strict=False)).get("oom_kill", 0)),
        throttled=int(usage.get("nr_throttled", 0)) / periods if periods else 0.0,
        cpu_limit=share if quota else None,
        zone=said.get("zone", "").strip(),
        ahead_s=_number(said.get("now", "")) - int(now) if said.get("now", "").strip() else 0.0,
        files=_number(said.get("files", "")),
        resolved={
            name.removeprefix("dns "): bool(value.strip())
            for name, value in said.items()
            if name.startswith("dns ")
        },
    )


def _limit(text: str) -> int | None:
    """Return a limit: 0 for none (`max` in v2, beyond all memory in v1), None where nothing was said."""
    if not text.strip():
        return None
    number = _number(text)
    return number if number < _BEYOND else 0


def _number(text: str) -> int:
    """Return a number, 0 for anything else."""
    text = text.strip()
    return int(text) if text.isdigit() else 0
