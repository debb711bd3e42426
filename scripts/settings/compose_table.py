"""Settings that only the compose engine reads: HTTPS, stores, mail, login, network, logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .kinds import (
    ACCESS_KEY,
    BOOLEAN,
    BUCKET,
    DOMAIN,
    DURATION,
    EMAIL,
    IDENTIFIER,
    IP_ADDRESS,
    PORT,
    choice,
    hex_secret,
    integer,
    random_hex,
    text,
    url,
)
from .model import Computed, Group, Reader, SetBy, Setting, follows
from .profiles import split_list

ENGINES = (Reader.COMPOSE, Reader.EMBEDDED)
COMPOSE_AND_SCRIPTS = (Reader.COMPOSE, Reader.SCRIPTS)


def _https_url(domain: str, otherwise: str) -> Computed:
    """Return a default that is `https://` with the setting `domain` while the profile tls is on."""

    def compute(values: Mapping[str, str]) -> str:
        if "tls" in split_list(values.get("STACK_PROFILES", "")):
            port = "" if values["HTTPS_PORT"] == "443" else f":{values['HTTPS_PORT']}"
            return f"https://{values[domain]}{port}"
        text = otherwise
        for name, value in values.items():
            text = text.replace(f"${{{name}}}", value)
        return text

    return Computed(otherwise, compute)


def _status_page(path: str) -> Computed:
    """Return a default that is a page of STATUS_DOMAIN while these pages are on."""

    def compute(values: Mapping[str, str]) -> str:
        if values["STATUS_PAGES"] == "off":
            return ""
        port = "" if values["HTTPS_PORT"] == "443" else f":{values['HTTPS_PORT']}"
        return f"https://{values['STATUS_DOMAIN']}{port}{path}"

    return Computed("", compute)


def _statsd_receiver(values: Mapping[str, str]) -> str:
    return "statsd-exporter" if "monitoring" in split_list(values.get("STACK_PROFILES", "")) else ""


NEXTAUTH_URL_DEFAULT = _https_url("TLS_DOMAIN", "http://localhost:${LANGFUSE_PORT}")

HTTPS = Group(
    "HTTPS (compose engine, profile tls)",
    (
        Setting(
            name="TLS_DOMAIN",
            description="Host name of the user interface and the API.",
            kind=DOMAIN,
            default="langfuse.localhost",
        ),
        Setting(
            name="S3_DOMAIN",
            description="Host name of the object store: browsers and SDKs send and fetch media there.",
            kind=DOMAIN,
            default="s3.localhost",
        ),
        Setting(
            name="TLS_ISSUER",
            description="Who signs the certificates: `internal` is an authority of Caddy's own, whose root "
            "your machines have to trust (make trust); `acme` is a public one, which must reach this host; "
            "`acme-private` is one in your network; `own` takes your files. See docs/reference/tls.md.",
            kind=choice("internal", "acme", "acme-private", "own"),
            default="internal",
        ),
        Setting(
            name="ACME_DIRECTORY",
            description="Directory of the authority, for TLS_ISSUER=acme and acme-private.",
            kind=url("https"),
            default="https://acme-v02.api.letsencrypt.org/directory",
        ),
        Setting(
            name="ACME_EMAIL",
            description="Address that the authority warns, for TLS_ISSUER=acme and acme-private.",
            kind=EMAIL,
        ),
        Setting(
            name="TLS_BIND_ADDRESS",
            description="Address that the HTTPS port listens on; 0.0.0.0 opens it to other machines.",
            kind=IP_ADDRESS,
            default="127.0.0.1",
        ),
        Setting(name="HTTPS_PORT", description="Port of HTTPS.", kind=PORT, default="443"),
        Setting(
            name="HTTP_PORT",
            description="Port that redirects to HTTPS and answers Let's Encrypt.",
            kind=PORT,
            default="80",
        ),
        Setting(
            name="STATUS_PAGES",
            description="Whether Prometheus and Alertmanager (profile monitoring) are shown "
            "over HTTPS, behind a "
            "password.",
            kind=choice("on", "off"),
            default="off",
        ),
        Setting(
            name="STATUS_DOMAIN",
            description="Host name of these pages.",
            kind=DOMAIN,
            default="status.localhost",
        ),
        *(
            Setting(
                name=f"{program.upper()}_URL",
                description=f"Where people find {program}: alerts link there. "
                "While STATUS_PAGES is on, it follows STATUS_DOMAIN.",
                kind=url("http", "https"),
                default=_status_page(f"/{program.lower()}/"),
            )
            for program in ("Prometheus", "Alertmanager")
        ),
        Setting(name="STATUS_USER", description="Their user.", kind=IDENTIFIER, default="admin"),
        Setting(
            name="STATUS_PASSWORD",
            description="Their password.",
            kind=hex_secret(12),
            generate=random_hex(12),
            set_by=SetBy.GENERATED,
            secret=True,
        ),
    ),
)

OBJECT_STORE = Group(
    "Object store (compose engine)",
    (
        Setting(
            name="S3_ENDPOINT",
            description="URL of an external S3 store, as web and worker reach it. "
            "Replaces the bundled SeaweedFS; its three buckets must exist.",
            kind=url("http", "https"),
            set_by=SetBy.FILE,
            used_by=COMPOSE_AND_SCRIPTS,
        ),
        Setting(
            name="S3_PUBLIC_ENDPOINT",
            description="URL of the object store in signed links, as browsers and SDKs reach it. "
            "Browsers load media from https or from http://localhost only. "
            "With the profile tls it follows S3_DOMAIN.",
            kind=url("http", "https"),
            default=_https_url("S3_DOMAIN", "http://localhost:${S3_PORT}"),
            used_by=COMPOSE_AND_SCRIPTS,
        ),
        Setting(name="S3_REGION", description="Region of the store.", kind=IDENTIFIER, default="us-east-1"),
        Setting(
            name="S3_FORCE_PATH_STYLE",
            description="Whether the bucket is in the path, not in the host name. false for AWS.",
            kind=BOOLEAN,
            default="true",
        ),
        Setting(
            name="S3_ACCESS_KEY_ID",
            description="Access key of the object store, for all three buckets.",
            kind=ACCESS_KEY,
            generate=random_hex(10),
            set_by=SetBy.GENERATED,
            secret=True,
        ),
        Setting(
            name="S3_SECRET_ACCESS_KEY",
            description="Secret key of the object store.",
            kind=ACCESS_KEY,
            generate=random_hex(20),
            set_by=SetBy.GENERATED,
            secret=True,
        ),
        Setting(
            name="S3_INTERNAL_KEY",
            description="Signs what the parts of the bundled SeaweedFS tell each other; nobody else uses it.",
            kind=hex_secret(32),
            generate=random_hex(32),
            set_by=SetBy.GENERATED,
            secret=True,
        ),
        Setting(
            name="S3_EVENTS_BUCKET",
            description="Bucket of everything that came in, from which lost traces are replayed.",
            kind=BUCKET,
            default="langfuse-events",
        ),
        Setting(
            name="S3_MEDIA_BUCKET", description="Bucket of media.", kind=BUCKET, default="langfuse-media"
        ),
        Setting(
            name="S3_EXPORTS_BUCKET",
            description="Bucket of exports that people download.",
            kind=BUCKET,
            default="langfuse-exports",
        ),
        Setting(
            name="S3_EVENTS_EXPIRE_DAYS",
            description="After how many days an object of the events bucket is deleted; 0 keeps it forever. "
            "For the bundled store; nothing older can be replayed.",
            kind=integer(0, 3650),
            unit="days",
            default="30",
        ),
    ),
)

EXTERNAL_STORES = Group(
    "External databases (compose engine)",
    (
        Setting(
            name="DATABASE_URL",
            description="External PostgreSQL, credentials percent-encoded. Replaces the bundled one.",
            kind=url("postgresql", "postgres"),
            set_by=SetBy.FILE,
            secret=True,
        ),
        Setting(
            name="DIRECT_URL",
            description="The same database past its connection pooler, for migrations.",
            kind=url("postgresql", "postgres"),
            set_by=SetBy.FILE,
            secret=True,
        ),
        Setting(
            name="CLICKHOUSE_URL",
            description="HTTP interface of an external ClickHouse (25.12 or later). "
            "Replaces the bundled one.",
            kind=url("http", "https"),
            set_by=SetBy.FILE,
        ),
        Setting(
            name="CLICKHOUSE_MIGRATION_URL",
            description="Its native interface.",
            kind=url("clickhouse"),
            set_by=SetBy.FILE,
        ),
        Setting(
            name="CLICKHOUSE_MIGRATION_SSL",
            description="Whether the native interface speaks TLS.",
            kind=BOOLEAN,
            default="false",
        ),
        Setting(
            name="CLICKHOUSE_USER",
            description="Its user. The bundled ClickHouse knows `langfuse` for the server.",
            kind=IDENTIFIER,
            default="langfuse",
            set_by=SetBy.FILE,
        ),
        Setting(
            name="CLICKHOUSE_DB",
            description="Its database.",
            kind=IDENTIFIER,
            default="default",
            set_by=SetBy.FILE,
        ),
        Setting(
            name="CLICKHOUSE_CLUSTER_ENABLED",
            description="Whether it is a cluster named `default` (one shard).",
            kind=BOOLEAN,
            default="false",
        ),
        Setting(
            name="REDIS_HOST",
            description="External Valkey or Redis 7, with `maxmemory-policy noeviction` and AOF. "
            "Replaces the bundled one.",
            set_by=SetBy.FILE,
        ),
        Setting(name="REDIS_PORT", description="Its port.", kind=PORT, default="6379", set_by=SetBy.FILE),
        Setting(name="REDIS_USERNAME", description="Its user.", kind=IDENTIFIER, set_by=SetBy.FILE),
        Setting(
            name="REDIS_CONNECTION_STRING",
            description="All of that in one URL instead.",
            kind=url("redis", "rediss"),
            set_by=SetBy.FILE,
            secret=True,
        ),
        Setting(
            name="REDIS_TLS_ENABLED",
            description="Whether it speaks TLS.",
            kind=BOOLEAN,
            default="false",
        ),
    ),
)


def _login_provider(provider: str, shown: str, place: str) -> Iterator[Setting]:
    """Yield the settings of a login provider; `place` is how Langfuse calls its address, or empty."""
    readers = ENGINES if provider == "CUSTOM" else (Reader.COMPOSE,)
    if place:
        kind = url("https", "http") if place == "ISSUER" else IDENTIFIER
        yield Setting(
            name=f"AUTH_{provider}_{place}", description=f"{shown}: where it is.", kind=kind, used_by=readers
        )
    yield Setting(name=f"AUTH_{provider}_CLIENT_ID", description=f"{shown}: client id.", used_by=readers)
    yield Setting(
        name=f"AUTH_{provider}_CLIENT_SECRET",
        description=f"{shown}: client secret.",
        kind=text("secret, >= 8 characters", min_length=8),
        secret=True,
        used_by=readers,
    )


MAIL_AND_LOGIN = Group(
    "Mail and login",
    (
        Setting(
            name="EMAIL_FROM_ADDRESS",
            description="Sender of invitations and password resets; needs SMTP_CONNECTION_URL too.",
            kind=EMAIL,
        ),
        Setting(
            name="SMTP_CONNECTION_URL",
            description="Mail server, credentials percent-encoded.",
            kind=url("smtp", "smtps", "ses"),
            secret=True,
        ),
        Setting(
            name="LANGFUSE_DEFAULT_ORG_ID",
            description="Organization that every new user joins.",
            kind=IDENTIFIER,
            used_by=ENGINES,
        ),
        Setting(
            name="LANGFUSE_DEFAULT_ORG_ROLE",
            description="With which role.",
            kind=choice("OWNER", "ADMIN", "MEMBER", "VIEWER", "NONE"),
            used_by=ENGINES,
        ),
        Setting(
            name="AUTH_DISABLE_USERNAME_PASSWORD",
            description="Whether only single sign-on is offered.",
            kind=BOOLEAN,
            used_by=ENGINES,
        ),
        Setting(
            name="AUTH_DOMAINS_WITH_SSO_ENFORCEMENT",
            description="E-mail domains that must use single sign-on, separated by commas.",
            used_by=ENGINES,
        ),
        Setting(
            name="AUTH_SESSION_MAX_AGE",
            description="How long a login lasts.",
            kind=integer(5, 525_600),
            unit="minutes",
        ),
        Setting(
            name="AUTH_CUSTOM_NAME",
            description="OpenID Connect: what the button says; without it there is none.",
            used_by=ENGINES,
        ),
        Setting(name="AUTH_CUSTOM_SCOPE", description="OpenID Connect: scopes to ask for.", used_by=ENGINES),
        Setting(
            name="AUTH_CUSTOM_ALLOW_ACCOUNT_LINKING",
            description="OpenID Connect: whether a login joins the account that has the same e-mail address.",
            kind=BOOLEAN,
            used_by=ENGINES,
        ),
        *(
            setting
            for provider, shown, place in (
                ("CUSTOM", "OpenID Connect", "ISSUER"),
                ("GOOGLE", "Google", ""),
                ("GITHUB", "GitHub", ""),
                ("GITLAB", "GitLab", "ISSUER"),
                ("AZURE_AD", "Microsoft Entra ID", "TENANT_ID"),
                ("OKTA", "Okta", "ISSUER"),
                ("KEYCLOAK", "Keycloak", "ISSUER"),
            )
            for setting in _login_provider(provider, shown, place)
        ),
    ),
)


def _allow_list(target: str, shown: str) -> Iterator[Setting]:
    """Yield the settings that let the server call private addresses, which it refuses by default."""
    for ending, what in (("HOST", "host names"), ("IPS", "IP addresses"), ("IP_SEGMENTS", "networks (CIDR)")):
        name = f"LANGFUSE_{target}_WHITELISTED_{ending}"
        description = f"Private {what} that the server may call for {shown}; separated by commas."
        # The embedded engine calls models alone.
        both = (Reader.COMPOSE, Reader.EMBEDDED)
        readers = both if target == "LLM_CONNECTION" else (Reader.COMPOSE,)
        yield Setting(name=name, description=description, used_by=readers)


NETWORK = Group(
    "Calls to other machines (compose engine)",
    (
        *(
            setting
            for target, shown in (
                ("LLM_CONNECTION", "models, such as Ollama, vLLM or LiteLLM"),
                ("WEBHOOK", "webhooks (ports 80 and 443 only)"),
                ("BLOB_STORAGE_ENDPOINT", "stores that data is exported to"),
                ("SSO_DISCOVERY", "login providers"),
            )
            for setting in _allow_list(target, shown)
        ),
        Setting(
            name="OUTBOUND_CALLS",
            description="Whether containers reach other machines. false cuts off everything that "
            "docs/reference/outbound.md lists, also models, mail and login "
            "providers. To change it: make down, "
            "then make up.",
            kind=BOOLEAN,
            default="true",
        ),
        Setting(
            name="PRIVATE_CA",
            description="Name of a file in config/private-ca/ with certificates (PEM) of "
            "authorities that web and "
            "worker trust besides the public ones.",
            kind=IDENTIFIER,
            default="none.pem",
        ),
        Setting(
            name="AUTH_HTTP_PROXY",
            description="Proxy for calls to login providers over HTTP.",
            kind=url("http", "https"),
        ),
        Setting(
            name="AUTH_HTTPS_PROXY",
            description="Proxy for calls to login providers over HTTPS.",
            kind=url("http", "https"),
        ),
        Setting(
            name="OUTBOUND_HTTPS_PROXY",
            description="Proxy for calls of web and worker to models. Proxies of the Docker client reach no "
            "container of the stack.",
            kind=url("http", "https"),
        ),
        Setting(
            name="OUTBOUND_NO_PROXY",
            description="Hosts that they call without that proxy, separated by commas: names, addresses, "
            "or endings such as `.acme.example`.",
        ),
    ),
)

OBSERVATION = Group(
    "Logs and monitoring (compose engine)",
    (
        Setting(
            name="LANGFUSE_LOG_LEVEL",
            description="How much web and worker log.",
            kind=choice("trace", "debug", "info", "warn", "error", "fatal"),
            default="info",
        ),
        Setting(
            name="LANGFUSE_LOG_FORMAT",
            description="In which form.",
            kind=choice("text", "json"),
            default="text",
        ),
        Setting(
            name="DD_AGENT_HOST",
            description="Who receives the worker's DogStatsD metrics on port 8125. "
            "The profile monitoring brings a receiver.",
            default=Computed("", _statsd_receiver),
        ),
        Setting(
            name="GRAFANA_PORT",
            description="Port of the dashboards (profile monitoring).",
            kind=PORT,
            default="3001",
        ),
        Setting(
            name="GRAFANA_BIND_ADDRESS",
            description="Address that they listen on; 0.0.0.0 opens them to other machines.",
            kind=IP_ADDRESS,
            default="127.0.0.1",
        ),
        Setting(
            name="GRAFANA_URL",
            description="Where people reach the dashboards.",
            kind=url("http", "https"),
            default=follows("http://localhost:${GRAFANA_PORT}"),
        ),
        Setting(
            name="GRAFANA_ADMIN_PASSWORD",
            description="Password of the user `admin` of Grafana, as of its first start.",
            kind=text(min_length=12),
            generate=random_hex(16),
            set_by=SetBy.GENERATED,
            secret=True,
        ),
        Setting(
            name="PROMETHEUS_RETENTION",
            description="How long Prometheus keeps what it measured.",
            kind=DURATION,
            default="30d",
        ),
    ),
)
