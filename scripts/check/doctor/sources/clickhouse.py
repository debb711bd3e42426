"""ClickHouse, asked over HTTP: inside its container, or from one for an external one."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from scripts.check.doctor.facts import Facts, NotGathered, Surroundings
from scripts.stores.external import clickhouse_command

from . import clients
from .containers import Containers, run_inside

# One login for all questions, as Langfuse logs in. Without the first answer the rest is not asked.
# The address with the password comes over standard input: every user of the host sees arguments.
_SCRIPT = r"""
ask() {
  printf 'http://%s:%s@127.0.0.1:8123/' "$CLICKHOUSE_USER" "$CLICKHOUSE_PASSWORD" |
    wget -q -T 4 --auth-no-challenge -O - -i - --post-data="$1"
}
ask 'SELECT 1' >/dev/null || { echo 'the login over HTTP fails' >&2; exit 1; }
while [ $# -gt 0 ]; do echo "@$1"; ask "$2" 2>/dev/null; shift 2; done
exit 0
"""
# As above. The user `default` without a password is who comes in where nothing is asked for.
_EXTERNAL = r"""
IFS= read -r address
open=$1 host=$2 authority=$3 native=$4; shift 4
get() { wget -q -T 4 -t 1 ${authority:+--ca-certificate="$authority"} --auth-no-challenge -O - "$@"; }
ask() { printf '%s' "$address" | get -i - --post-data="$1"; }
if ! getent ahosts "$host" >/dev/null; then echo "@failed the name $host has no address"; exit; fi
said=$(printf '%s' "$address" | get --content-on-error -i - --post-data='SELECT 1')
case $? in
  0) ;;
  4) echo "@failed there is no connection to $open"; exit ;;
  5) echo "@failed the certificate of $open is not accepted"; exit ;;
  *)
    said=$(printf %s "$said" | head -n 1 | cut -c 1-160)
    echo "@failed $open refuses the login: $said"; exit ;;
esac
row() { printf '{"data":[{"%s":%s}]}\n' "$@"; }
echo @here; row now "$(date +%s)"
while [ $# -gt 0 ]; do echo "@$1"; ask "$2" 2>/dev/null; shift 2; done
said=$(eval "timeout 6 $native --query 'SELECT 1'" 2>&1 >/dev/null) && said= || said=${said:-no answer in 6 s}
echo @native; row problem "\"$(printf %s "$said" | head -n 1 | tr '"\\\t' "'  " | cut -c 1-200)\""
[ "$(get "$open" --post-data='SELECT 1' 2>/dev/null)" = 1 ] && wide=1 || wide=0
echo @open; row open "$wide"
"""

QUERIES: Mapping[str, str] = {
    "server": "SELECT version() AS version, timezone() AS timezone, uptime() AS uptime",
    "server_settings": "SELECT name, value FROM system.server_settings WHERE name IN"
    " ('max_server_memory_usage', 'mark_cache_size', 'max_concurrent_queries')",
    "memory": "SELECT toUInt64(value) AS used FROM system.metrics WHERE metric = 'MemoryTracking'",
    "tables": "SELECT database, name, engine, total_bytes AS bytes, total_rows AS rows,"
    " create_table_query LIKE '% TTL %' AS expires FROM system.tables WHERE total_bytes > 0"
    " ORDER BY total_bytes DESC LIMIT 60",
    "parts": "SELECT table, count() AS parts FROM system.parts WHERE active AND database = currentDatabase()"
    " GROUP BY database, table, partition ORDER BY parts DESC LIMIT 1",
    "mutations": "SELECT table, command, toUInt32(dateDiff('second', create_time, now())) AS age,"
    " latest_fail_reason AS reason FROM system.mutations WHERE NOT is_done AND database = currentDatabase()"
    " LIMIT 20",
    "disks": "SELECT name, free_space AS free, total_space AS total FROM system.disks",
    "databases": "SELECT name, engine FROM system.databases WHERE name = currentDatabase()",
    "settings": "SELECT name, value FROM system.settings WHERE name IN"
    " ('readonly', 'query_profiler_real_time_period_ns', 'query_profiler_cpu_time_period_ns')",
    "detached": "SELECT count() AS parts FROM system.detached_parts WHERE reason LIKE 'broken%'",
    "constraints": "SELECT name AS table FROM system.tables WHERE database = currentDatabase()"
    " AND create_table_query LIKE '% CONSTRAINT % CHECK %' ORDER BY name",
    "migrations": "SELECT version, dirty FROM schema_migrations ORDER BY sequence DESC LIMIT 1",
}
# Of a server that others use as well, what is Langfuse's.
_OF_EXTERNAL: Mapping[str, str] = {
    "now": "SELECT toUnixTimestamp(now()) AS now",
    "tables": QUERIES["tables"].replace("WHERE", "WHERE database = currentDatabase() AND"),
}


@dataclass(frozen=True, slots=True)
class ClickHouse:
    """What ClickHouse says.

    Attributes:
        answers: rows by the names of QUERIES; a question that failed has none.
        external: whether someone else runs it.
    """

    answers: Mapping[str, Sequence[Mapping[str, Any]]]
    external: bool = False

    def rows(self, name: str) -> Sequence[Mapping[str, Any]]:
        """Return the rows of an answer. Raises NotGathered."""
        if name not in self.answers:
            if self.external and name not in ("migrations", "native", "open"):
                about = name.replace("_", " ")
                raise NotGathered(f"ClickHouse does not tell this user about {about}: its operator knows")
            raise NotGathered(f"ClickHouse has no answer to the question about {name.replace('_', ' ')}")
        return self.answers[name]

    def row(self, name: str) -> Mapping[str, Any]:
        """Return the one row of an answer. Raises NotGathered."""
        rows = self.rows(name)
        if not rows:
            raise NotGathered(f"ClickHouse says nothing about {name.replace('_', ' ')}")
        return rows[0]

    def named(self, name: str) -> Mapping[str, str]:
        """Return an answer of names and values. Raises NotGathered."""
        return {str(row["name"]): str(row["value"]) for row in self.rows(name)}


def gather_clickhouse(surroundings: Surroundings, facts: Facts) -> ClickHouse:
    """Return the answers. Raises NotGathered when it does not run, or refuses the login."""
    external = clients.is_external(surroundings, "clickhouse")
    queries = {**_OF_EXTERNAL, **QUERIES, **_OF_EXTERNAL} if external else QUERIES
    return ClickHouse(ask(surroundings, facts, queries), external)


def ask(
    surroundings: Surroundings, facts: Facts, queries: Mapping[str, str]
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Return the rows of queries. Raises NotGathered."""
    pairs = [word for name, query in queries.items() for word in (name, f"{query} FORMAT JSON")]
    if clients.is_external(surroundings, "clickhouse"):
        settings = surroundings.settings.values
        return parse(
            clients.ask(
                surroundings,
                facts,
                "clickhouse",
                _EXTERNAL,
                *_place(settings),
                *pairs,
                stdin=f"{_address(settings)}\n",
            )
        )
    container = facts.of(Containers).running("clickhouse")
    return parse(run_inside(surroundings, container, ["sh", "-c", _SCRIPT, "sh", *pairs]))


def _place(settings: Mapping[str, str]) -> tuple[str, str, str, str]:
    """Return the address without a login, its host, the site's own authority, and the native client."""
    parts = urlsplit(settings["CLICKHOUSE_URL"])
    open_address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"
    authority = settings.get("PRIVATE_CA", "") if parts.scheme == "https" else ""
    file = f"/etc/langfuse/private-ca/{authority}" if authority not in ("", "none.pem") else ""
    return open_address, parts.hostname or "", file, shlex.join(clickhouse_command(settings))


def _address(settings: Mapping[str, str]) -> str:
    parts = urlsplit(settings["CLICKHOUSE_URL"])
    user, password = (quote(settings[f"CLICKHOUSE_{name}"], safe="") for name in ("USER", "PASSWORD"))
    database = quote(settings["CLICKHOUSE_DB"], safe="")
    return f"{parts.scheme}://{user}:{password}@{parts.netloc.rpartition('@')[2]}/?database={database}"


def parse(text: str) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Return the rows that follow each `@name` line."""
    answers: dict[str, Sequence[Mapping[str, Any]]] = {}
    for block in f"\n{text}".split("\n@")[1:]:
        name, _, body = block.partition("\n")
        if body.strip():
            answers[name] = json.loads(body)["data"]
    return answers
