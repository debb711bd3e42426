"""What the chart does not bring: secrets, network policies, the exporter, its scraping, alert rules."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from .model import EXPORTER_SECRET, POSTGRES, S3_PORT, SECRET, WEB_PORT, Cluster
from .postgres import LABEL, OPERATOR_NAMESPACE, POSTGRES_PORTS
from .values import CONTAINER_SECURITY, FILES_CONFIG, file_key, secret_names

Manifest = dict[str, Any]

EXPORTER = "langfuse-stack-exporter"
_EXPORTER_PORT = 9464
# Where ClickHouse's operator asks its servers and Keeper: constants.go of internal/controller/clickhouse and
# internal/controller/keeper, https://github.com/ClickHouse/clickhouse-operator
OPERATOR_PORTS = (9001, 2181)
NAMESPACE = "kubernetes.io/metadata.name"
_NAME = "app.kubernetes.io/name"
_S3_NAME = "s3"
_STACK = "/stack/.stack"


def secrets(cluster: Cluster) -> list[Manifest]:
    """Return the only objects that hold secrets."""
    exporter = {name: cluster.credentials[name.removesuffix(".env")] for name in _files(cluster)}
    exporter["ADMIN_API_KEY"] = cluster.settings["ADMIN_API_KEY"]
    return [
        _secret(cluster, SECRET, secret_names(cluster)),
        _secret(cluster, EXPORTER_SECRET, dict(sorted(exporter.items()))),
    ]


def files(cluster: Cluster) -> list[Manifest]:
    """Return what compose mounts into web and worker, for the volume that the values name."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _metadata(cluster, FILES_CONFIG),
            "data": {file_key(path): text for path, text in sorted(cluster.files.items())},
        }
    ]


def network_policies(cluster: Cluster) -> list[Manifest]:
    """Return who may connect: pods of the namespace to each other, everybody to web and the object store.

    Media go between browsers and the object store directly, with presigned URLs. What else the store listens
    on takes orders without a password: only its own pods reach it, as the job that makes the buckets. The
    exporter shows figures of all projects: only Prometheus reads it. ClickHouse's operator is in another
    namespace, and asks ClickHouse and Keeper how they are before it calls them ready.
    """
    instance = {"app.kubernetes.io/instance": cluster.release}
    store = {"matchLabels": {**instance, _NAME: _S3_NAME}}
    # The job of SeaweedFS's chart that makes the buckets has the release in its labels, and no name
    # (templates/shared/post-install-bucket-hook.yaml of that chart).
    job = {"matchLabels": instance, "matchExpressions": [{"key": _NAME, "operator": "DoesNotExist"}]}
    closed = [EXPORTER] if cluster.external_s3 else [EXPORTER, _S3_NAME]
    prometheus = {
        "namespaceSelector": {"matchLabels": {NAMESPACE: cluster.monitoring_namespace}},
        "podSelector": {"matchLabels": {_NAME: "prometheus"}},
    }
    policies = [
        _policy(
            cluster,
            "langfuse-stack-inside",
            {"matchExpressions": [{"key": _NAME, "operator": "NotIn", "values": closed}]},
            [{"from": [{"podSelector": {}}]}],
        ),
        _policy(
            cluster,
            "langfuse-stack-web",
            {"matchLabels": {**instance, "app": "web"}},
            [{"ports": [{"port": WEB_PORT, "protocol": "TCP"}]}],
        ),
        _policy(
            cluster,
            "langfuse-stack-exporter",
            {"matchLabels": {_NAME: EXPORTER}},
            [{"from": [prometheus], "ports": [{"port": _EXPORTER_PORT, "protocol": "TCP"}]}],
        ),
    ]
    if not cluster.external_clickhouse:
        operator = {"matchLabels": {NAMESPACE: cluster.operator_namespace}}
        servers = [f"{cluster.fullname}-clickhouse", f"{cluster.fullname}-keeper"]
        policies.append(
            _policy(
                cluster,
                "langfuse-stack-clickhouse-operator",
                {"matchExpressions": [{"key": "app", "operator": "In", "values": servers}]},
                [
                    {
                        "from": [{"namespaceSelector": operator}],
                        "ports": [{"port": port, "protocol": "TCP"} for port in OPERATOR_PORTS],
                    }
                ],
            )
        )
    if cluster.cloudnative_pg:
        policies.append(
            _policy(
                cluster,
                "langfuse-stack-postgres-operator",
                {"matchLabels": {LABEL: POSTGRES}},
                [
                    {
                        "from": [{"namespaceSelector": {"matchLabels": {NAMESPACE: OPERATOR_NAMESPACE}}}],
                        "ports": [{"port": port, "protocol": "TCP"} for port in POSTGRES_PORTS],
                    }
                ],
            )
        )
    if not cluster.external_s3:
        policies.append(
            _policy(
                cluster,
                "langfuse-stack-s3",
                store,
                [
                    {"ports": [{"port": S3_PORT, "protocol": "TCP"}]},
                    {"from": [{"podSelector": store}, {"podSelector": job}]},
                ],
            )
        )
    return policies


def exporter(cluster: Cluster, alerts: str) -> list[Manifest]:
    """Return the exporter with the alerts that it serves; `alerts` is the text of config/alerts.yaml."""
    labels = {**cluster.labels, "app.kubernetes.io/name": EXPORTER}
    selector = {"app.kubernetes.io/name": EXPORTER}
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _metadata(cluster, EXPORTER),
            "data": {"alerts.yaml": alerts},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": _metadata(cluster, EXPORTER),
            "spec": {
                # Two would ask Langfuse twice, and write two canaries.
                "replicas": 1,
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": selector},
                "template": {"metadata": {"labels": labels}, "spec": _exporter_pod(cluster)},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {**_metadata(cluster, EXPORTER), "labels": {**labels, "job": "exporter"}},
            "spec": {
                "selector": selector,
                "ports": [{"name": "metrics", "port": _EXPORTER_PORT, "targetPort": "metrics"}],
            },
        },
    ]


def monitoring(cluster: Cluster, rules: Mapping[str, list[dict[str, Any]]]) -> list[Manifest]:
    """Return what the Prometheus operator reads; `rules` are groups of rules by the name of their file."""
    monitor = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": _metadata(cluster, EXPORTER),
        "spec": {
            # The rules ask for job="exporter", as in compose.
            "jobLabel": "job",
            "selector": {"matchLabels": {"app.kubernetes.io/name": EXPORTER}},
            "endpoints": [{"port": "metrics", "interval": "15s", "scrapeTimeout": "10s"}],
        },
    }
    return [
        monitor,
        *(
            {
                "apiVersion": "monitoring.coreos.com/v1",
                "kind": "PrometheusRule",
                "metadata": _metadata(cluster, f"langfuse-stack-{name}"),
                "spec": {"groups": groups},
            }
            for name, groups in rules.items()
        ),
    ]


def _exporter_pod(cluster: Cluster) -> dict[str, Any]:
    settings = cluster.settings
    variables = {
        "TZ": "UTC",
        "EXPORTER_BIND_ADDRESS": "0.0.0.0",  # noqa: S104 - in a pod; the network policy says who comes
        "EXPORTER_PORT": str(_EXPORTER_PORT),
        "EXPORTER_LANGFUSE_URL": f"http://{web_service(cluster)}:{WEB_PORT}",
        "NEXTAUTH_URL": settings["NEXTAUTH_URL"],
        "LANGFUSE_VERSION": settings["LANGFUSE_VERSION"],
    }
    variables |= {
        name: value
        for name, value in sorted(settings.values.items())
        if name.startswith(("EXPORTER_", "CANARY_")) and name not in variables and value
        if name != "EXPORTER_USER"
    }
    environment: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in variables.items()]
    environment.append({"name": "ADMIN_API_KEY", "valueFrom": _key(EXPORTER_SECRET, "ADMIN_API_KEY")})
    probe = {"httpGet": {"path": "/health", "port": "metrics"}}
    return {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "exporter",
                "image": cluster.exporter_image,
                "ports": [{"name": "metrics", "containerPort": _EXPORTER_PORT}],
                "env": environment,
                "resources": {
                    "requests": {"cpu": "100m", "memory": "128Mi"},
                    "limits": {"cpu": "1", "memory": "256Mi"},
                },
                "securityContext": CONTAINER_SECURITY,
                "readinessProbe": {**probe, "periodSeconds": 10, "timeoutSeconds": 5},
                "livenessProbe": {**probe, "periodSeconds": 30, "timeoutSeconds": 5},
                "volumeMounts": [
                    {"name": "alerts", "mountPath": "/stack/config", "readOnly": True},
                    {"name": "credentials", "mountPath": f"{_STACK}/credentials", "readOnly": True},
                    {"name": "heartbeats", "mountPath": f"{_STACK}/heartbeats"},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - of the pod
                ],
            }
        ],
        "volumes": [
            {"name": "alerts", "configMap": {"name": EXPORTER}},
            {
                "name": "credentials",
                "secret": {
                    "secretName": EXPORTER_SECRET,
                    "defaultMode": 0o440,
                    "items": [{"key": name, "path": name} for name in _files(cluster)],
                },
            },
            {"name": "heartbeats", "emptyDir": {"sizeLimit": "1Mi"}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}},
        ],
    }


def web_service(cluster: Cluster) -> str:
    """Return the name that the chart gives to the service of web."""
    return f"{cluster.fullname}-web"


def _files(cluster: Cluster) -> list[str]:
    return [f"{stem}.env" for stem in sorted(cluster.credentials)]


def _policy(cluster: Cluster, name: str, pods: dict[str, Any], ingress: list[dict[str, Any]]) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(cluster, name),
        "spec": {"podSelector": pods, "policyTypes": ["Ingress"], "ingress": ingress},
    }


def _secret(cluster: Cluster, name: str, data: Mapping[str, str]) -> Manifest:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(cluster, name),
        "type": "Opaque",
        "data": encoded,
    }


def _key(secret: str, key: str) -> dict[str, Any]:
    return {"secretKeyRef": {"name": secret, "key": key}}


def _metadata(cluster: Cluster, name: str) -> dict[str, Any]:
    return {"name": name, "namespace": cluster.namespace, "labels": cluster.labels}
