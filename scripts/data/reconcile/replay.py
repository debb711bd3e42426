"""Compare the events bucket of the compose engine with what can be read, and replay what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from scripts.engines.base import EngineName
from scripts.engines.context import Context
from scripts.settings.values import Settings
from scripts.stores.opening import clickhouse_of, postgres_of

from .compose import PATIENCE_S, Reconciler
from .findings import Findings
from .scores import find_scores, replay_scores


def reconciler_of(context: Context, settings: Settings, rate: float = 100.0) -> Reconciler:
    """Return what compares and replays for a compose stack. Its external stores have to be within reach."""
    services = context.compose(settings)
    return Reconciler(
        settings,
        postgres_of(services),
        clickhouse_of(services),
        context.engine(EngineName.COMPOSE, settings).local_url,
        keys_per_second=rate,
        patience_s=PATIENCE_S,
    )


def look_at_compose(
    context: Context, settings: Settings, begin: datetime, end: datetime, *, rate: float, check: bool
) -> Sequence[Findings]:
    """Return what was found in all projects, and replayed unless only a check is wanted."""
    reconciler = reconciler_of(context, settings, rate)
    found = []
    for project in reconciler.projects():
        with context.console.working(f"Comparing {project}"):
            findings = reconciler.find(project, begin, end)
            find_scores(reconciler, findings, begin, end)
        if findings.missing and not check:
            with context.console.working(f"Replaying {len(findings.missing):,} batches of {project}"):
                reconciler.replay(findings)
        if findings.missing_scores and not check:
            with context.console.working(f"Replaying {len(findings.missing_scores):,} scores of {project}"):
                replay_scores(reconciler, findings)
        if findings.batches or findings.scores:
            found.append(findings)
    return found
