"""Checks of ClickHouse, of the group stores."""

from __future__ import annotations

from scripts.check.doctor.facts import Facts, NotGathered
from scripts.check.doctor.model import COMPOSE, Check, Verdict, failed, ok, skipped, warning
from scripts.check.doctor.sources.clickhouse import ClickHouse
from scripts.check.doctor.sources.containers import Containers
from scripts.engines.base import GIB, MIB

from . import limits
from .answering import answers, elsewhere

PAGE = "how-to/troubleshoot.md#clickhouse"
NO_CAP = "an external ClickHouse does not say its memory cap: its operator knows"


def _clickhouse_utc(facts: Facts) -> Verdict:
    zone = facts.of(ClickHouse).row("server")["timezone"]
    return ok("ClickHouse is in UTC") if zone in {"UTC", "Etc/UTC"} else failed(f"ClickHouse is in {zone}")


def _clickhouse_memory_cap(facts: Facts) -> Verdict:
    cap = int(facts.of(ClickHouse).named("server_settings").get("max_server_memory_usage", 0))
    if facts.of(ClickHouse).external:
        return ok(f"ClickHouse takes at most {cap // MIB} MiB") if cap else skipped(NO_CAP)
    limit = facts.of(Containers).running("clickhouse").memory_limit
    if not cap:
        return warning("ClickHouse has no memory cap and takes memory until it is killed")
    if limit and cap >= limit:
        return warning(
            f"its cap, {cap // MIB} MiB, is not below the limit of its container, {limit // MIB} MiB"
        )
    return ok(f"ClickHouse takes at most {cap // MIB} MiB")


def _clickhouse_memory(facts: Facts) -> Verdict:
    clickhouse = facts.of(ClickHouse)
    cap = int(clickhouse.named("server_settings").get("max_server_memory_usage", 0))
    used = int(clickhouse.row("memory")["used"])
    if not cap:
        raise NotGathered(NO_CAP if clickhouse.external else "ClickHouse has no memory cap")
    text = f"ClickHouse uses {used // MIB} of {cap // MIB} MiB"
    return ok(text) if used < cap * limits.CLICKHOUSE_MEMORY_SHARE else warning(text)


def _clickhouse_logs(facts: Facts) -> Verdict:
    if facts.of(ClickHouse).external:
        return skipped("an external ClickHouse's logs about itself are its operator's")
    tables = [one for one in facts.of(ClickHouse).rows("tables") if one["database"] == "system"]
    total = sum(int(one["bytes"]) for one in tables)
    largest = ", ".join(f"{one['name']} {int(one['bytes']) / GIB:.1f} GiB" for one in tables[:3])
    if total > limits.SYSTEM_LOG_BYTES:
        return warning(f"ClickHouse's logs about itself hold {total / GIB:.1f} GiB: {largest}")
    endless = [str(one["name"]) for one in tables if "_log" in str(one["name"]) and not int(one["expires"])]
    if endless:
        return warning(f"these logs never expire: {', '.join(endless[:5])}")
    return ok(f"ClickHouse's logs about itself hold {total // MIB} MiB")


def _clickhouse_parts(facts: Facts) -> Verdict:
    rows = facts.of(ClickHouse).rows("parts")
    if not rows:
        return ok("there are no parts yet")
    parts = int(rows[0]["parts"])
    text = f"{rows[0]['table']} has {parts} parts in one partition"
    if parts > limits.PARTS_FAILED:
        return failed(text)
    return warning(text) if parts > limits.PARTS_WARNING else ok(text)


def _clickhouse_mutations(facts: Facts) -> Verdict:
    rows = facts.of(ClickHouse).rows("mutations")
    stuck = [one for one in rows if one["reason"] or int(one["age"]) > limits.MUTATION_S]
    if stuck:
        reason = stuck[0]["reason"] or "no reason given"
        return warning(f"{len(stuck)} mutations are stuck: {stuck[0]['table']}: {reason}")
    return ok(f"{len(rows)} mutations are under way" if rows else "no mutation is under way")


def _clickhouse_profile(facts: Facts) -> Verdict:
    settings = facts.of(ClickHouse).named("settings")
    if settings.get("readonly", "0") != "0":
        return failed(
            f"the user's profile is readonly={settings['readonly']}: Langfuse sends settings of its own"
        )
    on = [name for name, value in settings.items() if name.startswith("query_profiler") and value != "0"]
    if on:
        return warning(f"the query profiler is on and fills the logs: {', '.join(sorted(on))}")
    return ok("the user's profile lets Langfuse work")


def _clickhouse_database(facts: Facts) -> Verdict:
    engine = facts.of(ClickHouse).row("databases")["engine"]
    return ok("the database is Atomic") if engine != "Replicated" else failed("the database is Replicated")


def _clickhouse_detached(facts: Facts) -> Verdict:
    broken = int(facts.of(ClickHouse).row("detached")["parts"])
    return warning(f"{broken} broken parts were put aside") if broken else ok("no part is broken")


def _clickhouse_constraints(facts: Facts) -> Verdict:
    tables = [str(one["table"]) for one in facts.of(ClickHouse).rows("constraints")]
    if tables:
        return warning(f"rows that break the constraint of {', '.join(tables)} are not stored")
    return ok("no table has a constraint")


def _clickhouse_disk(facts: Facts) -> Verdict:
    full = [
        f"{one['name']} has {int(one['free']) / GIB:.1f} GiB"
        for one in facts.of(ClickHouse).rows("disks")
        if int(one["total"]) and int(one["free"]) < min(limits.DISK_LOW_BYTES, int(one["total"]) // 10)
    ]
    return (
        warning(f"little room on disks of ClickHouse: {', '.join(full)}")
        if full
        else ok("its disks have room")
    )


CHECKS = (
    Check(
        id="stores.clickhouse",
        looks_at="ClickHouse takes a login over HTTP with its password.",
        fix="see make logs SERVICE=clickhouse; the password is CLICKHOUSE_PASSWORD of .env",
        page=PAGE,
        judge=answers(
            "clickhouse",
            ClickHouse,
            lambda one: f"ClickHouse {one.row('server')['version']} answers",
            "CLICKHOUSE_URL, CLICKHOUSE_USER, CLICKHOUSE_PASSWORD and CLICKHOUSE_DB of .env must be those of "
            "the external ClickHouse, then make up",
        ),
        engines=COMPOSE,
    ),
    Check(
        id="stores.clickhouse_utc",
        looks_at="ClickHouse is in UTC: in another zone dashboards are empty.",
        fix="remove the other time zone from config/clickhouse/config.d and overrides, then make up",
        page=PAGE,
        judge=elsewhere(
            ClickHouse,
            _clickhouse_utc,
            "have its operator set <timezone>UTC</timezone>: it is read at a start",
        ),
        engines=COMPOSE,
    ),
    Check(
        id="stores.clickhouse_memory_cap",
        looks_at="ClickHouse has a memory cap below the limit of its container.",
        fix="set CLICKHOUSE_MAX_MEMORY_BYTES below CLICKHOUSE_MEMORY in .env, then make up",
        page="runbooks/ClickHouseMemoryHigh.md",
        judge=_clickhouse_memory_cap,
        engines=COMPOSE,
    ),
    Check(
        id="stores.clickhouse_memory",
        looks_at="ClickHouse uses less than 90 % of its memory cap.",
        fix="give ClickHouse more memory (CLICKHOUSE_MEMORY, CLICKHOUSE_MAX_MEMORY_BYTES), then make up",
        page="runbooks/ClickHouseMemoryHigh.md",
        judge=elsewhere(ClickHouse, _clickhouse_memory, "have its operator give ClickHouse more memory"),
        engines=COMPOSE,
    ),
    Check(
        id="stores.clickhouse_logs",
        looks_at="ClickHouse's logs about itself (`system.*_log`) stay below 1 GiB and expire.",
        fix="TRUNCATE TABLE system.<name>; a table with a number at its end is an old copy: DROP TABLE it",
        page=PAGE,
        judge=_clickhouse_logs,
        engines=COMPOSE,
    ),
    Check(
        id="stores.clickhouse_parts",
        looks_at="No partition has more than 300 parts (fails above 1000): merges keep up with inserts.",
        fix="give ClickHouse more CPU, and look for stuck merges: SELECT * FROM system.merges",
        page="runbooks/ClickHouseTooManyParts.md",
        judge=elsewhere(
            ClickHouse,
            _clickhouse_parts,
            "have its operator look for stuck merges (SELECT * FROM system.merges) and give it more CPU",
        ),
        engines=COMPOSE,
    ),
    Check(
        id="stores.clickhouse_mutations",
        looks_at="No mutation (a deletion, say) fails or runs for over an hour.",
        fix="KILL MUTATION WHERE NOT is_done, after its latest_fail_reason in system.mutations was read",
        page="runbooks/ClickHouseMutationsStuck.md",
        judge=_clickhouse_mutations,
        engines=COMPOSE,
    ),
    Check(
        id="stores.clickhouse_profile",
        looks_at="The user's profile takes the settings that Langfuse sends, and the query profiler is off.",
        fix="put config/clickhouse/users.d/langfuse.xml back as it was, then make up",
        page=PAGE,
        judge=elsewhere(
            ClickHouse,
            _clickhouse_profile,
            "have its operator give this user a profile with readonly=0 and the query profiler off",
        ),
        engines=COMPOSE,
    ),
    Check(
        id="stores.clickhouse_database",
        looks_at="The database is not of the engine Replicated, which the migrations do not know.",
        fix="use a database of the engine Atomic",
        page=PAGE,
        judge=_clickhouse_database,
        engines=COMPOSE,
    ),
    Check(
        id="stores.clickhouse_detached",
        looks_at="ClickHouse did not put aside broken parts.",
        fix="look at system.detached_parts; restore a backup if rows are missing (make backups)",
        page=PAGE,
        judge=_clickhouse_detached,
        engines=COMPOSE,
    ),
    Check(
        id="stores.clickhouse_constraints",
        looks_at="No table has a constraint: Langfuse has none, and rows that break it are not stored.",
        fix="ALTER TABLE <name> DROP CONSTRAINT <constraint>, then make reconcile",
        page="runbooks/WriterErrors.md",
        judge=_clickhouse_constraints,
        engines=COMPOSE,
    ),
    Check(
        id="stores.clickhouse_disk",
        looks_at="ClickHouse's disks have room for merges.",
        fix="free some space on the disk of Docker's volumes, or shorten what is kept (make retention)",
        page="runbooks/DiskLow.md",
        judge=elsewhere(
            ClickHouse,
            _clickhouse_disk,
            "have its operator enlarge the disk, or shorten what is kept (make retention)",
        ),
        engines=COMPOSE,
    ),
)
