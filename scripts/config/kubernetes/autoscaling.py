"""More web and worker when there is more to do, and who goes first when a node is full."""

from __future__ import annotations

from typing import Any

from .model import STORES_PRIORITY, Cluster

KINDS = ("hpa", "keda")
MOST = 3
"""How many times the replicas of the size an autoscaler may start."""

PERCENT_OF_REQUEST = 100
"""Langfuse advises to add workers above 50 % of a processor. Autoscalers count in what is requested, which is
half of the limit here."""

JOBS_OF_A_WORKER = 500
"""Waiting jobs for each worker: half of what the alert on a growing queue allows."""

# With the numbers that sharded queues end with (LANGFUSE_OTEL_INGESTION_QUEUE_SHARD_COUNT).
_QUEUES = "(secondary-)?(otel-)?ingestion-queue(-[0-9]+)?"


def scaled_objects(cluster: Cluster) -> list[dict[str, Any]]:
    """Return what KEDA reads: the worker grows with the queues, and with its processor.

    Without a figure of Prometheus nothing is taken away: an unknown depth is not an empty queue
    (https://keda.sh/docs/latest/scalers/prometheus/, ignoreNullValues).
    """
    if cluster.autoscale != "keda":
        return []
    worker = cluster.replicas[1]
    jobs = f'namespace="{cluster.namespace}",state="waiting",queue=~"{_QUEUES}"'
    query = {
        "serverAddress": cluster.prometheus_url,
        "query": f"sum(langfuse_queue_jobs{{{jobs}}})",
        "threshold": str(JOBS_OF_A_WORKER),
        "ignoreNullValues": "false",
    }
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 600}}
    return [
        {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {
                "name": "langfuse-stack-worker",
                "namespace": cluster.namespace,
                "labels": cluster.labels,
            },
            "spec": {
                "scaleTargetRef": {"name": f"{cluster.fullname}-worker"},
                "minReplicaCount": worker,
                "maxReplicaCount": worker * MOST,
                "pollingInterval": 30,
                "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior}},
                "triggers": [
                    {"type": "prometheus", "metadata": query},
                    {
                        "type": "cpu",
                        "metricType": "Utilization",
                        "metadata": {"value": str(PERCENT_OF_REQUEST)},
                    },
                ],
            },
        }
    ]


def priorities(cluster: Cluster) -> list[dict[str, Any]]:
    """Return the class of the stores: when a node is full, web and worker go first, which hold nothing."""
    return [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": STORES_PRIORITY, "labels": cluster.labels},
            "value": 100_000,
            "description": "PostgreSQL, Valkey and the object store of Langfuse",
        }
    ]
