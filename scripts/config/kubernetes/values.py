"""The values of the chart: what compose.yaml was tested with, in the words of the chart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .autoscaling import MOST, PERCENT_OF_REQUEST
from .model import FILES, POSTGRES, S3_PORT, SECRET, STORES_PRIORITY, WEB_PORT, Cluster

# Variables that the chart sets itself, from values that are rendered below.
_OF_CHART = frozenset(
    {
        "HOSTNAME",
        "PORT",
        "NEXTAUTH_URL",
        "NEXTAUTH_SECRET",
        "SALT",
        "ENCRYPTION_KEY",
        "TELEMETRY_ENABLED",
        "AUTH_DISABLE_SIGNUP",
        "LANGFUSE_LOG_LEVEL",
        "LANGFUSE_LOG_FORMAT",
        "LANGFUSE_S3_CONCURRENT_WRITES",
    }
)
# Creation of the first project, as a cluster gets its projects by restore or bootstrap; receiver of statsd.
_OF_COMPOSE = ("LANGFUSE_INIT_", "DD_")
_STORES = {
    "postgres": ("DATABASE_", "DIRECT_URL"),
    "clickhouse": (
        "CLICKHOUSE_URL",
        "CLICKHOUSE_MIGRATION_",
        "CLICKHOUSE_USER",
        "CLICKHOUSE_PASSWORD",
        "CLICKHOUSE_DB",
        "CLICKHOUSE_CLUSTER_ENABLED",
    ),
    "redis": ("REDIS_",),
    "s3": ("LANGFUSE_S3_EVENT_UPLOAD_", "LANGFUSE_S3_MEDIA_UPLOAD_", "LANGFUSE_S3_BATCH_EXPORT_"),
}
_REDIS_BY_URL = ("REDIS_CONNECTION_STRING", "REDIS_TLS_ENABLED")

CONTAINER_SECURITY: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
WRITABLE: Mapping[str, str] = {"tmp": "/tmp", "next-cache": "/app/web/.next/cache"}  # noqa: S108 - of the pod
"""Where web and worker write, as in compose.yaml: volumes and their paths."""

_SPREAD = ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
FILES_CONFIG = "langfuse-stack-files"
MIGRATIONS_S = 600
"""Seconds that the first migrations may take: the start period of web in compose.yaml."""

# The chart has no value for these.
_NOT_IN_CHART = frozenset(
    {"LANGFUSE_S3_MEDIA_UPLOAD_INTERNAL_ENDPOINT", "LANGFUSE_S3_BATCH_EXPORT_EXTERNAL_ENDPOINT"}
)


def values(cluster: Cluster) -> dict[str, Any]:
    """Return values.yaml. No secret is in it: variables name keys of one Secret."""
    settings = cluster.settings
    web, worker, _ = cluster.replicas
    shared = {name: value for name, value in cluster.web.items() if cluster.worker.get(name) == value}
    return {
        "langfuse": {
            "logging": {"level": settings["LANGFUSE_LOG_LEVEL"], "format": settings["LANGFUSE_LOG_FORMAT"]},
            "salt": secret_ref("SALT"),
            "encryptionKey": secret_ref("ENCRYPTION_KEY"),
            "nextauth": {"url": settings["NEXTAUTH_URL"], "secret": secret_ref("NEXTAUTH_SECRET")},
            "features": {
                "telemetryEnabled": settings["TELEMETRY_ENABLED"] == "true",
                "signUpDisabled": settings["AUTH_DISABLE_SIGNUP"] == "true",
            },
            "serviceAccount": {"automountServiceAccountToken": False},
            "image": {"tag": settings["LANGFUSE_VERSION"], "pullPolicy": "IfNotPresent"},
            "podSecurityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1001,
                "runAsGroup": 1001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "securityContext": CONTAINER_SECURITY,
            "extraVolumes": _volumes(cluster),
            "extraVolumeMounts": [{"name": name, "mountPath": path} for name, path in WRITABLE.items()]
            + [{"name": FILES_CONFIG, "mountPath": FILES, "readOnly": True}],
            "extraInitContainers": [_wait_for_web(cluster)],
            "additionalEnv": _variables(cluster, shared),
            "web": {
                "replicas": web,
                "resources": _resources(settings["WEB_CPUS"], settings["WEB_MEMORY"]),
                "pod": _pod("web", cluster, _variables(cluster, _without(cluster.web, shared))),
                # One new pod at a time: each runs the migrations, and those of ClickHouse take no lock.
                "deployment": {
                    "strategy": {
                        "type": "RollingUpdate",
                        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
                    }
                },
                # The chart has no startup probe, and a web that is killed within its migrations leaves a
                # dirty database (https://github.com/langfuse/langfuse/issues/6639).
                "livenessProbe": {"initialDelaySeconds": MIGRATIONS_S, "failureThreshold": 6},
                "readinessProbe": {"periodSeconds": 5},
                "pdb": {"create": True, "maxUnavailable": 1},
                "hpa": _hpa(web, enabled=bool(cluster.autoscale)),
            },
            "worker": {
                "replicas": worker,
                "resources": _resources(settings["WORKER_CPUS"], settings["WORKER_MEMORY"]),
                "pod": _pod("worker", cluster, _variables(cluster, _without(cluster.worker, shared))),
                "livenessProbe": {"initialDelaySeconds": 120, "failureThreshold": 6},
                "pdb": {"create": True, "maxUnavailable": 1},
                # KEDA makes one too, and two would pull in different directions.
                "hpa": _hpa(worker, enabled=cluster.autoscale == "hpa"),
            },
        },
        "postgresql": _postgres(cluster),
        "redis": _redis(cluster),
        "clickhouse": _clickhouse(cluster),
        "s3": _s3(cluster),
    }


def secret_ref(key: str) -> dict[str, Any]:
    """Return how the chart refers to a key of the Secret."""
    return {"secretKeyRef": {"name": SECRET, "key": key}}


def secret_names(cluster: Cluster) -> dict[str, str]:
    """Return the keys of the Secret with their values: what the variables above refer to."""
    given = {**cluster.worker, **cluster.web}
    keys = {"SALT", "ENCRYPTION_KEY", "NEXTAUTH_SECRET"}
    keys |= {name for name in _wanted(cluster, given) if _is_secret(cluster, name)}
    if cluster.cloudnative_pg:
        keys -= {"DATABASE_URL"}
    if cluster.external_redis and not cluster.settings.get("REDIS_CONNECTION_STRING"):
        keys.add("REDIS_AUTH")
    found = {name: given[name] for name in keys}
    if not cluster.external_s3:
        found["S3_INTERNAL_KEY"] = cluster.settings["S3_INTERNAL_KEY"]
    else:
        found |= {name: cluster.settings[name] for name in ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")}
    return dict(sorted(found.items()))


def _variables(cluster: Cluster, given: Mapping[str, str]) -> list[dict[str, Any]]:
    moved = {}
    if not cluster.external_s3:
        moved["LANGFUSE_S3_MEDIA_UPLOAD_INTERNAL_ENDPOINT"] = f"http://{cluster.store('s3')}:{S3_PORT}"
    found: list[dict[str, Any]] = [
        {"name": name, "valueFrom": secret_ref(name)}
        if _is_secret(cluster, name)
        else {"name": name, "value": moved.get(name, given[name])}
        for name in _wanted(cluster, given)
    ]
    for one in found:
        if cluster.cloudnative_pg and one["name"] == "DATABASE_URL":
            one["valueFrom"] = {"secretKeyRef": {"name": f"{POSTGRES}-app", "key": "uri"}}
    return found


def _wanted(cluster: Cluster, given: Iterable[str]) -> list[str]:
    bundled = {
        "postgres": not cluster.external_postgres,
        "clickhouse": not cluster.external_clickhouse,
        "redis": not cluster.external_redis,
        # An external object store has values of the chart, too.
        "s3": True,
    }
    if cluster.external_redis:
        # The chart makes a connection string of its own values, or takes one as it is.
        string = cluster.settings.get("REDIS_CONNECTION_STRING")
        given = [
            name for name in given if not name.startswith("REDIS_") or (string and name in _REDIS_BY_URL)
        ]
    of_chart = (prefix for store, names in _STORES.items() if bundled[store] for prefix in names)
    prefixes = (*_OF_COMPOSE, *of_chart)
    return sorted(
        name
        for name in given
        if name in _NOT_IN_CHART or (name not in _OF_CHART and not name.startswith(prefixes))
    )


def _is_secret(cluster: Cluster, name: str) -> bool:
    # A URL holds its password.
    return name in cluster.secrets or name in {"DATABASE_URL", "DIRECT_URL", "REDIS_CONNECTION_STRING"}


def _without(given: Mapping[str, str], shared: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in given.items() if name not in shared}


def _hpa(replicas: int, *, enabled: bool) -> dict[str, Any]:
    if not enabled:
        return {"enabled": False}
    return {
        "enabled": True,
        "minReplicas": replicas,
        "maxReplicas": replicas * MOST,
        "targetCPUUtilizationPercentage": PERCENT_OF_REQUEST,
    }


def _pod(component: str, cluster: Cluster, variables: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "additionalEnv": variables,
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {
                    "matchLabels": {"app.kubernetes.io/instance": cluster.release, "app": component}
                },
            }
            for key in _SPREAD
        ],
    }


def _volumes(cluster: Cluster) -> list[dict[str, Any]]:
    items = [{"key": file_key(path), "path": path} for path in sorted(cluster.files)]
    return [
        *({"name": name, "emptyDir": {"sizeLimit": "256Mi"}} for name in WRITABLE),
        {"name": FILES_CONFIG, "configMap": {"name": FILES_CONFIG, "items": items}},
    ]


def file_key(path: str) -> str:
    """Return the key of a file in its ConfigMap, which may not contain a slash."""
    return path.replace("/", "__")


def _wait_for_web(cluster: Cluster) -> dict[str, Any]:
    """The worker stores model prices once when it starts; before the migrations that fails in silence
    (https://github.com/langfuse/langfuse/issues/5818). The chart gives web the same init containers.
    """
    version = cluster.settings["LANGFUSE_VERSION"]
    expected = f'"version":"{version}"' if version.count(".") == 2 else '"version"'
    health = f"http://{cluster.fullname}-web:{WEB_PORT}/api/public/health?failIfDatabaseUnavailable=true"
    asked = f"wget -q -T 4 -O - '{health}' | grep -q '{expected}'"
    return {
        "name": "wait-for-web",
        "image": f"docker.langfuse.com/langfuse/langfuse:{version}",
        "command": ["/bin/sh", "-c", f'[ "$COMPONENT" = web ] || until {asked}; do sleep 2; done'],
        "env": [
            {"name": "COMPONENT", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        ],
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"cpu": "100m", "memory": "32Mi"},
        },
        "securityContext": CONTAINER_SECURITY,
    }


def _apart(app: str) -> dict[str, Any]:
    """Return the affinity that keeps replicas on different nodes and in different zones, where there are."""
    terms = [
        {
            "weight": weight,
            "podAffinityTerm": {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}},
        }
        for key, weight in zip(_SPREAD, (100, 50), strict=True)
    ]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}}


def _resources(cpus: str, memory: str) -> dict[str, Any]:
    """Memory is what it is; cores are shared, so that half of them are asked for and all may be used."""
    size = f"{memory.removesuffix('m')}Mi"
    return {
        "requests": {"cpu": f"{float(cpus) * 500:g}m", "memory": size},
        "limits": {"cpu": cpus, "memory": size},
    }


def _postgres(cluster: Cluster) -> dict[str, Any]:
    if cluster.external_postgres:
        return {"deploy": False}
    settings = cluster.settings
    return {
        "deploy": True,
        "storage": {"requestedSize": "20Gi"},
        "priorityClassName": STORES_PRIORITY,
        "resources": _resources(settings["POSTGRES_CPUS"], settings["POSTGRES_MEMORY"]),
    }


def _redis(cluster: Cluster) -> dict[str, Any]:
    settings = cluster.settings
    if cluster.external_redis:
        if settings.get("REDIS_CONNECTION_STRING"):
            return {"deploy": False}
        return {
            "deploy": False,
            "host": settings["REDIS_HOST"],
            "port": int(settings.get("REDIS_PORT") or 6379),
            "auth": {
                "username": settings.get("REDIS_USERNAME") or "",
                "existingSecret": SECRET,
                "existingSecretPasswordKey": "REDIS_AUTH",
            },
            "tls": {"enabled": settings.get("REDIS_TLS_ENABLED") == "true"},
        }
    return {
        "deploy": True,
        "priorityClassName": STORES_PRIORITY,
        "dataStorage": {"enabled": True, "requestedSize": "8Gi", "keepPvc": True},
        # Full means that requests are refused, never that jobs are dropped; a restart loses a second at most.
        "valkeyConfig": (
            f"maxmemory {settings['VALKEY_MAXMEMORY_MB']}mb\n"
            "maxmemory-policy noeviction\n"
            "appendonly yes\n"
            "appendfsync everysec\n"
        ),
        "resources": _resources(settings["VALKEY_CPUS"], settings["VALKEY_MEMORY"]),
    }


def _clickhouse(cluster: Cluster) -> dict[str, Any]:
    if cluster.external_clickhouse:
        return {"deploy": False}
    settings = cluster.settings
    return {
        "deploy": True,
        "cluster": {
            "enabled": True,
            "replicas": cluster.replicas[2],
            "storage": {"size": f"{cluster.disks_gib[0]}Gi"},
            "resources": _resources(settings["CLICKHOUSE_CPUS"], settings["CLICKHOUSE_MEMORY"]),
            "affinity": _apart(f"{cluster.fullname}-clickhouse"),
            "settings": dict(cluster.clickhouse[0]),
            "profileSettings": {"profiles": {"default": dict(cluster.clickhouse[1])}},
        },
        "keeper": {
            "enabled": True,
            "replicas": 1 if cluster.replicas[2] == 1 else 3,
            "affinity": _apart(f"{cluster.fullname}-keeper"),
        },
    }


def _s3(cluster: Cluster) -> dict[str, Any]:
    settings = cluster.settings
    buckets = {
        "eventUpload": settings["S3_EVENTS_BUCKET"],
        "mediaUpload": settings["S3_MEDIA_BUCKET"],
        "batchExport": settings["S3_EXPORTS_BUCKET"],
    }
    public = settings["S3_PUBLIC_ENDPOINT"]
    parts: dict[str, Any] = {use: {"bucket": bucket} for use, bucket in buckets.items()}
    parts["mediaUpload"] |= {"enabled": True, "endpoint": public}
    parts["batchExport"] |= {"enabled": True}
    shared = {
        "region": settings["S3_REGION"],
        "forcePathStyle": settings["S3_FORCE_PATH_STYLE"] == "true",
        "concurrency": {"reads": 50, "writes": int(settings["LANGFUSE_S3_CONCURRENT_WRITES"])},
        **parts,
    }
    if cluster.external_s3:
        keys = {
            "accessKeyId": secret_ref("S3_ACCESS_KEY_ID"),
            "secretAccessKey": secret_ref("S3_SECRET_ACCESS_KEY"),
        }
        return {"deploy": False, "endpoint": settings["S3_ENDPOINT"], **keys, **shared}
    return {
        "deploy": True,
        **shared,
        "allInOne": {
            "priorityClassName": STORES_PRIORITY,
            "s3": {"createBuckets": [{"name": bucket} for bucket in buckets.values()]},
            # Its port for the filer takes orders from whoever reaches it without (compose.yaml says more).
            "secretExtraEnvironmentVars": {"WEED_JWT_FILER_SIGNING_KEY": secret_ref("S3_INTERNAL_KEY")},
            "data": {"size": f"{cluster.disks_gib[1]}Gi"},
            "resources": _resources(settings["S3_CPUS"], settings["S3_MEMORY"]),
        },
    }
