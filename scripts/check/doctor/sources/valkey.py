"""Valkey, asked with its own client: inside its container, or from one for an external one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from scripts.check.doctor.facts import Facts, NotGathered, Surroundings
from scripts.stores.external import unsupported_valkey, valkey_login

from . import clients
from .containers import Containers, run_inside

# The client exits with 0 on NOAUTH, LOADING and MISCONF as well.
_SCRIPT = """
answer=$(valkey-cli -h 127.0.0.1 ping); [ "$answer" = PONG ] || { echo "it answers: $answer" >&2; exit 1; }
valkey-cli info
for name in maxmemory-policy appendonly appendfsync maxmemory; do
  valkey-cli config get $name | tr '\\n' ':'; echo
done
"""
# The password comes over standard input. Managed services refuse CONFIG: what INFO says counts then.
_EXTERNAL = """
IFS= read -r REDISCLI_AUTH
export REDISCLI_AUTH
user=$1; shift
cli() { timeout 5 valkey-cli "$@"; }
answer=$(cli ${user:+--user "$user"} "$@" ping 2>/tmp/said)
if [ "$answer" != PONG ]; then
  reason=$(echo "${answer:-it does not answer within 5 s}" | cat /tmp/said - | head -n 1)
  printf '@failed %s\\n' "$reason"; exit
fi
printf 'here:%s\\n' "$(date +%s)"
printf 'now:%s\\n' "$(cli ${user:+--user "$user"} "$@" time | head -n 1)"
cli ${user:+--user "$user"} "$@" info
for name in maxmemory-policy appendonly appendfsync maxmemory; do
  cli ${user:+--user "$user"} "$@" config get $name | tr '\\n' ':'; echo
done
unset REDISCLI_AUTH
if [ "$(cli "$@" ping 2>/dev/null)" = PONG ]; then echo open:yes; else echo open:no; fi
"""


@dataclass(frozen=True, slots=True)
class Valkey:
    """What Valkey says: its settings and its counters by name.

    Attributes:
        external: whether someone else runs it.
    """

    said: Mapping[str, str]
    external: bool = False

    def __getitem__(self, name: str) -> str:
        """Return a setting or counter. Raises NotGathered."""
        if name not in self.said:
            raise NotGathered(f"Valkey does not say its {name}")
        return self.said[name]

    @property
    def version(self) -> str:
        """The version of Valkey, or of the Redis that is there for it. Raises NotGathered."""
        return self.said.get("valkey_version") or self["redis_version"]


def gather_valkey(surroundings: Surroundings, facts: Facts) -> Valkey:
    """Return what it says. Raises NotGathered when it does not run, or refuses the login."""
    if not clients.is_external(surroundings, "valkey"):
        container = facts.of(Containers).running("valkey")
        return Valkey(parse(run_inside(surroundings, container, ["sh", "-c", _SCRIPT])))
    other = unsupported_valkey(surroundings.context.layout)
    if other.startswith(("REDIS_CLUSTER", "REDIS_SENTINEL")):
        raise NotGathered(f"an external Valkey with {other} is not asked: its operator knows")
    login = valkey_login(surroundings.settings.values)
    options = replace(login, user="").options()
    stdin = f"{login.password}\n"
    return Valkey(
        _with_info(
            parse(clients.ask(surroundings, facts, "valkey", _EXTERNAL, login.user, *options, stdin=stdin))
        ),
        external=True,
    )


def _with_info(said: Mapping[str, str]) -> dict[str, str]:
    """Return settings from INFO where CONFIG is refused."""
    aof = {"1": "yes", "0": "no"}.get(said.get("aof_enabled", ""))
    known = {"maxmemory-policy": said.get("maxmemory_policy"), "appendonly": aof}
    return {**{name: value for name, value in known.items() if value}, **said}


def parse(text: str) -> dict[str, str]:
    """Return `name:value` lines; those of `config get` end with a colon, and win."""
    return {
        name: value.strip().rstrip(":")
        for name, separator, value in (line.partition(":") for line in text.splitlines())
        if separator and not name.startswith("#")
    }
