"""Ask the Metrics API for all that a report of one project needs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from scripts.api.client import AsyncApi
from scripts.api.keys import ProjectKey
from scripts.watch.alerts.catalog import Filter, of_agent
from scripts.watch.alerts.queries import Rows
from scripts.watch.alerts.reader import ask_metrics

from . import queries
from .compose import (
    agent_costs_of,
    agents_of,
    averages_of,
    categories_of,
    costs_of,
    days_of,
    latencies_of,
    projection_of,
    trends_of,
)
from .fixed import FixedCosts
from .model import Cost, Latency, Report, Window
from .queries import AGENTS, CALLS, ROOTS, TOP_MODELS, TOP_TRENDS, WINDOWS, Document, Span, window

Ask = Callable[[Document], Awaitable[Rows]]


def asker(client: AsyncApi, key: ProjectKey, slots: asyncio.Semaphore) -> Ask:
    """Return a function that asks one project and raises MetricsError; `slots` bounds what runs at once."""

    async def ask(document: Document) -> Rows:
        async with slots:
            return await ask_metrics(client, key, document)

    return ask


async def gather_report(project: str, ask: Ask, now: datetime, costs: FixedCosts) -> Report:
    """Return the report of one project at the time `now`; `costs` has no trace. Raises MetricsError."""
    longest = window(now, max(WINDOWS))
    # The first of the month is before the longest window on the 31st.
    first = longest.end.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    since_first = Span(min(longest.start, first), now)
    windows = await asyncio.gather(*(_window(ask, window(now, days), days) for days in WINDOWS))
    models = [cost.name for cost in windows[-1].costs["model"] if cost.cost and cost.is_named][:TOP_MODELS]
    scores = [average.name for average in windows[-1].averages[:TOP_TRENDS]]
    month = Span(first, now)
    totals, by_model, averages, month_models = await asyncio.gather(
        ask(queries.daily_costs(since_first)),
        ask(queries.daily_costs(longest, models)) if models else _nothing(),
        ask(queries.daily_averages(longest, scores)) if scores else _nothing(),
        ask(queries.models_of(month, [one.model for one in costs.free_tiers]))
        if costs.free_tiers
        else _nothing(),
    )
    days = days_of(since_first, totals, by_model)
    return Report(
        project=project,
        taken=now,
        windows=list(windows),
        days=days[-len(longest.days) :],
        projection=projection_of(days, now),
        fixed=costs.of(project, costs_of(month_models, "providedModelName", ())),
        trends=trends_of(averages, scores),
    )


async def _nothing() -> Rows:
    return ()


async def _window(ask: Ask, span: Span, days: int) -> Window:
    total, averages, categories, tasks, agents, models = await asyncio.gather(
        ask(queries.amounts(span)),
        ask(queries.averages(span)),
        ask(queries.categories(span)),
        _latencies(ask, span, "traceName", ROOTS, (), with_total=True),
        _latencies(ask, span, "name", AGENTS, AGENTS, with_total=False),
        _latencies(ask, span, "providedModelName", CALLS, CALLS, with_total=True),
    )
    by_model, by_user, by_task, judged, by_agent = await asyncio.gather(
        ask(queries.amounts(span, "providedModelName")),
        ask(queries.amounts(span, "userId")),
        ask(queries.amounts(span, "traceName")),
        ask(queries.judgements(span)),
        _agent_costs(ask, span, [agent.name for agent in agents], total),
    )
    return Window(
        days=days,
        start=span.start,
        costs={
            "model": costs_of(by_model, "providedModelName", total),
            "agent": by_agent,
            "user": costs_of(by_user, "userId", total),
            "task": costs_of(by_task, "traceName", total),
        },
        agents=agents_of(agents, by_agent, judged),
        latencies={"task": tasks, "agent": agents, "model": models},
        averages=averages_of(averages),
        categories=categories_of(categories),
    )


async def _latencies(
    ask: Ask, span: Span, by: str, timed: Sequence[Filter], counted: Sequence[Filter], *, with_total: bool
) -> list[Latency]:
    """Return durations of the rows `timed` and shares of errors among the rows `counted`."""
    groups, levels = await asyncio.gather(
        ask(queries.latencies(span, timed, by)), ask(queries.levels(span, counted, by))
    )
    found = latencies_of(groups, levels, by)
    if with_total:
        whole, all_levels = await asyncio.gather(
            ask(queries.latencies(span, timed)), ask(queries.levels(span, counted))
        )
        found += latencies_of(whole, all_levels)
    return found


async def _agent_costs(ask: Ask, span: Span, agents: Sequence[str], total: Rows) -> list[Cost]:
    """Return the cost of the calls under each agent's metadata, by which the API can select but not group."""
    answers = await asyncio.gather(
        *(
            ask(queries.amounts(span, filters=[condition]))
            for agent in agents
            for condition in of_agent(agent)
        )
    )
    pairs = [(*one, *other) for one, other in zip(answers[::2], answers[1::2], strict=True)]
    return agent_costs_of(dict(zip(agents, pairs, strict=True)), total)
