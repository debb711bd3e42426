"""What an official compose stack consists of: its stores, secrets, buckets, as its containers were started.

The file is https://github.com/langfuse/langfuse/blob/v4.16.0/docker-compose.yml; that of version 3 has the
same services and names. Values are those of its containers, if there are any: `.env` may have changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from scripts.settings.server_variables import server_variables
from scripts.settings.table import SETTINGS

WEB, WORKER = "langfuse-web", "langfuse-worker"
POSTGRES, CLICKHOUSE, REDIS, OBJECTS = "postgres", "clickhouse", "redis", "minio"
SERVICES = (WEB, WORKER, POSTGRES, CLICKHOUSE, REDIS, OBJECTS)
GROUPS: Mapping[str, str] = {"events": "EVENT_UPLOAD", "media": "MEDIA_UPLOAD", "exports": "BATCH_EXPORT"}
"""What the server puts into buckets, and what its variables call that."""
SECRETS = ("SALT", "ENCRYPTION_KEY", "NEXTAUTH_SECRET")
# Which the stack sets itself, or which belong to the old address.
_NOT_CARRIED = (
    "TELEMETRY_ENABLED",
    "NEXTAUTH_URL",
    "ADMIN_API_KEY",
    "TZ",
    "HOSTNAME",
    "PORT",
    "NODE_OPTIONS",
)
_OF_THE_STACK = ("LANGFUSE_INIT_", "LANGFUSE_S3_", "CLICKHOUSE_", "REDIS_", "DATABASE_", "DIRECT_URL", "AWS_")
_WRITE_MODE = "LANGFUSE_MIGRATION_V4_WRITE_MODE"


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket and what the keys in it begin with."""

    bucket: str
    prefix: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Source:
    """An official stack.

    Attributes:
        web, worker: variables of these containers.
        running: whether values are those of containers, and not of the file alone.
        changed: variables that the file now gives other values than the containers have.
        images: by service.
    """

    web: Mapping[str, str] = field(repr=False)
    worker: Mapping[str, str] = field(repr=False)
    postgres: Mapping[str, str] = field(repr=False)
    redis_password: str = field(repr=False)
    running: bool = False
    changed: tuple[str, ...] = ()
    images: Mapping[str, str] = field(default_factory=dict)
    services: tuple[str, ...] = ()

    @property
    def database(self) -> str:
        """The name of the database in PostgreSQL."""
        return unquote(urlsplit(self.web.get("DATABASE_URL", "")).path.lstrip("/"))

    @property
    def secrets(self) -> dict[str, str]:
        """What the data was written with."""
        return {name: self.web.get(name, "") for name in SECRETS}

    def place(self, group: str) -> Place:
        """Return where a group of objects lies."""
        begin = f"LANGFUSE_S3_{GROUPS[group]}"
        return Place(
            self.worker.get(f"{begin}_BUCKET", ""),
            self.worker.get(f"{begin}_PREFIX", ""),
            self.worker.get(f"{begin}_REGION", "") or "auto",
            self.worker.get(f"{begin}_ACCESS_KEY_ID", ""),
            self.worker.get(f"{begin}_SECRET_ACCESS_KEY", ""),
        )

    def carried(self) -> dict[str, str]:
        """Return the variables of web that the new stack should have too: logins, mail, limits, licence."""
        known = server_variables()
        ours = {setting.name for setting in SETTINGS}
        return {
            name: value
            for name, value in sorted(self.web.items())
            if value
            and (name in known or name in ours)
            and name not in (*SECRETS, *_NOT_CARRIED)
            and not name.startswith(_OF_THE_STACK)
            and value not in ("false", "2097152", "/certs/ca.crt", "/certs/redis.crt", "/certs/redis.key")
        }


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why it cannot be taken over, and what to do."""

    reason: str
    fix: str


def read_source(model: Mapping[str, Any], containers: Mapping[str, Mapping[str, str]]) -> Source:
    """Return what a compose file and its containers say.

    Args:
        model: as `docker compose config` gives it.
        containers: by service, the variables with which it was started.
    """
    services = model.get("services") or {}
    named = {name: _variables(services.get(name, {})) for name in SERVICES}
    used = {name: {**named[name], **containers.get(name, {})} for name in SERVICES}
    changed = sorted(
        {
            variable
            for name in (WEB, WORKER)
            for variable, value in named[name].items()
            if name in containers and containers[name].get(variable, "") != value
        }
    )
    return Source(
        web=used[WEB],
        worker=used[WORKER],
        postgres=used[POSTGRES],
        redis_password=used[WORKER].get("REDIS_AUTH", ""),
        running=bool(containers),
        changed=tuple(changed),
        images={name: str(services[name].get("image", "")) for name in SERVICES if name in services},
        services=tuple(name for name in SERVICES if name in services),
    )


def _variables(service: Mapping[str, Any]) -> dict[str, str]:
    found = service.get("environment") or {}
    return {name: "" if value is None else str(value) for name, value in found.items()}


def unusable(source: Source) -> Iterator[Refusal]:
    """Yield what makes a stack one that this cannot take over, by its configuration alone."""
    missing = [name for name in SERVICES if name not in source.services]
    if missing:
        yield Refusal(
            f"The compose file has no service {', '.join(missing)}, as the official one has.",
            "name the directory of the official docker-compose.yml; stores elsewhere are not taken over.",
        )
        return
    stores = {
        POSTGRES: source.web.get("DATABASE_URL", ""),
        CLICKHOUSE: source.web.get("CLICKHOUSE_URL", ""),
        REDIS: f"redis://{source.web.get('REDIS_HOST', '')}",
        OBJECTS: source.worker.get("LANGFUSE_S3_EVENT_UPLOAD_ENDPOINT", ""),
    }
    for service, url in stores.items():
        if (urlsplit(url).hostname or "") != service:
            yield Refusal(
                f"Langfuse uses {urlsplit(url).hostname or 'nothing'} instead of the service {service}.",
                "stores outside of the compose file are not taken over (docs/how-to/move-in.md).",
            )
    schema = parse_qs(urlsplit(source.web.get("DATABASE_URL", "")).query).get("schema", ["public"])[0]
    if schema != "public":
        yield Refusal(f"The tables are in the schema {schema}.", "move them to the schema public first.")
    if source.web.get("CLICKHOUSE_DB", "") not in ("", "default"):
        yield Refusal(
            f"ClickHouse's database is {source.web['CLICKHOUSE_DB']}.",
            "only one that is called default is taken over.",
        )
    for name in (
        "LANGFUSE_USE_AZURE_BLOB",
        "LANGFUSE_USE_OCI_NATIVE_OBJECT_STORAGE",
        "CLICKHOUSE_CLUSTER_ENABLED",
    ):
        if source.web.get(name, "false") == "true":
            yield Refusal(f"{name} is true.", "only the stores of the official compose file are taken over.")
    for name in ("SALT", "ENCRYPTION_KEY", "DATABASE_URL"):
        if source.web.get(name, "") != source.worker.get(name, ""):
            yield Refusal(
                f"{name} differs between web and worker.",
                "start both with the same value: docker compose up -d, then repeat.",
            )
    if not source.web.get("ENCRYPTION_KEY"):
        yield Refusal(
            "ENCRYPTION_KEY is not set: secrets of models lie in the database as they are.",
            "set one in its .env (openssl rand -hex 32), start it, enter the secrets anew, then repeat.",
        )
    if source.web.get(_WRITE_MODE, "events_only") != "events_only":
        yield Refusal(
            f"{_WRITE_MODE} is {source.web[_WRITE_MODE]}: this stack does not read the tables of before.",
            "finish the upgrade to version 4 there (events_only), then repeat.",
        )
