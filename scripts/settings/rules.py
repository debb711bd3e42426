"""Rules over several settings: what only works together, and what excludes each other."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from .kinds import is_weak
from .login_rules import login_problems
from .problem import Problem
from .profiles import REPLACED_BY, compose_profiles, split_list

Values = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Given:
    """The settings as they are going to be used.

    Attributes:
        values: by name, with defaults and what was generated.
        places: where the values stand that a person gave, or an earlier run generated: `.env:12`.
    """

    values: Values
    places: Mapping[str, str]

    def problem(self, name: str, reason: str, fix: str) -> Problem:
        """Return a problem of a setting that was given, or of one that is missing."""
        return Problem(name, self.places.get(name, "not set"), reason, fix)

    def has(self, *names: str) -> bool:
        """Return whether any of these was given."""
        return any(name in self.places for name in names)


# What an external store needs besides its address: what `make up` generates opens the bundled one only.
_NEEDED: tuple[tuple[str, str, str], ...] = (
    ("CLICKHOUSE_URL", "CLICKHOUSE_MIGRATION_URL", "its native interface, such as clickhouse://host:9000"),
    ("CLICKHOUSE_URL", "CLICKHOUSE_PASSWORD", "the password of that ClickHouse"),
    ("REDIS_HOST", "REDIS_AUTH", "the password of that Redis"),
    ("S3_ENDPOINT", "S3_PUBLIC_ENDPOINT", "its address as browsers and SDKs reach it"),
    ("S3_ENDPOINT", "S3_ACCESS_KEY_ID", "a key of that store: the role of a machine is not supported"),
    ("S3_ENDPOINT", "S3_SECRET_ACCESS_KEY", "a key of that store: the role of a machine is not supported"),
    ("BACKUP_S3_ACCESS_KEY_ID", "BACKUP_S3_SECRET_ACCESS_KEY", "both belong together"),
    ("BACKUP_S3_SECRET_ACCESS_KEY", "BACKUP_S3_ACCESS_KEY_ID", "both belong together"),
    ("LANGFUSE_DEFAULT_ORG_ROLE", "LANGFUSE_DEFAULT_ORG_ID", "without it the role has no effect"),
)

# What has a meaning for an external store only, unless it has this value.
_ONLY_EXTERNAL: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("DIRECT_URL", "", ("DATABASE_URL",)),
    ("CLICKHOUSE_MIGRATION_URL", "", ("CLICKHOUSE_URL",)),
    ("CLICKHOUSE_USER", "langfuse", ("CLICKHOUSE_URL",)),
    ("CLICKHOUSE_READER_USER", "langfuse_monitor", ("CLICKHOUSE_URL",)),
    ("CLICKHOUSE_READER_PASSWORD", "", ("CLICKHOUSE_URL",)),
    ("CLICKHOUSE_DB", "default", ("CLICKHOUSE_URL",)),
    ("CLICKHOUSE_MIGRATION_SSL", "false", ("CLICKHOUSE_URL",)),
    ("CLICKHOUSE_CLUSTER_ENABLED", "false", ("CLICKHOUSE_URL",)),
    ("REDIS_PORT", "6379", ("REDIS_HOST",)),
    ("REDIS_USERNAME", "", ("REDIS_HOST",)),
    ("REDIS_TLS_ENABLED", "false", REPLACED_BY["valkey"]),
    ("S3_FORCE_PATH_STYLE", "true", ("S3_ENDPOINT",)),
)

# Addresses that a container has to reach, or that are signed as they stand.
_STORE_URLS = (
    "DATABASE_URL", "DIRECT_URL", "CLICKHOUSE_URL", "CLICKHOUSE_MIGRATION_URL", "REDIS_CONNECTION_STRING",
    "S3_ENDPOINT",
)  # fmt: skip
_WITHOUT_PATH = ("NEXTAUTH_URL", "S3_ENDPOINT", "S3_PUBLIC_ENDPOINT")
_WITHOUT_USER = (*_WITHOUT_PATH, "CLICKHOUSE_URL", "CLICKHOUSE_MIGRATION_URL")
_DATABASES = ("DATABASE_URL", "DIRECT_URL")
# What Prisma knows; it takes anything else for `prefer`, which goes on without TLS.
# https://www.prisma.io/docs/orm/overview/databases/postgresql#arguments
_SSL_MODES = ("disable", "prefer", "require")
_SECRETS_OF_LANGFUSE = ("NEXTAUTH_SECRET", "SALT", "ENCRYPTION_KEY")
_MAIL = ("EMAIL_FROM_ADDRESS", "SMTP_CONNECTION_URL")
_FOR_PEOPLE = ("NEXTAUTH_URL", "S3_PUBLIC_ENDPOINT")
_BUCKETS = ("S3_EVENTS_BUCKET", "S3_MEDIA_BUCKET", "S3_EXPORTS_BUCKET")


def broken_rules(values: Values, places: Mapping[str, str], further: Values | None = None) -> list[Problem]:
    """Return what does not fit together.

    Args:
        values: all settings.
        places: where those stand that were given.
        further: variables of `.env.langfuse`, which the server reads too.
    """
    given = Given(values, places)
    problems = [problem for rule in _RULES for problem in rule(given)]
    login = {**(further or {}), **{name: values[name] for name in values if name in places}}
    for name, reason, fix in login_problems(login):
        problems.append(Problem(name, places.get(name, ".env.langfuse"), reason, fix))
    return problems


def advice(values: Values) -> list[str]:
    """Return what works, but hardly as it is meant, a sentence each."""
    found = []
    weak = [name for name in _SECRETS_OF_LANGFUSE if values.get(name) and is_weak(values[name])]
    if weak:
        found.append(
            f"{' and '.join(weak)} {'is' if len(weak) == 1 else 'are'} well known or of very few characters: "
            "whoever reads the guides can guess it. Which ones can be changed: docs/how-to/rotate.md."
        )
    mail = [name for name in _MAIL if values.get(name)]
    if len(mail) == 1:
        other = next(name for name in _MAIL if name not in mail)
        found.append(f"{mail[0]} alone sends no mail: set {other} too, or remove it.")
    for bind in ("LANGFUSE_BIND_ADDRESS", "TLS_BIND_ADDRESS"):
        on = bind != "TLS_BIND_ADDRESS" or "tls" in split_list(values.get("STACK_PROFILES", ""))
        local = [name for name in _FOR_PEOPLE if _is_local(_host(values.get(name, "")))]
        if on and not _is_local(values.get(bind, "127.0.0.1")) and local:
            found.append(
                f"{bind}={values[bind]} opens the stack to other machines, and {' and '.join(local)} "
                f"{'leads' if len(local) == 1 else 'lead'} them to themselves: set the address that they use."
            )
    return found


def _ports_differ(given: Given) -> Iterator[Problem]:
    profiles = compose_profiles(given.values)
    ports = [("LANGFUSE_PORT", "LANGFUSE_BIND_ADDRESS")]
    ports += [("S3_PORT", "LANGFUSE_BIND_ADDRESS")] if "s3" in profiles else []
    if "tls" in profiles:
        ports += [(name, "TLS_BIND_ADDRESS") for name in ("HTTPS_PORT", "HTTP_PORT")]
    ports += [("GRAFANA_PORT", "GRAFANA_BIND_ADDRESS")] if "monitoring" in profiles else []
    for number, (name, address) in enumerate(ports):
        for other, other_address in ports[number + 1 :]:
            value = given.values.get(name, "")
            both = {given.values.get(address, ""), given.values.get(other_address, "")}
            if value and value == given.values.get(other) and (len(both) == 1 or both & {"0.0.0.0", "::"}):  # noqa: S104 - compared
                yield Problem(
                    f"{name} and {other}", f"both {value}", "two services cannot share a port",
                    "change one of them",
                )  # fmt: skip


def _urls_have_no_path(given: Given) -> Iterator[Problem]:
    for name in _WITHOUT_PATH:
        parts = urlsplit(given.values.get(name, ""))
        # S3 clients take a slash at the end; the official images of web are built for the root path
        # (langfuse#2868). A signature covers the path: a proxy that takes a prefix away breaks it.
        allowed = ("",) if name == "NEXTAUTH_URL" else ("", "/")
        if parts.path not in allowed or parts.query or parts.fragment:
            why = (
                "has a path or a slash at the end"
                if name == "NEXTAUTH_URL"
                else "has a path, which signatures do not survive"
            )
            yield given.problem(name, why, "end it after the host name or the port")


def _urls_have_no_user(given: Given) -> Iterator[Problem]:
    for name in _WITHOUT_USER:
        if "@" in urlsplit(given.values.get(name, "")).netloc:
            yield given.problem(
                name, "holds a user or a password", "write the address only; both have settings of their own"
            )


def _needed(given: Given) -> Iterator[Problem]:
    for name, needed, what in _NEEDED:
        if given.has(name) and not given.has(needed):
            yield given.problem(needed, f"is needed beside {name}", f"set it: {what}")


def _only_external(given: Given) -> Iterator[Problem]:
    for name, neutral, stores in _ONLY_EXTERNAL:
        if given.has(name) and given.values[name] != neutral and not given.has(*stores):
            yield given.problem(
                name,
                f"does not fit the bundled store, which is used without {' or '.join(stores)}",
                f"set {stores[0]} too, or remove this",
            )


def _one_redis(given: Given) -> Iterator[Problem]:
    if given.has("REDIS_CONNECTION_STRING"):
        for name in ("REDIS_HOST", "REDIS_PORT", "REDIS_USERNAME"):
            if given.has(name):
                yield given.problem(
                    name, "is ignored beside REDIS_CONNECTION_STRING", "remove one of the two"
                )
    host = given.values.get("REDIS_HOST", "")
    if any(character in host for character in "/@") or host.count(":") == 1:
        yield given.problem(
            "REDIS_HOST", "is not a host name alone", "write the port as REDIS_PORT, or all of it as "
            "REDIS_CONNECTION_STRING",
        )  # fmt: skip


def _reachable_stores(given: Given) -> Iterator[Problem]:
    hosts = {name: _host(given.values.get(name, "")) for name in _STORE_URLS if given.has(name)}
    hosts |= {"REDIS_HOST": given.values["REDIS_HOST"]} if given.has("REDIS_HOST") else {}
    for name, host in hosts.items():
        if _is_local(host):
            yield given.problem(
                name,
                f"names {host}, which inside of a container is that container",
                "write the address of this host in its network",
            )


def _database_tls(given: Given) -> Iterator[Problem]:
    for name in _DATABASES:
        for mode in parse_qs(urlsplit(given.values.get(name, "")).query).get("sslmode", []):
            if mode not in _SSL_MODES:
                yield given.problem(
                    name,
                    f"sslmode={mode} is not known to Prisma, which goes on without TLS as with prefer",
                    "write sslmode=require&sslaccept=strict, which checks the certificate",
                )


def _one_database(given: Given) -> Iterator[Problem]:
    if given.has("DATABASE_URL") and given.has("DIRECT_URL"):
        first, second = (urlsplit(given.values[name]).path for name in _DATABASES)
        if first != second:
            yield given.problem(
                "DIRECT_URL", "names another database than DATABASE_URL", "write the same one in both"
            )


def _migration_url(given: Given) -> Iterator[Problem]:
    if "?" in given.values.get("CLICKHOUSE_MIGRATION_URL", ""):
        # packages/shared/clickhouse/scripts/up.sh adds `?username=...` to it as it stands.
        yield given.problem(
            "CLICKHOUSE_MIGRATION_URL", "has a query, and the migrations append their own",
            "end it after the port; CLICKHOUSE_USER, _DB and _MIGRATION_SSL say the rest",
        )  # fmt: skip


def _buckets_differ(given: Given) -> Iterator[Problem]:
    names = [given.values.get(name, "") for name in _BUCKETS]
    for name, bucket in zip(_BUCKETS, names, strict=True):
        if bucket and names.count(bucket) > 1 and given.has(name):
            yield given.problem(
                name, f"{bucket} serves twice: what expires in one would be deleted in the other",
                "give each its own bucket",
            )  # fmt: skip


def _public_authority(given: Given) -> Iterator[Problem]:
    if "tls" not in split_list(given.values.get("STACK_PROFILES", "")):
        return
    if given.values.get("TLS_ISSUER") != "acme":
        return
    domains = ["TLS_DOMAIN", *(["S3_DOMAIN"] if "s3" in compose_profiles(given.values) else [])]
    for name in domains:
        if given.values.get(name, "").endswith(".localhost"):
            yield given.problem(
                name, "no public authority signs a name that ends in .localhost", "set the host name in DNS"
            )


def _status_pages(given: Given) -> Iterator[Problem]:
    lacking = [one for one in ("tls", "monitoring") if one not in compose_profiles(given.values)]
    if given.values.get("STATUS_PAGES") == "on" and lacking:
        yield given.problem(
            "STATUS_PAGES",
            f"shows what the profile monitoring brings, over HTTPS; {' and '.join(lacking)} "
            f"{'is' if len(lacking) == 1 else 'are'} off",
            f"add {','.join(lacking)} to STACK_PROFILES, or set it to off",
        )


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_local(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_RULES: tuple[Callable[[Given], Iterator[Problem]], ...] = (
    _ports_differ,
    _urls_have_no_path,
    _urls_have_no_user,
    _needed,
    _only_external,
    _one_redis,
    _reachable_stores,
    _database_tls,
    _one_database,
    _migration_url,
    _buckets_differ,
    _public_authority,
    _status_pages,
)
