"""The bundled ClickHouse, asked over HTTP inside its container."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.check.doctor.facts import Facts, NotGathered, Surroundings

from .containers import run_inside
from .postgres import store_container

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

QUERIES: Mapping[str, str] = {
    "server": "SELECT version() AS version, timezone() AS timezone, uptime() AS uptime",
    "server_settings": "SELECT name, value FROM system.server_settings WHERE name IN"
    " ('max_server_memory_usage', 'mark_cache_size', 'max_concurrent_queries')",
    "memory": "SELECT toUInt64(value) AS used FROM system.metrics WHERE metric = 'MemoryTracking'",
    "tables": "SELECT database, name, engine, total_bytes AS bytes, total_rows AS rows,"
    " create_table_query LIKE '% TTL %' AS expires FROM system.tables WHERE total_bytes > 0"
    " ORDER BY total_bytes DESC LIMIT 60",
    "parts": "SELECT table, count() AS parts FROM system.parts WHERE active AND database NOT IN ('system')"
    " GROUP BY database, table, partition ORDER BY parts DESC LIMIT 1",
    "mutations": "SELECT table, command, toUInt32(dateDiff('second', create_time, now())) AS age,"
    " latest_fail_reason AS reason FROM system.mutations WHERE NOT is_done LIMIT 20",
    "disks": "SELECT name, free_space AS free, total_space AS total FROM system.disks",
    "databases": "SELECT name, engine FROM system.databases WHERE name = 'default'",
    "settings": "SELECT name, value FROM system.settings WHERE name IN"
    " ('readonly', 'query_profiler_real_time_period_ns', 'query_profiler_cpu_time_period_ns')",
    "detached": "SELECT count() AS parts FROM system.detached_parts WHERE reason LIKE 'broken%'",
    "constraints": "SELECT name AS table FROM system.tables WHERE database NOT IN ('system')"
    " AND create_table_query LIKE '% CONSTRAINT % CHECK %' ORDER BY name",
    "migrations": "SELECT version, dirty FROM schema_migrations ORDER BY sequence DESC LIMIT 1",
}


@dataclass(frozen=True, slots=True)
class ClickHouse:
    """What ClickHouse says.

    Attributes:
        answers: rows by the names of QUERIES; a question that failed has none.
    """

    answers: Mapping[str, Sequence[Mapping[str, Any]]]

    def rows(self, name: str) -> Sequence[Mapping[str, Any]]:
        """Return the rows of an answer. Raises NotGathered."""
        if name not in self.answers:
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


def gather(surroundings: Surroundings, facts: Facts) -> ClickHouse:
    """Return the answers. Raises NotGathered when it is external, does not run, or refuses the login."""
    return ClickHouse(ask(surroundings, facts, QUERIES))


def ask(
    surroundings: Surroundings, facts: Facts, queries: Mapping[str, str]
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Return the rows of queries. Raises NotGathered."""
    container = store_container(surroundings, facts, "clickhouse", "CLICKHOUSE_URL")
    pairs = [word for name, query in queries.items() for word in (name, f"{query} FORMAT JSON")]
    return parse(run_inside(surroundings, container, ["sh", "-c", _SCRIPT, "sh", *pairs]))


def parse(text: str) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Return the rows that follow each `@name` line."""
    answers: dict[str, Sequence[Mapping[str, Any]]] = {}
    for block in f"\n{text}".split("\n@")[1:]:
        name, _, body = block.partition("\n")
        if body.strip():
            answers[name] = json.loads(body)["data"]
    return answers
