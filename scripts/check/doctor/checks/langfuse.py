"""Checks of the server: does it run, is it migrated, does it know its keys and prices."""

from __future__ import annotations

from scripts.check.doctor.facts import Facts, NotGathered
from scripts.check.doctor.model import COMPOSE, EMBEDDED, Check, Verdict, failed, ok, skipped, warning
from scripts.check.doctor.sources.clickhouse import ClickHouse
from scripts.check.doctor.sources.configuration import Configuration
from scripts.check.doctor.sources.containers import Containers
from scripts.check.doctor.sources.login import Issuers
from scripts.check.doctor.sources.logs import Logs
from scripts.check.doctor.sources.postgres import Postgres
from scripts.check.doctor.sources.server import Server
from scripts.check.doctor.sources.stack import Running, Stack
from scripts.stores.background import BackgroundMigration


def _running(facts: Facts) -> Verdict:
    return ok("the engine runs") if facts.of(Running).running else failed("the engine does not run")


def _answers(facts: Facts) -> Verdict:
    _require_running(facts)
    server = facts.of(Server)
    if server.problem:
        return failed(server.problem)
    if server.ready != 200:
        return failed(f"/api/public/ready answers {server.ready}")
    return ok(f"Langfuse {server.version} answers at {server.url}")


def _database(facts: Facts) -> Verdict:
    server = facts.of(Server).answering()
    if server.health != 200:
        return failed(f"/api/public/health answers {server.health}: its database is not available")
    return ok("it reaches its database")


def _migrations(facts: Facts) -> Verdict:
    migrations = facts.of(Postgres).answer("migrations")
    if migrations["open"]:
        return failed(f"did not finish: {', '.join(migrations['open'][:3])}")
    return ok(f"{migrations['done']} migrations of PostgreSQL are done")


def _clickhouse_migrations(facts: Facts) -> Verdict:
    row = facts.of(ClickHouse).row("migrations")
    if int(row["dirty"]):
        return failed(f"Dirty database version {row['version']}: a migration of ClickHouse was interrupted")
    return ok(f"ClickHouse is at migration {row['version']}")


def _background(facts: Facts) -> Verdict:
    worker = facts.of(Containers).by_name.get("langfuse-worker")
    variables = worker.environment if worker else {}
    unfinished = [BackgroundMigration.of(row) for row in facts.of(Postgres).answer("background")]
    broken = [f"{one.name}: {one.reason}" for one in unfinished if one.failed]
    if broken:
        return failed(f"background migration failed: {'; '.join(broken)}")
    under_way = [one.name for one in unfinished if not one.dormant(variables)]
    if under_way:
        return warning(f"under way: {', '.join(under_way)}")
    dormant = f" ({len(unfinished)} dormant: the worker is not told to run them)" if unfinished else ""
    return ok(f"no background migration is open{dormant}")


def _prices(facts: Facts) -> Verdict:
    prices = facts.of(Server).answering().prices
    if prices is None:
        raise NotGathered("there is no API key to ask with")
    return ok(f"{prices} models have prices") if prices else failed("no model has a price: every cost is 0")


def _keys(facts: Facts) -> Verdict:
    keys = facts.of(Server).answering().keys or {}
    if not keys:
        return failed("there are no credentials in .stack/credentials", "make bootstrap")
    refused = sorted(project for project, owner in keys.items() if owner is None)
    if refused:
        return failed(f"the server refuses the keys of {', '.join(refused)}")
    return ok(f"the keys of {len(keys)} projects work")


def _projects(facts: Facts) -> Verdict:
    configuration = facts.of(Configuration)
    if configuration.stack_fault:
        raise NotGathered("config/stack.yaml has problems")
    have = facts.of(Server).answering().keys or {}
    missing = [project for project in configuration.projects if project not in have]
    if missing and have:
        return warning(f"in config/stack.yaml, but not provisioned: {', '.join(missing)}")
    if not have:
        raise NotGathered("there are no credentials")
    return ok(f"{len(configuration.projects)} projects of config/stack.yaml are provisioned")


def _write_mode(facts: Facts) -> Verdict:
    mode = facts.of(Stack).values["LANGFUSE_MIGRATION_V4_WRITE_MODE"]
    status = facts.of(Server).answering().legacy_status
    if not status:
        raise NotGathered("there is no API key to ask with")
    acts = "events_only" if status == 404 else "dual"
    if acts != mode:
        return warning(f"the server acts as {acts}, the settings say {mode}")
    return ok(f"the write mode is {mode}")


def _admin_key(facts: Facts) -> Verdict:
    if not facts.of(Stack).values.get("ADMIN_API_KEY"):
        return failed("ADMIN_API_KEY is not set", "make up, which makes one")
    status = facts.of(Server).answering().queues_status
    if status in (401, 403):
        return failed("the server refuses ADMIN_API_KEY: queue depths and replay are out of reach")
    return (
        ok("the server takes ADMIN_API_KEY")
        if status == 200
        else skipped(f"/api/admin/bullmq answers {status}")
    )


def _sso(facts: Facts) -> Verdict:
    values = facts.of(Stack).values
    wanted = {
        name.removeprefix("AUTH_").removesuffix("_CLIENT_ID").lower().replace("_", "-")
        for name in values
        if name.startswith("AUTH_") and name.endswith("_CLIENT_ID")
    }
    if not wanted:
        return skipped("no login provider is set up")
    offered = facts.of(Server).answering().providers
    if offered is None:
        return skipped("the server does not list its login providers")
    missing = sorted(wanted - offered)
    if missing:
        return failed(f"set up, but not offered: {', '.join(missing)}")
    return ok(f"offered: {', '.join(sorted(wanted))}")


def _issuer(facts: Facts) -> Verdict:
    issuers = facts.of(Issuers)
    if not issuers.problems:
        return skipped("no OpenID Connect provider with an issuer is set up")
    wrong = [f"{name}: {problem}" for name, problem in issuers.problems.items() if problem]
    if wrong:
        return failed("; ".join(wrong))
    return ok(f"{', '.join(issuers.problems)} can be discovered from {issuers.place}")


def _heap(facts: Facts) -> Verdict:
    lines = facts.of(Logs).lines["heap"]
    if lines:
        return failed(f"ran out of memory inside Node.js {len(lines)} times: {lines[-1]}")
    return ok("neither web nor worker ran out of heap in a day")


def _tracebacks(facts: Facts) -> Verdict:
    lines = facts.of(Logs).lines["traceback"]
    if lines:
        return warning(f"{len(lines)} unexpected errors in the log: {lines[-1]}")
    return ok("the log has no unexpected error")


def _require_running(facts: Facts) -> None:
    if not facts.of(Running).running:
        raise NotGathered("the engine does not run")


CHECKS = (
    Check(
        id="langfuse.running",
        looks_at="The engine of this stack runs.",
        fix="make up",
        page="how-to/troubleshoot.md",
        judge=_running,
    ),
    Check(
        id="langfuse.answers",
        looks_at="The server takes requests.",
        fix="see why not: make logs",
        page="runbooks/ServerUnreachable.md",
        judge=_answers,
    ),
    Check(
        id="langfuse.database",
        looks_at="The server reaches its database (`failIfDatabaseUnavailable`).",
        fix="see the checks of the group stores; make logs SERVICE=langfuse-web",
        page="runbooks/ServerUnreachable.md",
        judge=_database,
    ),
    Check(
        id="langfuse.migrations",
        looks_at="Every migration of PostgreSQL has finished.",
        fix="make repair-migration (web does not start while one is noted as failed: P3009); with an older "
        "image restore the backup",
        page="how-to/troubleshoot.md#migrations",
        judge=_migrations,
        engines=COMPOSE,
    ),
    Check(
        id="langfuse.clickhouse_migrations",
        looks_at="No migration of ClickHouse was interrupted (`schema_migrations.dirty`).",
        fix="make repair-migration",
        page="how-to/troubleshoot.md#migrations",
        judge=_clickhouse_migrations,
        engines=COMPOSE,
    ),
    Check(
        id="langfuse.background_migrations",
        looks_at="No background migration is open or has failed: the next major version waits for them.",
        fix="make logs SERVICE=langfuse-worker shows why; they go on when the worker starts",
        page="how-to/troubleshoot.md#migrations",
        judge=_background,
        engines=COMPOSE,
    ),
    Check(
        id="langfuse.prices",
        looks_at="Model prices are there: without them every cost is 0.",
        fix="start the worker anew, now that the migrations are done: docker compose restart "
        "langfuse-worker, or make down and make up",
        page="how-to/troubleshoot.md",
        judge=_prices,
    ),
    Check(
        id="langfuse.keys",
        looks_at="The server takes every key in `.stack/credentials`.",
        fix="make bootstrap makes missing keys",
        page="runbooks/ProjectUnreadable.md",
        judge=_keys,
    ),
    Check(
        id="langfuse.projects",
        looks_at="Every project of `config/stack.yaml` is provisioned.",
        fix="make bootstrap",
        page="how-to/provision.md",
        judge=_projects,
    ),
    Check(
        id="langfuse.write_mode",
        looks_at="The server acts in the write mode that is set: legacy reads answer 404 in events_only.",
        fix="make down, then make up",
        page="reference/environment.md",
        judge=_write_mode,
    ),
    Check(
        id="langfuse.admin_key",
        looks_at="The server takes ADMIN_API_KEY.",
        fix="make down, then make up: the server reads it when it starts",
        page="how-to/rotate.md",
        judge=_admin_key,
    ),
    Check(
        id="langfuse.sso",
        looks_at="The server offers every login provider that is set up.",
        fix="set all its variables (name, issuer, client id, client secret), then make up",
        page="how-to/sso.md",
        judge=_sso,
    ),
    Check(
        id="langfuse.issuer",
        looks_at="Web reaches the discovery document of each OpenID Connect issuer, which names that issuer.",
        fix="set the issuer as the provider writes it, but for a slash at its end; let web reach it",
        page="how-to/sso.md",
        judge=_issuer,
    ),
    Check(
        id="langfuse.heap",
        looks_at="Node.js did not run out of heap in the last day.",
        fix="raise WEB_MEMORY and WEB_HEAP_MB, or WORKER_MEMORY and WORKER_HEAP_MB, then make up",
        page="how-to/troubleshoot.md",
        judge=_heap,
        engines=COMPOSE,
    ),
    Check(
        id="langfuse.unexpected",
        looks_at="The log of the embedded engine has no unexpected error.",
        fix="make support-bundle, and report it",
        page="how-to/troubleshoot.md",
        judge=_tracebacks,
        engines=EMBEDDED,
    ),
)
