"""Checks of external stores alone, of the group stores."""

from __future__ import annotations

from scripts.check.doctor.facts import Facts, NotGathered
from scripts.check.doctor.model import COMPOSE, Check, Verdict, failed, ok, skipped, warning
from scripts.check.doctor.sources.clickhouse import ClickHouse
from scripts.check.doctor.sources.objects import Objects
from scripts.check.doctor.sources.postgres import Postgres
from scripts.check.doctor.sources.valkey import Valkey

from . import limits

NONE_EXTERNAL = "no such store is external"


def _writable(facts: Facts) -> Verdict:
    found = facts.of(Objects)
    if not found.external:
        return skipped(NONE_EXTERNAL)
    if not found.writes:
        return skipped("READ_ONLY=1: no upload is begun")
    refused = [f"{name} ({status})" for name, status in sorted(found.writes.items()) if status != 200]
    if refused:
        return failed(f"no upload can be begun in {', '.join(refused)}")
    return ok(f"{len(found.writes)} buckets take objects")


def _external(facts: Facts) -> tuple[list[Postgres | ClickHouse | Valkey], list[str]]:
    """Return the external databases that answer, and why others do not."""
    there: list[Postgres | ClickHouse | Valkey] = []
    reasons = []
    kinds: tuple[type[Postgres | ClickHouse | Valkey], ...] = (Postgres, ClickHouse, Valkey)
    for kind in kinds:
        try:
            found = facts.of(kind)
        except NotGathered as reason:
            reasons.append(str(reason))
            continue
        if found.external:
            there.append(found)
    return there, reasons


def _open(facts: Facts) -> Verdict:
    there, reasons = _external(facts)
    if not there:
        raise NotGathered("; ".join(reasons) or NONE_EXTERNAL)
    answered = {}
    for one in there:
        if isinstance(one, Postgres):
            answered["PostgreSQL"] = bool(one.answer("open"))
        elif isinstance(one, ClickHouse):
            answered["ClickHouse"] = int(one.row("open")["open"]) == 1
        else:
            answered["Valkey"] = one["open"] == "yes"
    wide = [name for name, is_open in answered.items() if is_open]
    if wide:
        return failed(f"takes anyone without a password: {', '.join(wide)}")
    return ok(f"{', '.join(answered)} ask for a password")


def _clocks(facts: Facts) -> Verdict:
    there, reasons = _external(facts)
    ahead: dict[str, float] = {}
    for one in there:
        if isinstance(one, Postgres):
            ahead["PostgreSQL"] = int(one.answer("now")[0]) - int(one.answer("here"))
        elif isinstance(one, ClickHouse):
            ahead["ClickHouse"] = int(one.row("now")["now"]) - int(one.row("here")["now"])
        else:
            ahead["Valkey"] = int(one["now"]) - int(one["here"])
    try:
        objects = facts.of(Objects)
        if objects.external and objects.ahead_s is not None:
            ahead["S3"] = objects.ahead_s
    except NotGathered as reason:
        reasons.append(str(reason))
    if not ahead:
        raise NotGathered("; ".join(reasons) or NONE_EXTERNAL)
    most = max(map(abs, ahead.values()))
    off = ", ".join(
        f"{name} is {abs(seconds):.0f} s {'ahead' if seconds > 0 else 'behind'}"
        for name, seconds in ahead.items()
        if abs(seconds) > limits.STORE_CLOCK_S
    )
    if off:
        return failed(off) if most >= limits.CLOCK_FAILED_S else warning(off)
    return ok(f"the clocks of {', '.join(ahead)} agree with this host's")


def _create(facts: Facts) -> Verdict:
    postgres = facts.of(Postgres)
    if not postgres.external:
        return skipped(NONE_EXTERNAL)
    if postgres.answer("create")[0]:
        return ok("the user of DATABASE_URL may create tables in the schema public")
    return failed("the user of DATABASE_URL may not create tables in the schema public: migrations fail")


def _clickhouse_native(facts: Facts) -> Verdict:
    clickhouse = facts.of(ClickHouse)
    if not clickhouse.external:
        return skipped(NONE_EXTERNAL)
    problem = str(clickhouse.row("native")["problem"])
    return failed(problem) if problem else ok("the native port takes the login")


CHECKS = (
    Check(
        id="stores.writable",
        looks_at="The buckets of an external object store take objects: an upload is begun, and given up.",
        fix="give the key of .env the rights s3:PutObject and s3:AbortMultipartUpload in these buckets",
        page="how-to/troubleshoot.md#object-store",
        judge=_writable,
        engines=COMPOSE,
    ),
    Check(
        id="stores.open",
        looks_at="External databases take nobody without a password.",
        fix="have its operator demand passwords: pg_hba.conf without trust, a password for the "
        "user default of ClickHouse, requirepass or ACLs of Valkey",
        page="reference/security.md",
        judge=_open,
        engines=COMPOSE,
    ),
    Check(
        id="stores.rights",
        looks_at="The user of an external PostgreSQL may create tables, which migrations do.",
        fix="have its operator GRANT CREATE ON SCHEMA public TO <user of DATABASE_URL>, or make it "
        "the owner of the database",
        page="how-to/troubleshoot.md#postgresql",
        judge=_create,
        engines=COMPOSE,
    ),
    Check(
        id="stores.clocks",
        looks_at="Clocks of external stores agree with this host's: signatures expire, times are compared.",
        fix="have time synchronization repaired on that host, or on this one (make doctor ONLY=host)",
        page="runbooks/ClockSkew.md",
        judge=_clocks,
        engines=COMPOSE,
    ),
    Check(
        id="stores.clickhouse_native",
        looks_at="The native port of an external ClickHouse takes the login: migrations and backups need it.",
        fix="CLICKHOUSE_MIGRATION_URL and CLICKHOUSE_MIGRATION_SSL of .env must lead to its native port "
        "(9000, or 9440 with TLS), and a firewall let it through; then make up",
        page="how-to/troubleshoot.md#clickhouse",
        judge=_clickhouse_native,
        engines=COMPOSE,
    ),
)
