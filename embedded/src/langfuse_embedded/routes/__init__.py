"""The operations of the public API, one module a resource. Each module exports `OPERATIONS`."""

from __future__ import annotations

from . import (
    admin,
    annotation_queues,
    comments,
    dashboard_widgets,
    dashboards,
    dataset_items,
    dataset_runs,
    datasets,
    embedded_aids,
    evaluation_rules,
    evaluators,
    experiments,
    feedback,
    health,
    legacy,
    licensed,
    llm_connections,
    media,
    metrics,
    models,
    observations,
    otel,
    projects,
    prompts,
    refused,
    score_configs,
    scores,
    trace_deletion,
    unstable_evaluation_rules,
    unstable_evaluators,
)
from .operations import Operation


def all_operations() -> list[Operation]:
    """Return the routing table, in the order in which it is documented."""
    modules = (
        health,
        projects,
        observations,
        trace_deletion,
        otel,
        prompts,
        datasets,
        dataset_items,
        dataset_runs,
        experiments,
        media,
        score_configs,
        scores,
        legacy,
        models,
        metrics,
        comments,
        annotation_queues,
        llm_connections,
        evaluators,
        evaluation_rules,
        unstable_evaluators,
        unstable_evaluation_rules,
        dashboard_widgets,
        dashboards,
        feedback,
        licensed,
        refused,
        admin,
        embedded_aids,
    )
    return [operation for module in modules for operation in module.OPERATIONS]
