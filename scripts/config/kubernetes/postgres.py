"""PostgreSQL that survives a node: a cluster of CloudNativePG, in place of the chart's single pod.

Fields: https://cloudnative-pg.io/documentation/current/cloudnative-pg.v1/
"""

from __future__ import annotations

from typing import Any

from .model import POSTGRES, STORES_PRIORITY, Cluster

POSTGRES_PORTS = (8000, 5432)
OPERATOR_NAMESPACE = "cnpg-system"
"""Where the operator is, and asks each instance how it is: docs/src/samples/networkpolicy-example.yaml of
https://github.com/cloudnative-pg/cloudnative-pg"""

LABEL = "cnpg.io/cluster"
_DISK = "20Gi"


def postgres(cluster: Cluster) -> list[dict[str, Any]]:
    """Return the cluster; none where PostgreSQL is the chart's or elsewhere."""
    if not cluster.cloudnative_pg:
        return []
    settings = cluster.settings
    memory = f"{settings['POSTGRES_MEMORY'].removesuffix('m')}Mi"
    return [
        {
            "apiVersion": "postgresql.cnpg.io/v1",
            "kind": "Cluster",
            "metadata": {"name": POSTGRES, "namespace": cluster.namespace, "labels": cluster.labels},
            "spec": {
                # As many as ClickHouse: a size that survives a node with one store survives it with all.
                "instances": 1 if cluster.replicas[2] == 1 else 3,
                "bootstrap": {
                    "initdb": {
                        "database": "langfuse",
                        "owner": "langfuse",
                        "dataChecksums": True,
                        "encoding": "UTF8",
                        "localeCType": "C.UTF-8",
                        "localeCollate": "C.UTF-8",
                    }
                },
                "postgresql": {"parameters": {"shared_buffers": settings["POSTGRES_SHARED_BUFFERS"]}},
                "storage": {"size": _DISK},
                "resources": {
                    "requests": {"cpu": f"{float(settings['POSTGRES_CPUS']) * 500:g}m", "memory": memory},
                    "limits": {"cpu": settings["POSTGRES_CPUS"], "memory": memory},
                },
                "priorityClassName": STORES_PRIORITY,
                "affinity": {"enablePodAntiAffinity": True, "topologyKey": "kubernetes.io/hostname"},
            },
        }
    ]
