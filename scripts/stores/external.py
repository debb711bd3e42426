"""External stores: where their settings lead, and the programs of the stack that go there.

The programs run in containers of the stack, on the networks on which web calls out: what web reaches, they
reach. Passwords get into these containers as files in memory, over standard input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from scripts.core.errors import UsageError
from scripts.core.layout import Layout
from scripts.docker.compose import CLIENTS, Compose
from scripts.settings.envfile import read_env

POSTGRES, CLICKHOUSE, VALKEY = (CLIENTS[store] for store in ("postgres", "clickhouse", "valkey"))
LOGIN_OF_POSTGRES, LOGIN_OF_VALKEY = "/tmp/pg_service.conf", "/tmp/password"  # noqa: S108 - in a container
_SCHEMA = "public"
_OTHER_VALKEYS = ("REDIS_KEY_PREFIX", "REDIS_CLUSTER_ENABLED", "REDIS_SENTINEL_ENABLED")


@dataclass(frozen=True, slots=True)
class PostgresLogin:
    """What a URL of PostgreSQL means to libpq; `ssl` are its parameters for TLS."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    ssl: Mapping[str, str] = field(default_factory=dict)

    def service(self) -> str:
        """Return the section of a service file (https://www.postgresql.org/docs/17/libpq-pgservice.html)."""
        values = {
            "host": self.host,
            "port": str(self.port),
            "dbname": self.database,
            "user": self.user,
            "password": self.password,
            **self.ssl,
        }
        return "[langfuse]\n" + "".join(f"{name}={value}\n" for name, value in values.items())


@dataclass(frozen=True, slots=True)
class ValkeyLogin:
    """Where Valkey is; `database` is its number."""

    host: str
    port: int
    database: int
    user: str
    password: str = field(repr=False)
    tls: bool = False

    def options(self) -> list[str]:
        """Return the options of valkey-cli, without the password."""
        user = ["--user", self.user] if self.user else []
        return ["-h", self.host, "-p", str(self.port), *user, *(["--tls"] if self.tls else [])]


@contextmanager
def reached(services: Compose) -> Iterator[None]:
    """Have the external stores of a stack within reach for the body; nothing to do where all are bundled.

    Raises:
        UsageError: an address cannot be used.
        StackError: the containers do not start.
    """
    require_usable(services.settings.values)
    try:
        reach(services)
        yield
    finally:
        services.remove_clients()


def reach(services: Compose) -> None:
    """Start what reaches the external stores of a stack: again, where a stop of the stack has taken it along.

    Raises:
        StackError: the containers do not start.
    """
    services.start_clients()
    settings, clients = services.settings.values, services.clients()
    if POSTGRES in clients:
        _put(services, POSTGRES, LOGIN_OF_POSTGRES, postgres_login(settings).service())
    if VALKEY in clients:
        _put(services, VALKEY, LOGIN_OF_VALKEY, valkey_login(settings).password)


def require_usable(settings: Mapping[str, str]) -> None:
    """Raise UsageError for an external store of a form that is not supported here."""
    if settings.get("CLICKHOUSE_URL") and settings.get("CLICKHOUSE_CLUSTER_ENABLED") == "true":
        raise UsageError(
            "An external ClickHouse that is a cluster (CLICKHOUSE_CLUSTER_ENABLED) is not supported here.",
            fix="use BACKUP ... ON CLUSTER where it is run, and keep .env and config/ with it.",
        )
    if settings.get("DATABASE_URL"):
        postgres_login(settings)


def places(services: Compose) -> list[str]:
    """Return what of external stores a restore fills, a line each, without secrets."""
    settings, external = services.settings.values, services.external()
    lines = []
    if "postgres" in external:
        login = postgres_login(settings)
        lines.append(f"PostgreSQL {login.host}:{login.port}, database {login.database}, schema {_SCHEMA}")
    if "clickhouse" in external:
        lines.append(
            f"ClickHouse {settings['CLICKHOUSE_MIGRATION_URL']}, database {settings['CLICKHOUSE_DB']}"
        )
    if "valkey" in external:
        valkey = valkey_login(settings)
        lines.append(f"Valkey {valkey.host}:{valkey.port}, database {valkey.database}: queues and caches")
    if "s3" in external:
        buckets = f"{settings['S3_MEDIA_BUCKET']} and {settings['S3_EVENTS_BUCKET']}"
        lines.append(f"S3 {settings['S3_ENDPOINT']}, buckets {buckets}")
    return lines


def unsupported_valkey(layout: Layout) -> str:
    """Return a variable of `.env.langfuse` with which the keys of Langfuse are not found, or nothing."""
    path = layout.langfuse_file
    values = read_env(path).values() if path.exists() else {}
    return next((name for name in _OTHER_VALKEYS if values.get(name) not in (None, "", "false")), "")


def postgres_login(settings: Mapping[str, str]) -> PostgresLogin:
    """Return where DIRECT_URL or DATABASE_URL leads: a pooler in between would take snapshots apart.

    Prisma verifies a certificate with `sslaccept=strict` only, with the authority in `sslcert`
    (https://www.prisma.io/docs/orm/overview/databases/postgresql#arguments).

    Raises:
        UsageError: the schema is not `public`.
    """
    name = "DIRECT_URL" if settings.get("DIRECT_URL") else "DATABASE_URL"
    parts = urlsplit(settings[name])
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    if query.get("schema", _SCHEMA) != _SCHEMA:
        raise UsageError(
            f"{name} names the schema {query['schema']}; only {_SCHEMA} is supported here.",
            fix="use pg_dump where it is run.",
        )
    mode = query.get("sslmode", "prefer")
    ssl = {"sslmode": mode}
    if mode == "require" and query.get("sslaccept") == "strict":
        ssl = {"sslmode": "verify-full", "sslrootcert": query.get("sslcert", "system")}
    return PostgresLogin(
        parts.hostname or "",
        parts.port or 5432,
        unquote(parts.path.lstrip("/")),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        ssl,
    )


def has_two_postgres_users(settings: Mapping[str, str]) -> bool:
    """Return whether DIRECT_URL, which commands use, names another user than the server's DATABASE_URL."""
    urls = [settings[name] for name in ("DATABASE_URL", "DIRECT_URL") if settings.get(name)]
    return len({urlsplit(url).username for url in urls}) > 1


def clickhouse_command(settings: Mapping[str, str]) -> tuple[str, ...]:
    """Return the client of ClickHouse with its options: as migrations, over the native interface."""
    parts = urlsplit(settings["CLICKHOUSE_MIGRATION_URL"])
    secure = settings.get("CLICKHOUSE_MIGRATION_SSL") == "true"
    port = parts.port or (9440 if secure else 9000)
    options = ["--host", parts.hostname or "", "--port", str(port), "--database", settings["CLICKHOUSE_DB"]]
    return ("clickhouse-client", *options, *(["--secure"] if secure else []))


def valkey_login(settings: Mapping[str, str]) -> ValkeyLogin:
    """Return where REDIS_CONNECTION_STRING, or REDIS_HOST and what belongs to it, leads."""
    url = settings.get("REDIS_CONNECTION_STRING")
    tls = settings.get("REDIS_TLS_ENABLED") == "true"
    if not url:
        return ValkeyLogin(
            settings["REDIS_HOST"],
            int(settings["REDIS_PORT"]),
            0,
            settings.get("REDIS_USERNAME", ""),
            settings["REDIS_AUTH"],
            tls,
        )
    parts: SplitResult = urlsplit(url)
    number = parts.path.lstrip("/")
    return ValkeyLogin(
        parts.hostname or "",
        parts.port or 6379,
        int(number) if number.isdigit() else 0,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        tls or parts.scheme == "rediss",
    )


def _put(services: Compose, client: str, path: str, text: str) -> None:
    services.execute(client, ["sh", "-c", f"umask 077; cat >{path}"], stdin=text)
