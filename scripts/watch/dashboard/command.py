"""`dashboard`: write the overview of the last seven days of all projects, and all alerts, as HTML."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from scripts.core.errors import EXIT_OK
from scripts.core.layout import write_private
from scripts.engines.context import Context
from scripts.watch.alerts.document import load_alerts
from scripts.watch.alerts.evaluate import Finding, State
from scripts.watch.alerts.paths import alerts_file
from scripts.watch.alerts.readings import find, read_values, selected_keys
from scripts.watch.alerts.telling import body_of
from scripts.watch.exporter.summary import summarize
from scripts.watch.overview import page_of, read_overviews
from scripts.watch.table import Table, number, percent, usd

_RANGE = timedelta(days=7)
_ORDER = (State.FIRING, State.OK, State.TOO_FEW, State.NO_DATA)


def dashboard(context: Context, *, output: Path | None, base_url: str) -> int:
    """The command. Exit code 0: the page was written."""
    path = alerts_file(context)
    file = load_alerts(path, context.layout.shown(path))
    keys = selected_keys(context, "")
    url = base_url or context.current_engine(context.lenient_settings()).local_url
    now = datetime.now(UTC)
    with context.console.working(f"Reading {_many(len(keys), 'project')}"):
        values = asyncio.run(read_values(file, keys, url, now))
        overviews = read_overviews(context, keys, url, now - _RANGE, now)
    findings = find(file, values)
    sections = []
    for overview in overviews:
        own = [one for one in findings if one.project == overview.project]
        agents = summarize(overview.project, values[overview.project])["agents"]
        told = {**body_of(own), "at": now.isoformat()}
        sections.append((_firing(own), overview.section([agents_table(agents), alerts_table(own)], told)))
    sections.sort(key=lambda pair: -pair[0])  # what needs a person comes first
    firing = _firing(findings)
    title = f"{_many(len(keys), 'project')}, {_many(firing, 'alert')} firing"
    page = page_of(context, title, f"{url}, {now:%Y-%m-%d %H:%M:%S} UTC", [one for _, one in sections])
    target = output or context.layout.stack_dir / "dashboard.html"
    write_private(target, page)  # numbers of a company are not for every user of the machine
    context.console.print(context.layout.shown(target))
    return EXIT_OK


def agents_table(agents: Sequence[Mapping[str, Any]]) -> Table:
    """Return what each agent did and cost, in the longest windows that alerts look at."""
    columns = {
        "runs": ("tasks", number),
        "errors": ("error_rate", percent),
        "success": ("success_rate", percent),
        "quality": ("quality", number),
        "USD": ("cost_usd", usd),
        "USD a run": ("cost_usd_per_task", usd),
        "tokens": ("tokens", number),
        "input": ("input_tokens_share", percent),
        "p95 s": ("latency_p95_seconds", number),
    }
    rows = [(one["agent"], *(show(one.get(key)) for key, show in columns.values())) for one in agents]
    return Table("Agents", ("agent", *columns), rows)


def alerts_table(findings: Sequence[Finding]) -> Table:
    """Return every alert with what it says now, those that fire first."""
    rows = [
        (
            f"{one.alert.name} ({one.group})" if one.group else one.alert.name,
            one.state.value,
            number(one.value),
            f"{one.alert.condition_text}, {one.alert.window.text}",
            number(one.samples),
        )
        for one in sorted(findings, key=lambda one: _ORDER.index(one.state))
    ]
    return Table("All alerts", ("alert", "state", "value", "condition", "values"), rows)


def _firing(findings: Sequence[Finding]) -> int:
    return sum(one.state is State.FIRING for one in findings)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
