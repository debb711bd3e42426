"""The tables of a report as people read them, on a terminal and on the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scripts.watch.table import NOTHING, Table, number, percent, usd

from .model import GROUPS, OTHER, TOTAL, Cost, Latency, Report, Window

TITLES = {"model": "model", "agent": "agent", "user": "user", "task": "task type"}


def tables_of(report: Report) -> list[Table]:
    """Return all tables, without those that have no row."""
    short, long = report.windows
    found = [projection_table(report)]
    found += [cost_table(by, short, long) for by in GROUPS]
    found += [agent_table(window) for window in (short, long)]
    found += [latency_table(by, report.windows) for by in ("task", "agent", "model")]
    found += [score_table(short, long), category_table(short, long)]
    return [table for table in found if table.rows]


def projection_table(report: Report) -> Table:
    """Return where costs lead."""
    one = report.projection
    spent = [next(cost for cost in window.costs["model"] if cost.name == TOTAL) for window in report.windows]
    projected = "estimated from today" if one.estimated else "projected"
    day = "a day, estimated from today" if one.estimated else f"a day, average of {one.days} complete days"
    rows = [
        *(
            (f"last {window.days} days", usd(total.cost))
            for window, total in zip(report.windows, spent, strict=True)
        ),
        ("this month so far", usd(one.month_to_date)),
        (day, usd(one.daily)),
        (f"this month, {projected}", usd(one.month_end)),
        (f"next 30 days, {projected}", usd(one.next_30_days)),
        (f"next 365 days, {projected}", usd(one.next_365_days)),
    ]
    if report.fixed.stated:
        fixed = report.fixed
        paid = None if one.month_end is None else one.month_end - fixed.free + fixed.subscriptions
        rows += [
            ("subscriptions, a month", usd(fixed.subscriptions)),
            ("covered by free tiers this month", usd(fixed.free)),
            (f"to pay this month, {projected}", usd(paid)),
        ]
    return Table("Cost", ("", "USD"), rows)


def cost_table(by: str, short: Window, long: Window) -> Table:
    """Return the cost of each group in both windows, dearest in the longer one first."""
    lately = {cost.name: cost.cost for cost in short.costs[by]}
    costs = long.costs[by]
    whole = costs[-1].cost
    # Who is not among the dearest of the shorter window is either nobody or one of its others.
    absent = None if OTHER in lately else 0.0
    rows = [_cost_row(cost, lately.get(cost.name, absent), whole) for cost in costs]
    title = TITLES[by]
    heads = (title, *(f"USD {window.days} d" for window in (long, short)), "share", "tokens", "calls")
    return Table(f"Cost by {title}", heads, rows if len(rows) > 1 else ())


def agent_table(window: Window) -> Table:
    """Return what each agent did and what it cost."""
    rows = [
        (
            one.name,
            f"{one.runs:,}",
            percent(one.success),
            number(one.quality),
            usd(one.cost),
            usd(one.cost_per_run),
            f"{one.tokens:,}",
            percent(one.input_share),
        )
        for one in window.agents
    ]
    heads = ("agent", "runs", "success", "quality", "USD", "USD a run", "tokens", "input")
    return Table(f"Agents, {window.days} days", heads, rows)


def latency_table(by: str, windows: Sequence[Window]) -> Table:
    """Return durations and errors of each group, one row for each window."""
    names = [latency.name for latency in windows[-1].latencies[by]]
    rows = [
        _latency_row(latency, window.days)
        for name in names
        for window in windows
        for latency in window.latencies[by]
        if latency.name == name
    ]
    counted = {"task": "traces", "agent": "runs", "model": "calls"}[by]
    title = TITLES[by]
    return Table(
        f"Latency and errors by {title}", (title, "days", counted, "p50 s", "p95 s", "p99 s", "errors"), rows
    )


def score_table(short: Window, long: Window) -> Table:
    """Return the averages of scores in both windows, and how the shorter differs from the longer one."""
    lately = {average.name: average for average in short.averages}
    rows = []
    for average in long.averages:
        recent = lately.get(average.name)
        change = f"{recent.average - average.average:+.3g}" if recent else NOTHING
        rows.append(
            (
                average.name,
                number(average.average),
                number(recent.average if recent else None),
                change,
                f"{average.count:,}",
                f"{recent.count if recent else 0:,}",
            )
        )
    heads = (
        "score",
        f"avg {long.days} d",
        f"avg {short.days} d",
        "change",
        f"n {long.days} d",
        f"n {short.days} d",
    )
    return Table("Scores", heads, rows)


def category_table(short: Window, long: Window) -> Table:
    """Return the shares of the values of categorical scores in both windows."""
    lately = {(one.name, one.value): one for one in short.categories}
    rows = []
    for one in long.categories:
        recent = lately.get((one.name, one.value))
        rows.append(
            (
                f"{one.name} = {one.value}",
                percent(one.share),
                percent(recent.share) if recent else NOTHING,
                f"{one.count:,}",
                f"{recent.count if recent else 0:,}",
            )
        )
    heads = (
        "score",
        f"share {long.days} d",
        f"share {short.days} d",
        f"n {long.days} d",
        f"n {short.days} d",
    )
    return Table("Categorical scores", heads, rows)


def lines_of(table: Table) -> list[str]:
    """Return a table as aligned lines: names to the left, numbers to the right."""
    every = [table.heads, *table.rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(table.heads))]
    return [
        "  ".join(
            f"{cell:<{width}}" if column == 0 else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in every
    ]


def _cost_row(cost: Cost, recent: float | None, whole: float) -> tuple[str, ...]:
    return (
        cost.name,
        usd(cost.cost),
        usd(recent),
        percent(cost.cost / whole if whole else None),
        f"{cost.tokens:,}",
        f"{cost.calls:,}",
    )


def _latency_row(latency: Latency, days: int) -> tuple[str, ...]:
    values: tuple[Any, ...] = (latency.p50, latency.p95, latency.p99)
    return (
        latency.name,
        str(days),
        f"{latency.count:,}",
        *(NOTHING if value is None else f"{value:.3f}" for value in values),
        percent(latency.errors),
    )
