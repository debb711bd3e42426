"""The configuration of the exporter, from its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scripts.core.heartbeats import heartbeats_dir
from scripts.engines.context import Context
from scripts.settings.values import Settings
from scripts.watch.alerts.paths import alerts_file

STORE_SETTINGS = ("DATABASE_URL", "CLICKHOUSE_URL", "S3_ENDPOINT", "ADMIN_API_KEY")
"""With these the stores of a stack are reached over its network."""
_OF_STORES = ("DATABASE_URL", "CLICKHOUSE_", "S3_", "ADMIN_API_KEY")


@dataclass(frozen=True, slots=True)
class ExporterConfig:
    """The settings of one exporter.

    Attributes:
        base_url: of the server, as seen from here; no slash at the end.
        public_url: where people reach it; its certificate is watched when it is `https`.
        host, port: to listen on; port 0 takes a free one.
        certificate_port: where it is shown to the exporter; 0: the port of the URL.
        known_authority: whether it must come from an authority that everybody knows.
        expected_version: of the server, as it is set.
        interval_s: seconds between two readings of the metrics of a project.
        max_groups: how many groups of one series are exported, the largest first.
        parallel: how many requests run at once.
        timeout_s: for one request.
        canary_project: where the canary writes; empty: the first project.
        canary_interval_s: seconds between two runs of the canary; 0 turns it off.
        canary_deadline_s: after which what was acknowledged counts as not readable.
        canary_slow_s: above which a run counts as slow.
        reconcile_s: seconds between two looks for what is missing; 0 turns it off.
        stores: the settings that lead to the stores; empty where they cannot be reached from here.
    """

    base_url: str
    public_url: str
    alerts_path: Path
    credentials_dir: Path
    heartbeats_dir: Path
    admin_api_key: str = field(default="", repr=False)
    certificate_port: int = 0
    known_authority: bool = True
    expected_version: str = ""
    host: str = "127.0.0.1"
    port: int = 9464
    interval_s: float = 60
    max_groups: int = 20
    parallel: int = 4
    timeout_s: float = 15
    canary_project: str = ""
    canary_interval_s: float = 30
    canary_deadline_s: float = 20
    canary_slow_s: float = 10
    reconcile_s: float = 0
    stores: Settings | None = field(default=None, repr=False)

    @property
    def stale_s(self) -> float:
        """After how many seconds a reading is no longer shown: three missed ones, or a slow one."""
        return 3 * self.interval_s + self.timeout_s


def exporter_config(context: Context) -> ExporterConfig:
    """Return the configuration that the settings make."""
    settings = context.lenient_settings()
    return ExporterConfig(
        base_url=(settings.get("EXPORTER_LANGFUSE_URL") or context.current_engine(settings).local_url).rstrip(
            "/"
        ),
        public_url=settings.get("NEXTAUTH_URL"),
        alerts_path=alerts_file(context),
        credentials_dir=context.layout.credentials_dir,
        heartbeats_dir=heartbeats_dir(context.layout),
        admin_api_key=settings.get("ADMIN_API_KEY"),
        certificate_port=int(settings.get("EXPORTER_CERTIFICATE_PORT") or 0),
        known_authority=settings.get("TLS_ISSUER") == "acme",
        expected_version=settings.get("LANGFUSE_VERSION"),
        host=settings.get("EXPORTER_BIND_ADDRESS"),
        port=int(settings.get("EXPORTER_PORT")),
        interval_s=float(settings.get("EXPORTER_INTERVAL_S")),
        max_groups=int(settings.get("EXPORTER_MAX_GROUPS")),
        canary_project=settings.get("CANARY_PROJECT"),
        canary_interval_s=float(settings.get("CANARY_INTERVAL_S")),
        canary_deadline_s=float(settings.get("CANARY_DEADLINE_S")),
        canary_slow_s=float(settings.get("CANARY_SLOW_S")),
        reconcile_s=float(settings.get("EXPORTER_RECONCILE_S")),
        # compose.yaml names them all; a stack's own are reached over Docker only.
        stores=_stores(settings, context.environment),
    )


def _stores(settings: Settings, environment: Mapping[str, str]) -> Settings | None:
    """Return the settings that lead to the stores, or None where the environment names no stores.

    In a container they stand in the environment as Langfuse has them, passwords and all.
    """
    if not all(map(environment.get, STORE_SETTINGS)):
        return None
    given = {name: value for name, value in environment.items() if name.startswith(_OF_STORES)}
    return Settings({**settings.values, **given})
