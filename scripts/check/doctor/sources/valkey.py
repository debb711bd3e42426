"""The bundled Valkey, asked with its own client inside its container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scripts.check.doctor.facts import Facts, NotGathered, Surroundings

from .containers import run_inside
from .postgres import store_container

# The client exits with 0 on NOAUTH, LOADING and MISCONF as well.
_SCRIPT = """
answer=$(valkey-cli -h 127.0.0.1 ping); [ "$answer" = PONG ] || { echo "it answers: $answer" >&2; exit 1; }
valkey-cli info
for name in maxmemory-policy appendonly appendfsync maxmemory; do
  valkey-cli config get $name | tr '\\n' ':'; echo
done
"""


@dataclass(frozen=True, slots=True)
class Valkey:
    """What Valkey says: its settings and its counters by name."""

    said: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        """Return a setting or counter. Raises NotGathered."""
        if name not in self.said:
            raise NotGathered(f"Valkey does not say its {name}")
        return self.said[name]


def gather(surroundings: Surroundings, facts: Facts) -> Valkey:
    """Return what it says. Raises NotGathered when it is external, does not run, or refuses the login."""
    container = store_container(surroundings, facts, "valkey", "REDIS_HOST", "REDIS_CONNECTION_STRING")
    return Valkey(parse(run_inside(surroundings, container, ["sh", "-c", _SCRIPT])))


def parse(text: str) -> dict[str, str]:
    """Return `name:value` lines; those of `config get` end with a colon, and win."""
    return {
        name: value.strip().rstrip(":")
        for name, separator, value in (line.partition(":") for line in text.splitlines())
        if separator and not name.startswith("#")
    }
