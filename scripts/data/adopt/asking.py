"""Ask the running stack what decides whether it can be taken over. Changes nothing there."""

from __future__ import annotations

import json

from scripts.api.client import Api
from scripts.core import host
from scripts.core.errors import UsageError
from scripts.docker.containers import Container
from scripts.docker.other_compose import OtherCompose
from scripts.engines.context import Context
from scripts.stores.background import UNFINISHED, parse_rows
from scripts.stores.clickhouse import ClickHouse
from scripts.stores.postgres import Postgres
from scripts.stores.s3 import Bucket, Location, StoredObject

from .proposal import Organization
from .rules import Facts
from .source import CLICKHOUSE, OBJECTS, POSTGRES, REDIS, WEB, WORKER, Place, Source

DATABASE = "default"
UNFINISHED_MIGRATIONS = (
    "SELECT to_json(migration_name) FROM _prisma_migrations"
    " WHERE finished_at IS NULL AND rolled_back_at IS NULL ORDER BY started_at;"
)
ORGANIZATIONS = (
    "SELECT json_build_array(o.id, o.name,"
    " coalesce((SELECT json_agg(json_build_array(p.id, p.name) ORDER BY p.id)"
    " FROM projects p WHERE p.org_id = o.id AND p.deleted_at IS NULL), '[]'),"
    " coalesce((SELECT min(u.email) FROM organization_memberships m JOIN users u ON u.id = m.user_id"
    " WHERE m.org_id = o.id AND m.role::text = 'OWNER'), ''))"
    " FROM organizations o ORDER BY o.created_at, o.id;"
)
# The jobs of each queue by state; BullMQ's keys are PREFIX:QUEUE:STATE. A recurring job is always delayed.
_QUEUES = """
local lines = {}
for _, key in ipairs(redis.call('KEYS', '*bull:*')) do
  local queue, state = string.match(key, 'bull:(.+):([a-z]+)$')
  local kind = redis.call('TYPE', key).ok
  local length = 0
  if kind == 'list' then length = redis.call('LLEN', key) end
  if kind == 'zset' then length = redis.call('ZCARD', key) end
  if queue and length > 0 then table.insert(lines, cjson.encode({queue, state, length})) end
end
return lines
"""
_WAITING = frozenset({"wait", "active", "paused", "prioritized"})
# The password goes in by the standard input: an argument can be seen by every user of the host.
_ASK = (
    "read -r REDISCLI_AUTH; export REDISCLI_AUTH; for program in redis-cli valkey-cli; do"
    ' if command -v "$program" >/dev/null; then exec "$program" --raw EVAL "$0" 0; fi; done; exit 127'
)


def require_running(containers: list[Container]) -> None:
    """Raise UsageError when something does not run that has to be asked."""
    running = {one.service for one in containers if one.running}
    still = [name for name in (WEB, WORKER, POSTGRES, CLICKHOUSE, REDIS, OBJECTS) if name not in running]
    if still:
        raise UsageError(
            f"Of the other stack {', '.join(still)} do not run; nothing was changed.",
            fix="start it where it is: docker compose up -d. Then repeat.",
        )


def gather_facts(context: Context, other: OtherCompose, source: Source) -> Facts:
    """Return what the running stack says.

    Raises:
        StackError: a store does not answer.
    """
    postgres, clickhouse = Postgres(other), ClickHouse(other, DATABASE)
    containers = other.containers()
    waiting, failed = queues(other, source)
    levels = clickhouse.rows(
        "SELECT toString(dirty) AS dirty FROM schema_migrations ORDER BY sequence DESC LIMIT 1"
    )
    version = clickhouse.rows("SELECT version() AS version")[0]["version"]
    database = source.database

    def lines(statement: str) -> list[str]:
        return postgres.query(statement, database).splitlines()

    background = parse_rows("\n".join(lines(f"{UNFINISHED};")))
    sizes = {
        "PostgreSQL": int(postgres.query("SELECT pg_database_size(current_database());", database)),
        "ClickHouse": clickhouse.size(),
        "media": sum(found.bytes for found in _media(source, containers)),
    }
    return Facts(
        version=running_version(containers),
        postgres=int(postgres.query("SHOW server_version_num;", database)) // 10_000,
        clickhouse=str(version),
        unfinished=tuple(map(json.loads, lines(UNFINISHED_MIGRATIONS))),
        dirty=bool(levels) and levels[0]["dirty"] == "1",
        background=tuple(one.name for one in background if not one.dormant(source.worker)),
        waiting=waiting,
        failed=failed,
        rows={
            "observations": _count(clickhouse, "events_full"),
            "scores": _count(clickhouse, "scores"),
            **{
                name: int(postgres.query(f"SELECT count(*) FROM {table};", database))  # noqa: S608 - constants
                for name, table in (("prompts", "prompts"), ("media", "media"), ("users", "users"))
            },
        },
        organizations=tuple(
            Organization(id_, name, tuple(map(tuple, projects)), owner)
            for id_, name, projects, owner in map(json.loads, lines(ORGANIZATIONS))
        ),
        sizes=sizes,
        free_bytes=host.free_bytes(context.layout.stack_dir),
        has_data=bool(context.compose(context.lenient_settings()).volumes()),
    )


def queues(other: OtherCompose, source: Source) -> tuple[dict[str, int], dict[str, int]]:
    """Return the jobs that wait or are worked on, and those that were given up, by queue."""
    script = " ".join(_QUEUES.split())
    said = other.execute(REDIS, ["sh", "-c", _ASK, script], stdin=f"{source.redis_password}\n")
    waiting: dict[str, int] = {}
    failed: dict[str, int] = {}
    for line in filter(None, said.splitlines()):
        queue, state, length = json.loads(line)
        into = waiting if state in _WAITING else failed if state == "failed" else {}
        into[queue] = into.get(queue, 0) + length
    return waiting, failed


def bucket_of(place: Place, containers: list[Container]) -> Bucket:
    """Return a bucket, reached through the port that its store publishes. The caller closes it."""
    return Bucket(
        Location(
            endpoint=f"http://{_published(containers, OBJECTS, 9000)}",
            region=place.region,
            bucket=place.bucket,
            access_key=place.access_key,
            secret_key=place.secret_key,
            path_style=True,
        )
    )


def _media(source: Source, containers: list[Container]) -> list[StoredObject]:
    place = source.place("media")
    with bucket_of(place, containers) as bucket:
        return list(bucket.objects(place.prefix))


def running_version(containers: list[Container]) -> str:
    """Return the version that web says, or an empty string. Raises UsageError without its port."""
    with Api(f"http://{_published(containers, WEB, 3000)}") as api:
        return api.version().removeprefix("v")


def _published(containers: list[Container], service: str, inside: int) -> str:
    """Return where a port of a service is reached from this machine. Raises UsageError where it is not."""
    ports = [
        port for one in containers if one.service == service for port in one.ports if port.inside == inside
    ]
    if not ports:
        raise UsageError(
            f"Port {inside} of {service} is not published there; nothing was changed.",
            fix="publish it on 127.0.0.1 in its compose file, as the official one does, and start it again.",
        )
    address = ports[0].address
    shown = "127.0.0.1" if address in ("", "0.0.0.0", "::") else f"[{address}]" if ":" in address else address  # noqa: S104
    return f"{shown}:{ports[0].port}"


def _count(clickhouse: ClickHouse, table: str) -> int:
    return int(clickhouse.rows(f"SELECT toString(count()) AS rows FROM {table} FINAL")[0]["rows"])  # noqa: S608
