"""Checks of PostgreSQL, Valkey, the object store and the embedded engine; ClickHouse has its own module."""

from __future__ import annotations

from scripts.check.doctor.facts import Facts, NotGathered
from scripts.check.doctor.model import COMPOSE, EMBEDDED, Check, Repair, Verdict, failed, ok, skipped, warning
from scripts.check.doctor.sources.clients import DoesNotAnswer
from scripts.check.doctor.sources.containers import Containers
from scripts.check.doctor.sources.embedded import EmbeddedData
from scripts.check.doctor.sources.inside import Insides
from scripts.check.doctor.sources.objects import Objects
from scripts.check.doctor.sources.postgres import Postgres
from scripts.check.doctor.sources.valkey import Valkey
from scripts.engines.base import MIB
from scripts.engines.context import Context

from . import clickhouse, external, limits
from .answering import answers, elsewhere


def _postgres_utc(facts: Facts) -> Verdict:
    zone = facts.of(Postgres).setting("TimeZone")
    return ok("PostgreSQL is in UTC") if zone in {"UTC", "Etc/UTC"} else failed(f"PostgreSQL is in {zone}")


def _postgres_connections(facts: Facts) -> Verdict:
    postgres = facts.of(Postgres)
    used, most = int(postgres.answer("connections")["used"]), int(postgres.setting("max_connections"))
    text = f"{used} of {most} connections are in use"
    return ok(text) if used < most * limits.CONNECTIONS_SHARE else warning(text)


def _postgres_durable(facts: Facts) -> Verdict:
    postgres = facts.of(Postgres)
    off = [
        name
        for name in ("fsync", "full_page_writes", "synchronous_commit")
        if postgres.setting(name) == "off"
    ]
    if off:
        return failed(f"{', '.join(off)} is off: a power cut loses or damages what was confirmed")
    return ok("PostgreSQL keeps what it has confirmed")


def _postgres_slots(facts: Facts) -> Verdict:
    slots = facts.of(Postgres).answer("slots")
    if slots:
        return warning(f"replication slots that nobody reads keep old log files: {', '.join(slots)}")
    return ok("no replication slot is left over")


def _postgres_transactions(facts: Facts) -> Verdict:
    old = facts.of(Postgres).answer("old_transactions")
    if old:
        oldest = max(old, key=lambda one: int(one["seconds"]))
        return warning(
            f"{len(old)} transactions are open for over an hour (process {oldest['pid']}, {oldest['state']})"
        )
    return ok("no transaction is open for an hour")


def _valkey_policy(facts: Facts) -> Verdict:
    policy = facts.of(Valkey)["maxmemory-policy"]
    return (
        ok("Valkey evicts nothing")
        if policy == "noeviction"
        else failed(f"the policy is {policy}: jobs get lost")
    )


def _valkey_aof(facts: Facts) -> Verdict:
    valkey = facts.of(Valkey)
    if valkey["appendonly"] != "yes":
        if valkey.external:
            return warning(
                "the append-only file is off: a restart loses the jobs that wait, without a replica"
            )
        return failed("the append-only file is off: a restart loses the jobs that wait")
    if valkey["aof_last_write_status"] != "ok":
        return failed("the append-only file could not be written")
    sync = valkey.said.get("appendfsync", "is not told") if valkey.external else valkey["appendfsync"]
    if sync == "no":
        return warning("the append-only file is never synced")
    return ok(f"jobs are on disk (appendfsync {sync})")


def _valkey_memory(facts: Facts) -> Verdict:
    valkey = facts.of(Valkey)
    used, most = int(valkey["used_memory"]), int(valkey["maxmemory"].split(":")[-1])
    if not most:
        return warning("Valkey has no memory cap and takes memory until it is killed")
    text = f"Valkey uses {used // MIB} of {most // MIB} MiB"
    return ok(text) if used < most * limits.VALKEY_SHARE else warning(text)


def _valkey_evicted(facts: Facts) -> Verdict:
    evicted = int(facts.of(Valkey)["evicted_keys"])
    return (
        failed(f"{evicted} keys were evicted since the start: jobs are lost")
        if evicted
        else ok("nothing was evicted")
    )


def _valkey_refused(facts: Facts) -> Verdict:
    refused = int(facts.of(Valkey)["rejected_connections"])
    if refused:
        return warning(f"{refused} connections were refused since the start")
    return ok("no connection was refused")


def _utc_inside(facts: Facts) -> Verdict:
    zones = {name: one.zone for name, one in facts.of(Insides).by_name.items() if one.zone}
    wrong = [f"{name} is at {zone}" for name, zone in sorted(zones.items()) if zone != "+0000"]
    return failed(", ".join(wrong)) if wrong else ok(f"{len(zones)} containers are in UTC")


def _objects(facts: Facts) -> Verdict:
    try:
        found = facts.of(Objects)
    except DoesNotAnswer as reason:
        return failed(str(reason), "S3_ENDPOINT of .env must be an address that this machine reaches, too")
    except NotGathered as reason:
        facts.of(Containers).running("seaweedfs")
        return failed(str(reason))
    statuses = found.statuses
    if found.external and 403 in statuses.values():
        refused = ", ".join(sorted(name for name, status in statuses.items() if status == 403))
        return failed(
            f"the object store refuses our keys the list of {refused}",
            "S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY and S3_REGION of .env must be those of the external "
            "store, with the rights s3:ListBucket, GetObject, PutObject and DeleteObject",
        )
    if 403 in statuses.values():
        return failed(
            "the object store refuses our keys",
            "S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY of .env must be those that it was started with: "
            "make up",
        )
    return ok(f"{len(statuses)} buckets were asked for")


def _buckets(facts: Facts) -> Verdict:
    statuses = facts.of(Objects).statuses
    lost = sorted(name for name, status in statuses.items() if status == 404)
    if lost:
        return failed(f"missing: {', '.join(lost)}")
    if any(status != 200 for status in statuses.values()):
        raise NotGathered("the object store refuses to say")
    return ok(f"{len(statuses)} buckets are there")


def _strangers(facts: Facts) -> Verdict:
    found = sorted(name for name, status in facts.of(Objects).anonymous.items() if status == 200)
    return failed(f"anyone can list {', '.join(found)}") if found else ok("anonymous access is denied")


def _expiry(facts: Facts) -> Verdict:
    expiry = facts.of(Objects).expiry
    if expiry is None:
        return skipped("the store does not say whether events expire")
    return ok("events expire") if expiry else warning("events are kept forever")


def _embedded_data(facts: Facts) -> Verdict:
    data = facts.of(EmbeddedData)
    if not data.exists:
        return skipped("there is no data yet")
    if data.damage:
        return failed("; ".join(f"{name}: {text}" for name, text in sorted(data.damage.items())))
    if data.unchecked:
        return ok(f"{data.bytes // MIB} MiB; too large to check in full: {', '.join(data.unchecked)}")
    return ok(f"{data.bytes // MIB} MiB, no damage found")


def _embedded_wal(facts: Facts) -> Verdict:
    size = facts.of(EmbeddedData).wal_bytes
    text = f"the write-ahead logs hold {size // MIB} MiB"
    return ok(text) if size <= limits.EMBEDDED_WAL_BYTES else warning(text)


def _embedded_pid(facts: Facts) -> Verdict:
    stale = facts.of(EmbeddedData).stale_pid
    return (
        warning(f"engine.pid names process {stale}, which is not the engine")
        if stale
        else ok("no stale pid file")
    )


def _remove_pid(context: Context) -> None:
    (context.layout.embedded_dir / "engine.pid").unlink(missing_ok=True)


POSTGRES_PAGE = "how-to/troubleshoot.md#postgresql"
VALKEY_PAGE = "how-to/troubleshoot.md#valkey"
OBJECTS_PAGE = "how-to/troubleshoot.md#object-store"

CHECKS = (
    Check(
        id="stores.postgres",
        looks_at="PostgreSQL takes a login over TCP with its password.",
        fix="if the volume is older than .env, put its POSTGRES_PASSWORD back; else see make logs "
        "SERVICE=postgres",
        page=POSTGRES_PAGE,
        judge=answers(
            "postgres",
            Postgres,
            lambda one: f"PostgreSQL {int(one.setting('server_version_num')) // 10000} answers",
            "DATABASE_URL (DIRECT_URL, where set) of .env must be the address, user and password of the "
            "external PostgreSQL, then make up",
        ),
        engines=COMPOSE,
    ),
    Check(
        id="stores.postgres_utc",
        looks_at="PostgreSQL is in UTC: in another zone queries find nothing or the wrong rows.",
        fix="remove the other time zone (ALTER SYSTEM RESET timezone; or PGTZ in an override), then make up",
        page=POSTGRES_PAGE,
        judge=elsewhere(
            Postgres, _postgres_utc, "ALTER ROLE <user of DATABASE_URL> SET timezone TO 'UTC', then make up"
        ),
        engines=COMPOSE,
    ),
    Check(
        id="stores.postgres_connections",
        looks_at="Less than 80 % of PostgreSQL's connections are in use.",
        fix="close idle clients, or raise max_connections in config/postgres/postgresql.conf, then make up",
        page="runbooks/PostgresConnectionsHigh.md",
        judge=elsewhere(
            Postgres, _postgres_connections, "close idle clients, or have its operator raise max_connections"
        ),
        engines=COMPOSE,
    ),
    Check(
        id="stores.postgres_durable",
        looks_at="PostgreSQL syncs what it confirms.",
        fix="ALTER SYSTEM RESET what is off, then SELECT pg_reload_conf()",
        page=POSTGRES_PAGE,
        judge=elsewhere(Postgres, _postgres_durable, "have its operator set what is off to on"),
        engines=COMPOSE,
    ),
    Check(
        id="stores.postgres_slots",
        looks_at="No replication slot is inactive: it would keep log files until the disk is full.",
        fix="SELECT pg_drop_replication_slot('<name>') for slots that nobody needs any more",
        page="runbooks/PostgresSlotInactive.md",
        judge=elsewhere(
            Postgres,
            _postgres_slots,
            "tell its operator: SELECT pg_drop_replication_slot(<name>) for those that nobody needs",
        ),
        engines=COMPOSE,
    ),
    Check(
        id="stores.postgres_transactions",
        looks_at="No transaction is open for over an hour: it would keep old rows forever.",
        fix="SELECT pg_terminate_backend(<process>) for a client that was forgotten",
        page=POSTGRES_PAGE,
        judge=elsewhere(
            Postgres,
            _postgres_transactions,
            "tell its operator: SELECT pg_terminate_backend(<process>) for a client that was forgotten",
        ),
        engines=COMPOSE,
    ),
    *clickhouse.CHECKS,
    Check(
        id="stores.valkey",
        looks_at="Valkey answers PONG to an authenticated ping.",
        fix="see make logs SERVICE=valkey; the password is REDIS_AUTH of .env",
        page=VALKEY_PAGE,
        judge=answers(
            "valkey",
            Valkey,
            lambda one: f"Valkey {one.version} answers",
            "REDIS_HOST, REDIS_PORT, REDIS_AUTH and REDIS_TLS_ENABLED (or REDIS_CONNECTION_STRING) of .env "
            "must be those of the external Valkey, then make up",
        ),
        engines=COMPOSE,
    ),
    Check(
        id="stores.valkey_policy",
        looks_at="Valkey's policy is noeviction: anything else drops jobs.",
        fix="put config/valkey/valkey.conf back as it was, then make up (now: CONFIG SET maxmemory-policy "
        "noeviction)",
        page=VALKEY_PAGE,
        judge=elsewhere(
            Valkey,
            _valkey_policy,
            "have its operator set maxmemory-policy to noeviction (CONFIG SET, or its parameter group)",
        ),
        engines=COMPOSE,
    ),
    Check(
        id="stores.valkey_aof",
        looks_at="Valkey writes its append-only file: a restart loses no job.",
        fix="put config/valkey/valkey.conf back as it was, then make up (now: CONFIG SET appendonly yes)",
        page=VALKEY_PAGE,
        judge=elsewhere(
            Valkey,
            _valkey_aof,
            "have its operator set appendonly to yes and appendfsync to everysec, or keep a replica",
        ),
        engines=COMPOSE,
    ),
    Check(
        id="stores.valkey_memory",
        looks_at="Valkey uses less than 70 % of its cap.",
        fix="see which queue is long (make doctor ONLY=flow); raise VALKEY_MAXMEMORY_MB and VALKEY_MEMORY, "
        "then make up",
        page="runbooks/ValkeyMemoryHigh.md",
        judge=elsewhere(
            Valkey,
            _valkey_memory,
            "see which queue is long (make doctor ONLY=flow); have its operator give Valkey more memory",
        ),
        engines=COMPOSE,
    ),
    Check(
        id="stores.valkey_evicted",
        looks_at="Valkey evicted no key since it started.",
        fix="set noeviction (see stores.valkey_policy), then make reconcile: the events bucket still has "
        "the spans",
        page="runbooks/ValkeyEvictions.md",
        judge=elsewhere(
            Valkey,
            _valkey_evicted,
            "have its operator set noeviction, then make reconcile: the events bucket still has the spans",
        ),
        engines=COMPOSE,
    ),
    Check(
        id="stores.valkey_refused",
        looks_at="Valkey refused no connection since it started.",
        fix="raise maxclients in config/valkey/valkey.conf, then make up",
        page=VALKEY_PAGE,
        judge=elsewhere(Valkey, _valkey_refused, "have its operator raise maxclients"),
        engines=COMPOSE,
    ),
    Check(
        id="stores.utc",
        looks_at="Every container is in UTC.",
        fix="take TZ out of compose.override.yaml, then make up",
        page="how-to/troubleshoot.md",
        judge=_utc_inside,
        engines=COMPOSE,
    ),
    Check(
        id="stores.objects",
        looks_at="The object store answers on its published port to our keys.",
        fix="see make logs SERVICE=seaweedfs",
        page=OBJECTS_PAGE,
        judge=_objects,
        engines=COMPOSE,
    ),
    Check(
        id="stores.buckets",
        looks_at="The three buckets are there.",
        fix="make up, which makes missing buckets; what lay in a lost one is in the backup (make backups)",
        page=OBJECTS_PAGE,
        judge=elsewhere(
            Objects,
            _buckets,
            "create them in the external store, or correct S3_*_BUCKET of .env, then make up",
        ),
        engines=COMPOSE,
    ),
    Check(
        id="stores.strangers",
        looks_at="Buckets cannot be listed without a key.",
        fix="start the object store with S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY (make up does)",
        page=OBJECTS_PAGE,
        judge=elsewhere(
            Objects,
            _strangers,
            "have the operator of the external store take back public access to these buckets",
        ),
        engines=COMPOSE,
    ),
    Check(
        id="stores.expiry",
        looks_at="Objects in the events bucket expire: millions of small ones fill a disk.",
        fix="make up, which sets S3_EVENTS_EXPIRE_DAYS; in an external store add a lifecycle rule",
        page=OBJECTS_PAGE,
        judge=elsewhere(
            Objects,
            _expiry,
            "have the operator of the external store add a lifecycle rule to the events bucket",
        ),
        engines=COMPOSE,
    ),
    *external.CHECKS,
    Check(
        id="stores.embedded",
        looks_at="The databases of the embedded engine are not damaged (SQLite's quick check, 2.5 s at "
        "most each).",
        fix="make down, then make restore REPLACE=1, which keeps what is there until the backup has proven "
        "itself",
        page="how-to/back-up-and-restore.md",
        judge=_embedded_data,
        engines=EMBEDDED,
    ),
    Check(
        id="stores.embedded_wal",
        looks_at="The write-ahead logs stay below 512 MiB: they grow while a reader holds them open.",
        fix="make down, then make up, which checkpoints them",
        page="how-to/troubleshoot.md",
        judge=_embedded_wal,
        engines=EMBEDDED,
    ),
    Check(
        id="stores.embedded_pid",
        looks_at="No pid file names a process that is not the engine.",
        fix="rm .stack/embedded/engine.pid",
        page="how-to/troubleshoot.md",
        judge=_embedded_pid,
        engines=EMBEDDED,
        repair=Repair(what="rm .stack/embedded/engine.pid", apply=_remove_pid),
    ),
)
