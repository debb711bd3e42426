"""The table of all settings. To add one, add a `Setting(...)` block to a group and run `make docs`."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.core.host import unprivileged_user

from .backup_table import BACKUPS
from .compose_table import (
    EXTERNAL_STORES,
    HTTPS,
    MAIL_AND_LOGIN,
    NETWORK,
    NEXTAUTH_URL_DEFAULT,
    OBJECT_STORE,
    OBSERVATION,
)
from .kinds import (
    AMOUNT,
    BOOLEAN,
    EMAIL,
    IDENTIFIER,
    IP_ADDRESS,
    OWN_SECRET,
    PASSWORD,
    PORT,
    PROJECT_NAME,
    TEXT,
    URL_SAFE_SECRET,
    USER_AND_GROUP,
    VERSION,
    choice,
    choices,
    hex_secret,
    integer,
    random_hex,
    url,
)
from .model import Computed, Group, Reader, SetBy, Setting
from .operations_table import OPERATIONS
from .profiles import EXTRAS
from .sizes_table import SIZES

COMPOSE = (Reader.COMPOSE,)
SCRIPTS = (Reader.SCRIPTS,)
EMBEDDED = (Reader.EMBEDDED,)
ENGINES = (Reader.COMPOSE, Reader.EMBEDDED)
EVERYONE = (Reader.COMPOSE, Reader.EMBEDDED, Reader.SCRIPTS)

_STACK = Group(
    "The stack",
    (
        Setting(
            name="ENGINE",
            description="What runs behind the API. Empty: `compose` where a Docker engine answers and the "
            "images are there or can be pulled, else `embedded`. Set: a missing engine or image is an error.",
            kind=choice("compose", "embedded"),
            used_by=SCRIPTS,
        ),
        Setting(
            name="COMPOSE_PROJECT_NAME",
            description="Name of the stack: prefix of its containers, networks and volumes. "
            "Give each stack on one host its own.",
            kind=PROJECT_NAME,
            default="langfuse-stack",
            used_by=(Reader.COMPOSE, Reader.SCRIPTS),
        ),
        Setting(
            name="STACK_SIZE",
            description="Which file of `config/sizes/` sets memory limits and concurrency.",
            kind=choice("ci", "small", "medium", "large"),
            default="small",
            used_by=(Reader.COMPOSE, Reader.SCRIPTS),
        ),
        Setting(
            name="STACK_PROFILES",
            description="What else runs beside Langfuse and its stores.",
            kind=choices(*EXTRAS),
            used_by=(Reader.COMPOSE, Reader.SCRIPTS),
        ),
        Setting(
            name="COMPOSE_PROFILES",
            description="STACK_PROFILES and the bundled stores that no external one replaces.",
            set_by=SetBy.DERIVED,
        ),
        Setting(
            name="LANGFUSE_VERSION",
            description="Tag of the Langfuse web and worker images. Python SDK 5 needs 4.59.0 or later.",
            kind=VERSION,
            default="4.59.0",
        ),
        Setting(
            name="WORKER_REPLICAS",
            description="How many workers run side by side. Each has the limits of the size.",
            kind=integer(1, 32),
            default="1",
        ),
        Setting(
            name="STACK_DIR",
            description="Where credentials, logs and the data of the embedded engine are, relative to the "
            "repository. Read from the environment only.",
            default=".stack",
            set_by=SetBy.ENVIRONMENT,
            used_by=(Reader.COMPOSE, Reader.SCRIPTS),
        ),
        Setting(
            name="ALERTS_FILE",
            description="What is watched: config/local/alerts.yaml, or else config/alerts.yaml.",
            set_by=SetBy.DERIVED,
            used_by=(Reader.COMPOSE,),
        ),
        Setting(
            name="ALERT_RULES_DIR",
            description="Where Prometheus reads what is compiled from ALERTS_FILE.",
            set_by=SetBy.DERIVED,
            used_by=(Reader.COMPOSE,),
        ),
        Setting(
            name="ALERTMANAGER_DIR",
            description="Where Alertmanager reads what is compiled from ALERTS_FILE.",
            set_by=SetBy.DERIVED,
            used_by=(Reader.COMPOSE,),
        ),
        Setting(
            name="GRAFANA_DASHBOARDS_DIR",
            description="What Grafana shows: grafana/dashboards of config/local, or else of config.",
            set_by=SetBy.DERIVED,
            used_by=(Reader.COMPOSE,),
        ),
    ),
)

_ACCESS = Group(
    "Addresses and ports",
    (
        Setting(
            name="LANGFUSE_BIND_ADDRESS",
            description="Address that the published ports listen on. Put a TLS proxy in front before "
            "you open it to other machines.",
            kind=IP_ADDRESS,
            default="127.0.0.1",
            used_by=EVERYONE,
        ),
        Setting(
            name="LANGFUSE_PORT",
            description="Port of the user interface and the API.",
            kind=PORT,
            default="3000",
            used_by=EVERYONE,
        ),
        Setting(
            name="S3_PORT",
            description="Port of the object store: browsers and SDKs send and fetch media there.",
            kind=PORT,
            default="9090",
            used_by=(Reader.COMPOSE, Reader.SCRIPTS),
        ),
        Setting(
            name="NEXTAUTH_URL",
            description="The URL that people and SDKs use, with scheme and without a slash at the end. "
            "It decides links and whether cookies need HTTPS. With the profile tls it follows TLS_DOMAIN.",
            kind=url("http", "https"),
            default=NEXTAUTH_URL_DEFAULT,
            used_by=EVERYONE,
        ),
        Setting(
            name="NEXTAUTH_COOKIE_NAME_SUFFIX",
            description="Keeps the logins of several stacks on one host name apart.",
            kind=IDENTIFIER,
        ),
    ),
)

_SECRETS = Group(
    "Secrets of Langfuse",
    (
        Setting(
            name="NEXTAUTH_SECRET",
            description="Signs login sessions; a new value signs everybody out.",
            kind=OWN_SECRET,
            generate=random_hex(32),
            set_by=SetBy.GENERATED,
            secret=True,
            used_by=ENGINES,
        ),
        Setting(
            name="SALT",
            description="Part of the fast hash of every API key. After a change the first call with each key "
            "is slower, and makes its hash anew.",
            kind=OWN_SECRET,
            generate=random_hex(32),
            set_by=SetBy.GENERATED,
            secret=True,
            used_by=ENGINES,
        ),
        Setting(
            name="ENCRYPTION_KEY",
            description="Encrypts stored LLM keys and webhook secrets. It cannot be changed once data "
            "exists: keep a copy with your backups.",
            kind=hex_secret(32, exact=True),
            generate=random_hex(32),
            set_by=SetBy.GENERATED,
            secret=True,
            used_by=ENGINES,
        ),
        Setting(
            name="ADMIN_API_KEY",
            description="Bearer key of the admin routes: queue depths, replay, key cache.",
            kind=hex_secret(16),
            generate=random_hex(32),
            set_by=SetBy.GENERATED,
            secret=True,
            used_by=EVERYONE,
        ),
    ),
)

_STORES = Group(
    "Stores (compose engine)",
    (
        Setting(
            name="POSTGRES_PASSWORD",
            description="Password of PostgreSQL's administrator `langfuse`.",
            kind=hex_secret(16),
            generate=random_hex(24),
            set_by=SetBy.GENERATED,
            secret=True,
        ),
        Setting(
            name="POSTGRES_APP_PASSWORD",
            description="Password of `langfuse_app`, as which web and worker use PostgreSQL.",
            kind=hex_secret(16),
            generate=random_hex(24),
            set_by=SetBy.GENERATED,
            secret=True,
        ),
        Setting(
            name="POSTGRES_BACKUP_PASSWORD",
            description="Password of `langfuse_backup`, which reads everything for backups.",
            kind=hex_secret(16),
            generate=random_hex(24),
            set_by=SetBy.GENERATED,
            secret=True,
        ),
        Setting(
            name="CLICKHOUSE_PASSWORD",
            description="Password of ClickHouse. Migrations put it into a URL as it is.",
            kind=URL_SAFE_SECRET,
            generate=random_hex(24),
            set_by=SetBy.GENERATED,
            secret=True,
        ),
        Setting(
            name="REDIS_AUTH",
            description="Password of Valkey.",
            kind=URL_SAFE_SECRET,
            generate=random_hex(24),
            set_by=SetBy.GENERATED,
            secret=True,
        ),
    ),
)

_SERVER = Group(
    "Behaviour of the server",
    (
        Setting(
            name="LANGFUSE_MIGRATION_V4_WRITE_MODE",
            description="`events_only` is Langfuse v4 as it is installed today; `dual` also answers the "
            "legacy read routes.",
            kind=choice("events_only", "dual"),
            default="events_only",
            used_by=ENGINES,
        ),
        Setting(
            name="AUTH_DISABLE_SIGNUP",
            description="Whether nobody can make an account, not even who was invited or comes from a login "
            "provider (docs/how-to/rotate.md, Add a user). Accounts that exist sign in either way.",
            kind=BOOLEAN,
            default="true",
            used_by=ENGINES,
        ),
        Setting(
            name="TELEMETRY_ENABLED",
            description="Whether the server reports anonymous usage to Langfuse.",
            kind=BOOLEAN,
            default="false",
        ),
    ),
)

_EMBEDDED = Group(
    "Embedded engine",
    (
        Setting(
            name="EMBEDDED_MAX_OTLP_BYTES",
            description="Largest body of one trace export, also after decompression.",
            kind=integer(1024, 2**31),
            unit="bytes",
            default=str(64 * 2**20),
            used_by=EMBEDDED,
        ),
        Setting(
            name="INGEST_LAG_MS",
            description="Artificial time between the answer to a trace export and its visibility, to try "
            "out code that must wait as it must with a real server.",
            kind=integer(0, 600_000),
            unit="ms",
            default="0",
            used_by=EMBEDDED,
        ),
        Setting(
            name="EMBEDDED_FAULTS",
            description="Faults on purpose, to see how clients take them, such as "
            "`503:0.1,slow:0.05:250ms,429:x3:2s@/api/public/otel`: see docs/how-to/test-against-faults.md. "
            "`none` only lets `PUT /api/embedded/faults` set them while the engine runs.",
            kind=TEXT,
            used_by=EMBEDDED,
        ),
        Setting(
            name="EMBEDDED_TRUSTED_PROXIES",
            description="Addresses or networks of proxies, separated by commas, whose `X-Forwarded-For` and "
            "`X-Forwarded-Proto` are believed; empty: nobody's.",
            used_by=EMBEDDED,
        ),
        Setting(
            name="EMBEDDED_ACCESS_LOG",
            description="Which requests `make logs` shows: those that were refused (400 and above), all, or "
            "none.",
            kind=choice("errors", "all", "off"),
            default="errors",
            used_by=EMBEDDED,
        ),
        Setting(
            name="EMBEDDED_ALLOW_RESET",
            description="Whether `POST /api/embedded/reset` deletes all that the project of the key holds.",
            kind=BOOLEAN,
            default="false",
            used_by=EMBEDDED,
        ),
        Setting(
            name="EMBEDDED_JUDGE_BUDGET_USD",
            description="What the judges of a project may spend on a day (UTC), such as 2.50; 0: no limit.",
            kind=AMOUNT,
            unit="USD",
            default="0",
            used_by=EMBEDDED,
        ),
        Setting(
            name="LANGFUSE_S3_MEDIA_MAX_CONTENT_LENGTH",
            description="Largest media file.",
            kind=integer(1024, 2**40),
            unit="bytes",
            default="1000000000",
            used_by=EMBEDDED,
        ),
        Setting(
            name="LANGFUSE_S3_MEDIA_DOWNLOAD_URL_EXPIRY_SECONDS",
            description="How long a download URL of media works.",
            kind=integer(1, 604_800),
            unit="s",
            default="3600",
            used_by=EMBEDDED,
        ),
        Setting(
            name="EMBEDDED_COMPAT",
            description="Server version to imitate strictly, such as 4.16.0, which refuses the scores of "
            "Python SDK 5. Empty: the newest.",
            kind=VERSION,
            used_by=EMBEDDED,
        ),
    ),
)


def _exporter_user(_values: Mapping[str, str]) -> str:
    user, group = unprivileged_user()
    return f"{user}:{group}"


def _clickhouse_reader(values: Mapping[str, str]) -> str:
    return values["CLICKHOUSE_USER"] if values.get("CLICKHOUSE_URL") else "langfuse_monitor"


def _clickhouse_reader_password(values: Mapping[str, str]) -> str:
    return values.get("CLICKHOUSE_PASSWORD" if values.get("CLICKHOUSE_URL") else "MONITOR_PASSWORD", "")


_MONITORING = Group(
    "Monitoring",
    (
        Setting(
            name="MONITOR_PASSWORD",
            description="Password of `langfuse_monitor`, which reads statistics of PostgreSQL and Valkey, "
            "tables of ClickHouse and metrics of Grafana.",
            kind=hex_secret(16),
            generate=random_hex(24),
            set_by=SetBy.GENERATED,
            secret=True,
        ),
        Setting(
            name="CLICKHOUSE_READER_USER",
            description="User with which the exporter reads ClickHouse. Of an external ClickHouse, one that "
            "has SELECT and OPTIMIZE on CLICKHOUSE_DB is enough.",
            kind=IDENTIFIER,
            default=Computed("langfuse_monitor; with CLICKHOUSE_URL ${CLICKHOUSE_USER}", _clickhouse_reader),
            set_by=SetBy.FILE,
        ),
        Setting(
            name="CLICKHOUSE_READER_PASSWORD",
            description="Its password.",
            kind=PASSWORD,
            default=Computed(
                "${MONITOR_PASSWORD}; with CLICKHOUSE_URL ${CLICKHOUSE_PASSWORD}", _clickhouse_reader_password
            ),
            set_by=SetBy.FILE,
            secret=True,
        ),
        Setting(
            name="EXPORTER_BIND_ADDRESS",
            description="Address that the exporter listens on when it runs outside of a container.",
            kind=IP_ADDRESS,
            default="127.0.0.1",
            used_by=SCRIPTS,
        ),
        Setting(
            name="EXPORTER_PORT",
            description="Port of the exporter: `/metrics`, `/summary`, `/health`.",
            kind=PORT,
            default="9464",
            used_by=(Reader.COMPOSE, Reader.SCRIPTS),
        ),
        Setting(
            name="EXPORTER_LANGFUSE_URL",
            description="The server as the exporter sees it. Empty: the engine of this stack.",
            kind=url("http", "https"),
            used_by=(Reader.COMPOSE, Reader.SCRIPTS),
        ),
        Setting(
            name="EXPORTER_CERTIFICATE_PORT",
            description="Port at which the exporter looks at the certificate. Empty: that of NEXTAUTH_URL.",
            kind=PORT,
            used_by=SCRIPTS,
        ),
        Setting(
            name="EXPORTER_USER",
            description="User and group of the exporter's container. It reads the credentials, which only "
            "their owner can: who runs `make up`, or the user that `make up` gives "
            "them to when root runs it.",
            kind=USER_AND_GROUP,
            default=Computed("yours (65532:65532 for root)", _exporter_user),
        ),
        Setting(
            name="EXPORTER_INTERVAL_S",
            description="Time between two readings of a project's metrics.",
            kind=integer(1, 3600),
            unit="s",
            default="60",
            used_by=(Reader.COMPOSE, Reader.SCRIPTS),
        ),
        Setting(
            name="EXPORTER_MAX_GROUPS",
            description="How many groups of one series are exported, the largest first: it bounds the number "
            "of time series.",
            kind=integer(1, 1000),
            default="20",
            used_by=(Reader.COMPOSE, Reader.SCRIPTS),
        ),
        Setting(
            name="EXPORTER_RECONCILE_S",
            description="Time between two looks for spans that were acknowledged and are not stored; what is "
            "lost is replayed. 0: never. Only where the exporter reaches the stores (compose).",
            kind=integer(0, 86400),
            unit="seconds",
            default="180",
            used_by=(Reader.COMPOSE, Reader.SCRIPTS),
        ),
        Setting(
            name="CANARY_PROJECT",
            description="Project that the canary writes to. Empty: the first one.",
            kind=IDENTIFIER,
            used_by=(Reader.COMPOSE, Reader.SCRIPTS),
        ),
        Setting(
            name="CANARY_INTERVAL_S",
            description="Time between two canaries; 0 turns the canary off.",
            kind=integer(0, 3600),
            unit="s",
            default="30",
            used_by=(Reader.COMPOSE, Reader.SCRIPTS),
        ),
        Setting(
            name="CANARY_DEADLINE_S",
            description="Time after which an acknowledged span or score that cannot be read counts as lost.",
            kind=integer(1, 600),
            unit="s",
            default="20",
            used_by=(Reader.COMPOSE, Reader.SCRIPTS),
        ),
        Setting(
            name="CANARY_SLOW_S",
            description="Time above which a canary that came through counts as slow.",
            kind=integer(1, 600),
            unit="s",
            default="10",
            used_by=(Reader.COMPOSE, Reader.SCRIPTS),
        ),
    ),
)

_INIT = Group(
    "First organization, project and login",
    (
        Setting(
            name="LANGFUSE_INIT_USER_PASSWORD",
            description="First password of the admin user named in config/stack.yaml. Later changes here "
            "have no effect: change it in the user interface.",
            kind=PASSWORD,
            generate=random_hex(12),
            set_by=SetBy.GENERATED,
            secret=True,
            used_by=EVERYONE,
        ),
        Setting(
            name="LANGFUSE_INIT_USER_EMAIL",
            description="`admin.email` of config/stack.yaml.",
            kind=EMAIL,
            set_by=SetBy.DERIVED,
            used_by=ENGINES,
        ),
        Setting(
            name="LANGFUSE_INIT_USER_NAME",
            description="`admin.name` of config/stack.yaml.",
            kind=TEXT,
            set_by=SetBy.DERIVED,
            used_by=ENGINES,
        ),
        Setting(
            name="LANGFUSE_INIT_ORG_ID",
            description="`organization.id` of config/stack.yaml.",
            kind=IDENTIFIER,
            set_by=SetBy.DERIVED,
            used_by=ENGINES,
        ),
        Setting(
            name="LANGFUSE_INIT_ORG_NAME",
            description="`organization.name` of config/stack.yaml.",
            kind=TEXT,
            set_by=SetBy.DERIVED,
            used_by=ENGINES,
        ),
        Setting(
            name="LANGFUSE_INIT_PROJECT_ID",
            description="`id` of the first project in config/stack.yaml.",
            kind=IDENTIFIER,
            set_by=SetBy.DERIVED,
            used_by=ENGINES,
        ),
        Setting(
            name="LANGFUSE_INIT_PROJECT_NAME",
            description="`name` of the first project in config/stack.yaml.",
            kind=TEXT,
            set_by=SetBy.DERIVED,
            used_by=ENGINES,
        ),
        Setting(
            name="LANGFUSE_INIT_PROJECT_PUBLIC_KEY",
            description="Public key of the first project, from .stack/credentials/.",
            kind=IDENTIFIER,
            set_by=SetBy.DERIVED,
            used_by=ENGINES,
        ),
        Setting(
            name="LANGFUSE_INIT_PROJECT_SECRET_KEY",
            description="Secret key of the first project, from .stack/credentials/.",
            kind=IDENTIFIER,
            set_by=SetBy.DERIVED,
            secret=True,
            used_by=ENGINES,
        ),
    ),
)

GROUPS: tuple[Group, ...] = (
    _STACK,
    HTTPS,
    _ACCESS,
    _SECRETS,
    _STORES,
    OBJECT_STORE,
    EXTERNAL_STORES,
    _SERVER,
    MAIL_AND_LOGIN,
    NETWORK,
    OBSERVATION,
    SIZES,
    _EMBEDDED,
    _MONITORING,
    BACKUPS,
    OPERATIONS,
    _INIT,
)
SETTINGS: tuple[Setting, ...] = tuple(setting for group in GROUPS for setting in group.settings)
