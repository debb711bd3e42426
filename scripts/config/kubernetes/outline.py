"""What chart 2.0.0 makes of the values, as far as rules look at it: for a check without the chart.

`stubs` are the objects that are never in the chart's own templates: those of its sub-charts and of
ClickHouse's operator. Source: https://github.com/langfuse/langfuse-k8s at langfuse-2.0.0,
charts/langfuse/templates; a test compares with the chart where it is at hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

from .model import POSTGRES, S3_PORT, WEB_PORT, Cluster
from .postgres import LABEL

Manifest = dict[str, Any]

_APP = "app.kubernetes.io/"
_UPLOADS = {"EVENT_UPLOAD": "eventUpload", "BATCH_EXPORT": "batchExport", "MEDIA_UPLOAD": "mediaUpload"}
_OF_VALUES: Mapping[str, str] = {
    "LANGFUSE_LOG_LEVEL": "langfuse.logging.level",
    "LANGFUSE_LOG_FORMAT": "langfuse.logging.format",
    "SALT": "langfuse.salt",
    "ENCRYPTION_KEY": "langfuse.encryptionKey",
    "TELEMETRY_ENABLED": "langfuse.features.telemetryEnabled",
    "AUTH_DISABLE_SIGNUP": "langfuse.features.signUpDisabled",
    "NEXTAUTH_URL": "langfuse.nextauth.url",
    "NEXTAUTH_SECRET": "langfuse.nextauth.secret",
    "LANGFUSE_S3_BATCH_EXPORT_ENABLED": "s3.batchExport.enabled",
    "LANGFUSE_S3_CONCURRENT_READS": "s3.concurrency.reads",
    "LANGFUSE_S3_CONCURRENT_WRITES": "s3.concurrency.writes",
    **{f"LANGFUSE_S3_{use}_BUCKET": f"s3.{key}.bucket" for use, key in _UPLOADS.items()},
    **{f"LANGFUSE_S3_{use}_REGION": "s3.region" for use in _UPLOADS},
    **{f"LANGFUSE_S3_{use}_FORCE_PATH_STYLE": "s3.forcePathStyle" for use in _UPLOADS},
}
_FIXED: Mapping[str, str] = {
    "NODE_ENV": "production",
    "HOSTNAME": "0.0.0.0",  # noqa: S104 - within the pod
    "ENABLE_EXPERIMENTAL_FEATURES": "false",
    "DATABASE_NAME": "langfuse",
    "LANGFUSE_AUTO_POSTGRES_MIGRATION_DISABLED": "false",
    "LANGFUSE_S3_MEDIA_UPLOAD_MAX_CONTENT_LENGTH": "1e+09",
    "LANGFUSE_S3_MEDIA_UPLOAD_DOWNLOAD_URL_EXPIRY_SECONDS": "3600",
}


def outline(cluster: Cluster, values: Mapping[str, Any]) -> list[Manifest]:
    """Return the objects of the chart's own templates."""
    common = {f"{_APP}name": "langfuse", f"{_APP}instance": cluster.release}
    name, langfuse = cluster.fullname, values["langfuse"]
    found = [_object("Secret", f"{name}-app"), _object("ServiceAccount", name)]
    stores = {
        "postgresql": ("langfuse-postgresql-auth", ["USERDB_PASSWORD", "POSTGRES_PASSWORD"]),
        "redis": ("langfuse-redis-auth", ["default"]),
        "s3": ("langfuse-s3-auth", ["accessKey", "secretKey", "seaweedfs_s3_config"]),
        "clickhouse": (f"{name}-clickhouse-auth", ["password"]),
    }
    for store, (secret, keys) in stores.items():
        if values[store]["deploy"]:
            found.append({**_object("Secret", secret), "data": dict.fromkeys(keys, "")})
    if values["clickhouse"]["deploy"]:
        clickhouse = values["clickhouse"]["cluster"]
        settings = {"extraConfig": clickhouse["settings"], "extraUsersConfig": clickhouse["profileSettings"]}
        spec = {"replicas": clickhouse["replicas"], "settings": settings}
        found.append({**_object("ClickHouseCluster", name), "spec": spec})
        keeper = {"replicas": values["clickhouse"]["keeper"]["replicas"]}
        found.append({**_object("KeeperCluster", name), "spec": keeper})
    for component, port in (("web", WEB_PORT), ("worker", 3030)):
        labels = {**common, f"{_APP}component": component}
        part = langfuse[component]
        deployment = _object("Deployment", f"{name}-{component}")
        deployment["spec"] = {
            "replicas": part.get("replicas"),
            "template": {
                "metadata": {"labels": {**labels, "app": component}},
                "spec": {
                    "serviceAccountName": name,
                    "automountServiceAccountToken": langfuse["serviceAccount"][
                        "automountServiceAccountToken"
                    ],
                    "securityContext": langfuse.get("podSecurityContext", {}),
                    "initContainers": langfuse.get("extraInitContainers", []),
                    "volumes": langfuse.get("extraVolumes", []),
                    "containers": [
                        {
                            "name": f"langfuse-{component}",
                            "securityContext": langfuse.get("securityContext", {}),
                            "env": list(_environment(cluster, values, component)),
                            "ports": [{"name": "http", "containerPort": port}],
                            "livenessProbe": _probe(part.get("livenessProbe", {})),
                            "volumeMounts": langfuse.get("extraVolumeMounts", []),
                            "resources": part["resources"],
                        }
                    ],
                },
            },
        }
        budget = _object("PodDisruptionBudget", f"{name}-{component}-pdb")
        budget["spec"] = {"selector": {"matchLabels": labels}}
        found += [deployment, budget]
        if part["hpa"]["enabled"]:
            scaler = _object("HorizontalPodAutoscaler", f"{name}-{component}")
            scaler["spec"] = {"scaleTargetRef": {"name": f"{name}-{component}"}}
            found.append(scaler)
    service = _object("Service", f"{name}-web")
    service["spec"] = {
        "selector": {**common, "app": "web"},
        "ports": [{"name": "http", "port": WEB_PORT}],
    }
    return [*found, service]


def stubs(cluster: Cluster) -> list[Manifest]:
    """Return what sub-charts and ClickHouse's operator add: pods and services, with labels and ports."""
    found: list[Manifest] = []
    instance = {f"{_APP}instance": cluster.release}
    bundled = {
        "postgresql": (not cluster.external_postgres, 5432),
        "redis": (not cluster.external_redis, 6379),
        "s3": (not cluster.external_s3, S3_PORT),
    }
    for alias, (deployed, port) in bundled.items():
        if deployed:
            found += _store(cluster.store(alias), {**instance, f"{_APP}name": alias}, port)
    if cluster.cloudnative_pg:
        found += _store(f"{POSTGRES}-rw", {LABEL: POSTGRES}, 5432)
        found.append({**_object("Secret", f"{POSTGRES}-app"), "data": {"uri": ""}})
    if not cluster.external_clickhouse:
        server, keeper = f"{cluster.fullname}-clickhouse", f"{cluster.fullname}-keeper"
        # labels.go and templates.go of https://github.com/ClickHouse/clickhouse-operator
        found += _store(f"{server}-headless", {"app": server}, 8123)
        found += _store(f"{keeper}-headless", {"app": keeper}, 2181)
    return found


def _environment(cluster: Cluster, values: Mapping[str, Any], component: str) -> Iterator[dict[str, Any]]:
    langfuse = values["langfuse"]
    added = [*langfuse["additionalEnv"], *langfuse[component]["pod"]["additionalEnv"]]
    names = {one["name"] for one in added}
    found: dict[str, Any] = {name: _at(values, path) for name, path in _OF_VALUES.items()}
    found |= _FIXED
    if component == "web":
        found["PORT"] = str(WEB_PORT)
    if "DATABASE_URL" not in names:
        found |= {
            "DATABASE_HOST": cluster.store("postgresql"),
            "DATABASE_USERNAME": "langfuse",
            "DATABASE_PASSWORD": _key("langfuse-postgresql-auth", "USERDB_PASSWORD"),
        }
    redis = values["redis"]
    if "REDIS_CONNECTION_STRING" not in names:
        auth = redis.get("auth", {})
        secret = auth.get("existingSecret")
        password = (
            (secret, auth["existingSecretPasswordKey"]) if secret else ("langfuse-redis-auth", "default")
        )
        found["REDIS_PASSWORD"] = _key(*password)
        tls = redis.get("tls", {}).get("enabled", False)
        user = auth.get("username", "default")
        host, port = redis.get("host") or cluster.store("redis"), redis.get("port", 6379)
        scheme = "rediss" if tls else "redis"
        found["REDIS_TLS_ENABLED"] = str(tls).lower()
        found["REDIS_CONNECTION_STRING"] = f"{scheme}://{user}:$(REDIS_PASSWORD)@{host}:{port}/0"
    if values["clickhouse"]["deploy"]:
        host = f"{cluster.fullname}-clickhouse-headless"
        found |= {
            "CLICKHOUSE_MIGRATION_URL": f"clickhouse://{host}:9000",
            "CLICKHOUSE_MIGRATION_SSL": "false",
            "CLICKHOUSE_URL": f"http://{host}:8123",
            "CLICKHOUSE_DB": "default",
            "CLICKHOUSE_USER": "default",
            "CLICKHOUSE_PASSWORD": _key(f"{cluster.fullname}-clickhouse-auth", "password"),
            "CLICKHOUSE_CLUSTER_ENABLED": "true",
            "LANGFUSE_AUTO_CLICKHOUSE_MIGRATION_DISABLED": "false",
        }
    s3 = values["s3"]
    endpoint = s3.get("endpoint") or f"http://{cluster.store('s3')}:{S3_PORT}"
    keys = {
        "ACCESS_KEY_ID": ("accessKeyId", "accessKey"),
        "SECRET_ACCESS_KEY": ("secretAccessKey", "secretKey"),
    }
    for use, key in _UPLOADS.items():
        found[f"LANGFUSE_S3_{use}_ENDPOINT"] = s3[key].get("endpoint") or endpoint
        for suffix, (path, bundled) in keys.items():
            found[f"LANGFUSE_S3_{use}_{suffix}"] = s3.get(path) or _key("langfuse-s3-auth", bundled)
    for name, value in found.items():
        yield (
            {"name": name, "valueFrom": value} if isinstance(value, dict) else {"name": name, "value": value}
        )
    yield from added


def _at(values: Mapping[str, Any], path: str) -> Any:
    value: Any = reduce(lambda place, key: place[key], path.split("."), values)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _probe(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "initialDelaySeconds": 20,
        "periodSeconds": 10,
        "timeoutSeconds": 5,
        "failureThreshold": 3,
        **given,
    }


def _store(name: str, labels: dict[str, str], port: int) -> list[Manifest]:
    workload, service = _object("StatefulSet", name), _object("Service", name)
    workload["spec"] = {"template": {"metadata": {"labels": labels}, "spec": {}}}
    service["spec"] = {"selector": labels, "ports": [{"port": port}]}
    return [workload, service]


def _key(secret: str, key: str) -> dict[str, Any]:
    return {"secretKeyRef": {"name": secret, "key": key}}


def _object(kind: str, name: str) -> Manifest:
    return {"kind": kind, "metadata": {"name": name}}
