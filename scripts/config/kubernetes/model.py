"""What is rendered: the cluster's choices beside the settings that it shares with the compose stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.settings.values import Settings

CHART = "langfuse/langfuse"
CHART_VERSION = "2.0.0"
"""https://github.com/langfuse/langfuse-k8s; the names of its values changed with 2.0."""

SECRET = "langfuse-stack"  # noqa: S105 - a name
EXPORTER_SECRET = "langfuse-stack-exporter"  # noqa: S105 - a name

FILES = "/etc/langfuse"
"""Where compose mounts files into web and worker; `files` of a cluster lie there too."""

WEB_PORT, S3_PORT = 3000, 8333

POSTGRES = "langfuse-stack-postgres"
"""CloudNativePG's cluster; its operator puts the address into the Secret with `-app` behind the name."""

STORES_PRIORITY = "langfuse-stack-stores"

REPLICAS: Mapping[str, tuple[int, int, int]] = {"small": (1, 1, 1), "medium": (2, 2, 2), "large": (3, 4, 3)}
"""Web, worker and ClickHouse by size. ClickHouse has one shard: Langfuse supports no more."""

DISKS_GIB: Mapping[str, tuple[int, int]] = {"small": (100, 50), "medium": (500, 200), "large": (2000, 1000)}
"""ClickHouse (each replica) and the bundled object store; `make capacity` computes yours."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One installation.

    Attributes:
        settings: those of the compose stack, with the values of its size.
        web, worker: the variables that compose gives these services, empty ones left out.
        secrets: names of settings that must never be shown.
        size: small, medium or large.
        replicas: of web, worker and ClickHouse.
        disks_gib: of ClickHouse and of the object store.
        release, namespace: of Helm.
        monitoring_namespace: where Prometheus runs, which alone reads the exporter.
        operator_namespace: where ClickHouse's operator runs.
        ingress: class of the ingresses, nginx or traefik, or a gateway as gateway:NAMESPACE/NAME; or empty.
        issuer: ClusterIssuer of cert-manager for their certificates; empty where another makes them.
        autoscale: hpa (processor), keda (the worker by queue depth, too), or empty for fixed replicas.
        prometheus_url: what KEDA asks for the queue depth.
        cloudnative_pg: whether CloudNativePG runs PostgreSQL.
        exporter_image: image of the exporter, with a registry that the cluster reaches.
        credentials: text of the credentials file by project, for the exporter.
        files: what compose mounts into web and worker, text by path under `FILES`.
        clickhouse: settings of ClickHouse's server and of its default profile.
    """

    settings: Settings
    web: Mapping[str, str]
    worker: Mapping[str, str]
    secrets: frozenset[str]
    size: str
    replicas: tuple[int, int, int]
    disks_gib: tuple[int, int]
    release: str
    namespace: str
    monitoring_namespace: str
    operator_namespace: str
    ingress: str
    issuer: str
    autoscale: str
    prometheus_url: str
    cloudnative_pg: bool
    exporter_image: str
    credentials: Mapping[str, str]
    files: Mapping[str, str]
    clickhouse: tuple[Mapping[str, Any], Mapping[str, Any]]

    @property
    def fullname(self) -> str:
        """What the chart's names begin with (`langfuse.fullname` of its templates)."""
        return self.release if "langfuse" in self.release else f"{self.release}-langfuse"

    def store(self, alias: str) -> str:
        """Return the name of the service of a sub-chart (`langfuse.subchart.fullname` of the templates)."""
        name = self.release if alias in self.release else f"{self.release}-{alias}"
        return f"{name[:52].rstrip('-')}-all-in-one" if alias == "s3" else name

    @property
    def external_postgres(self) -> bool:
        """Whether PostgreSQL is another than the chart's."""
        return bool(self.settings.get("DATABASE_URL")) or self.cloudnative_pg

    @property
    def external_clickhouse(self) -> bool:
        """Whether ClickHouse is one of the operator's own."""
        return bool(self.settings.get("CLICKHOUSE_URL"))

    @property
    def external_redis(self) -> bool:
        """Whether Valkey or Redis is one of the operator's own."""
        return bool(self.settings.get("REDIS_HOST") or self.settings.get("REDIS_CONNECTION_STRING"))

    @property
    def external_s3(self) -> bool:
        """Whether the object store is one of the operator's own."""
        return bool(self.settings.get("S3_ENDPOINT"))

    @property
    def labels(self) -> dict[str, str]:
        """What marks the objects that are rendered here."""
        return {"app.kubernetes.io/part-of": "langfuse-stack", "app.kubernetes.io/instance": self.release}
