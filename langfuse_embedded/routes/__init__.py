"""The operations of the public API, one module a resource. Each module exports `OPERATIONS`."""

from __future__ import annotations

from langfuse_embedded.http.operations import Operation

from . import (
    dataset_items,
    dataset_runs,
    datasets,
    health,
    ingestion,
    licensed,
    media,
    metrics,
    models,
    observations,
    otel,
    projects,
    prompts,
    score_configs,
    scores,
)


def all_operations() -> list[Operation]:
    """Return the routing table, in the order in which it is documented."""
    modules = (
        health,
        projects,
        observations,
        otel,
        prompts,
        datasets,
        dataset_items,
        dataset_runs,
        media,
        score_configs,
        scores,
        ingestion,
        models,
        metrics,
        licensed,
    )
    return [operation for module in modules for operation in module.OPERATIONS]
