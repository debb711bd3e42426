"""What goes into a support bundle, not redacted yet. A part that fails says why instead."""

from __future__ import annotations

import io
import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, is_dataclass
from datetime import datetime
from importlib import metadata
from typing import Any

from scripts.check.doctor.catalog import CHECKS
from scripts.check.doctor.examine import examine
from scripts.check.doctor.facts import Facts, Gathering, NotGathered, Surroundings
from scripts.check.doctor.model import Result
from scripts.check.doctor.show import as_json, print_report
from scripts.check.doctor.sources import clickhouse, postgres
from scripts.check.doctor.sources.backups import Backups
from scripts.check.doctor.sources.compose_model import ComposeModel
from scripts.check.doctor.sources.containers import Containers, Docker
from scripts.check.doctor.sources.embedded import EmbeddedData
from scripts.check.doctor.sources.inside import Insides
from scripts.check.doctor.sources.machine import Machine
from scripts.check.doctor.sources.objects import Objects
from scripts.check.doctor.sources.packages import Packages
from scripts.check.doctor.sources.postgres import Postgres
from scripts.check.doctor.sources.server import Server
from scripts.check.doctor.sources.valkey import Valkey
from scripts.core.console import Console
from scripts.core.errors import StackError
from scripts.core.layout import SITE
from scripts.core.version import stack_version
from scripts.engines.base import EngineName
from scripts.engines.context import Context
from scripts.settings.values import Settings

LOG_LINES = 5000
TIMEOUT_S = 20.0
# Texts of queries without their values: what users wrote stays out.
SLOW_CLICKHOUSE = {
    "slow": "SELECT normalizeQuery(query) AS query, count() AS calls, max(query_duration_ms) AS longest_ms,"
    " sum(query_duration_ms) AS total_ms, max(read_rows) AS rows, max(memory_usage) AS memory"
    " FROM system.query_log WHERE type = 'QueryFinish' AND event_time > now() - 86400"
    " GROUP BY query ORDER BY longest_ms DESC LIMIT 25",
    "failed": "SELECT exception_code AS code, normalizeQuery(query) AS query, count() AS times"
    " FROM system.query_log WHERE exception_code != 0 AND event_time > now() - 86400"
    " GROUP BY code, query ORDER BY times DESC LIMIT 25",
}
SLOW_POSTGRES = {
    "statements": "select coalesce(json_agg(row_to_json(one)), '[]') from (select query, calls,"
    " max_exec_time::int as longest_ms, total_exec_time::int as total_ms from pg_stat_statements"
    " order by max_exec_time desc limit 25) one",
    "running": "select coalesce(json_agg(json_build_object('state', state, 'seconds',"
    " extract(epoch from now() - query_start)::int, 'waits_for', wait_event)), '[]') from pg_stat_activity"
    " where state <> 'idle' and backend_type = 'client backend'",
    "tables": "select coalesce(json_agg(json_build_object('table', relname, 'rows', n_live_tup,"
    " 'dead', n_dead_tup, 'scans', seq_scan)), '[]')"
    " from (select * from pg_stat_user_tables order by n_live_tup desc limit 40) one",
}


def collect(facts: Gathering) -> Iterator[tuple[str, str]]:
    """Yield the files of a bundle."""
    surroundings = facts.surroundings
    context, settings = surroundings.context, surroundings.settings
    begin = time.monotonic()
    results = examine(CHECKS, facts)
    seconds = time.monotonic() - begin
    stack = stack_version(context.layout.root)
    yield "doctor.txt", _as_people_read_it(results, stack, seconds)
    yield "doctor.json", as_json(results, stack=stack, engine=surroundings.engine.name, seconds=seconds)
    yield "versions.json", _json(_versions(context, facts))
    for name, text in _configuration(context):
        yield f"configuration/{name}", text
    yield "stores.json", _json(_stores(facts))
    yield "server.json", _json({"server": _facts(facts, Server)})
    if surroundings.is_compose:
        yield "containers.json", _json(_containers(facts))
        yield "slow_queries.json", _json(_slow_queries(surroundings, facts))
        yield "configuration/compose.json", _json(_facts(facts, ComposeModel))
    yield from _logs(context, settings, facts, EngineName(surroundings.engine.name))


def _as_people_read_it(results: Sequence[Result], stack: str, seconds: float) -> str:
    """Return what `make doctor VERBOSE=1` prints."""
    text = io.StringIO()
    console = Console({"NO_COLOR": "1"}, text, text)
    print_report(console, results, stack=stack, verbose=True, seconds=seconds)
    return text.getvalue()


def _versions(context: Context, facts: Facts) -> Mapping[str, Any]:
    argv = ["git", "-C", str(context.layout.root), "log", "-1", "--format=%H %cI"]
    return {
        "stack": stack_version(context.layout.root),
        "repository": _output(context, argv),
        "changed_files": _output(context, ["git", "-C", str(context.layout.root), "status", "--short"]),
        "system": platform.platform(),
        "machine": _facts(facts, Machine),
        "python": _facts(facts, Packages),
        "packages": {one.name: one.version for one in metadata.distributions()},
        "docker": _facts(facts, Docker),
        "backups": _facts(facts, Backups),
    }


def _configuration(context: Context) -> Iterator[tuple[str, str]]:
    root = context.layout.root
    for path in (context.layout.env_file, root / ".env.langfuse", root / "compose.override.yaml"):
        if path.is_file():
            yield path.name.lstrip("."), path.read_text(encoding="utf-8", errors="replace")
    # Under the name that the site's own has in the repository, wherever it is.
    places = {root / "config": "config"}
    if context.layout.site:
        places[context.layout.site] = f"config/{SITE}"
    for directory, name in places.items():
        for path in sorted(directory.rglob("*")):
            inside = path.relative_to(directory)
            # Prompts and datasets are an application's, not the stack's.
            if path.suffix in {".yaml", ".yml", ".xml", ".conf"} and "content" not in inside.parts:
                yield f"{name}/{inside}", path.read_text(encoding="utf-8", errors="replace")


def _containers(facts: Facts) -> Mapping[str, Any]:
    try:
        containers = facts.of(Containers)
    except NotGathered as reason:
        return {"problem": str(reason)}
    rows = {name: {"name": name, **_plain(one)} for name, one in containers.by_name.items()}
    for row in rows.values():
        # The values stand in the configuration, where they are told apart by name.
        row["environment"] = sorted(row["environment"])
    return {"containers": rows, "inside": _facts(facts, Insides), "internal_networks": containers.internal}


def _stores(facts: Facts) -> Mapping[str, Any]:
    kinds = (Postgres, clickhouse.ClickHouse, Valkey, Objects, EmbeddedData)
    stores = {kind.__name__: _facts(facts, kind) for kind in kinds}
    postgres_answers = stores["Postgres"].get("answers", {})
    for name in ("keys", "encrypted"):
        postgres_answers.pop(name, None)
    stores["EmbeddedData"].pop("salted", None)
    return stores


def _slow_queries(surroundings: Surroundings, facts: Facts) -> Mapping[str, Any]:
    return {
        "clickhouse": _tried(lambda: clickhouse.ask(surroundings, facts, SLOW_CLICKHOUSE)),
        "postgres": _tried(lambda: postgres.ask(surroundings, facts, SLOW_POSTGRES)),
    }


def _logs(
    context: Context, settings: Settings, facts: Facts, engine: EngineName
) -> Iterator[tuple[str, str]]:
    if engine is EngineName.EMBEDDED:
        for path in sorted(context.layout.embedded_log.parent.glob("embedded.log*")):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
            yield f"logs/{path.name}", "\n".join(lines) + "\n"
        return
    try:
        services = sorted({one.service for one in facts.of(Containers).by_name.values()})
    except NotGathered as reason:
        yield "logs/none.txt", f"{reason}\n"
        return
    compose = context.compose(settings)

    def log(service: str) -> str:
        argv = ("logs", "--no-color", "--timestamps", "--tail", str(LOG_LINES), service)
        done = compose.run(*argv, timeout_s=TIMEOUT_S)
        return done.stdout or done.stderr

    with ThreadPoolExecutor(max_workers=4) as pool:
        for service, text in zip(services, pool.map(log, services), strict=True):
            yield f"logs/{service}.txt", text


def _tried(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except NotGathered as reason:
        return {"problem": str(reason)}
    except StackError as error:
        return {"problem": error.message}


def _facts(facts: Facts, kind: type[Any]) -> Any:
    return _tried(lambda: _plain(facts.of(kind)))


def _plain(found: Any) -> Any:
    return asdict(found) if is_dataclass(found) and not isinstance(found, type) else found


def _output(context: Context, argv: list[str]) -> str:
    try:
        return context.runner.run(argv, timeout_s=TIMEOUT_S).stdout.strip()
    except StackError as error:
        return error.message


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, default=_other, ensure_ascii=False) + "\n"


def _other(value: Any) -> Any:
    if isinstance(value, frozenset | set | tuple):
        return sorted(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)
