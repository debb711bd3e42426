"""`report`: show cost, latency, errors and scores of 7 and 30 days, and write them as files."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from scripts.api.client import AsyncApi
from scripts.api.keys import ProjectKey
from scripts.core.console import Console
from scripts.core.errors import EXIT_OK
from scripts.core.layout import write_private
from scripts.engines.context import Context
from scripts.watch.alerts.queries import OWN_ENVIRONMENTS
from scripts.watch.alerts.readings import TIMEOUT_S, selected_keys
from scripts.watch.overview import Overview, page_of, read_overviews

from .files import csv_files, json_of
from .fixed import FixedCosts, load_fixed_costs
from .gather import asker, gather_report
from .model import Report
from .queries import window
from .tables import lines_of, tables_of

_IN_PARALLEL = 4
_DAYS = 30


def report(context: Context, *, project: str, into: Path | None, base_url: str) -> int:
    """The command. Exit code 0: every report was written."""
    keys = selected_keys(context, project)
    costs = load_fixed_costs(*context.layout.edited("costs.yaml"))
    url = base_url or context.current_engine(context.lenient_settings()).local_url
    with context.console.working(f"Reading {'one project' if len(keys) == 1 else f'{len(keys)} projects'}"):
        now = datetime.now(UTC)
        reports = asyncio.run(gather_reports(url, keys, now, costs))
        days = window(now, _DAYS)
        overviews = read_overviews(context, keys, url, days.start, days.end, OWN_ENVIRONMENTS)
    directory = into or context.layout.stack_dir / "report"
    # Before anything is shown: a pager that ends early takes the command with it.
    for one, overview in zip(reports, overviews, strict=True):
        write_report(one, render(context, one, overview), directory / one.project)
    for one in reports:
        show(context.console, one)
        page = context.layout.shown(directory / one.project / "report.html")
        context.console.print(f"Written to {page}, with JSON and CSV beside it.")
    return EXIT_OK


async def gather_reports(
    base_url: str, keys: Sequence[ProjectKey], now: datetime, costs: FixedCosts
) -> list[Report]:
    """Return the report of each project. Raises MetricsError."""
    slots = asyncio.Semaphore(_IN_PARALLEL)
    # The first request that fails is told. Those beside it fail too, and nobody waits for them any more.
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    async with AsyncApi(base_url, timeout_s=TIMEOUT_S) as client:
        return await asyncio.gather(
            *(gather_report(key.project, asker(client, key, slots), now, costs) for key in keys)
        )


def show(console: Console, report: Report) -> None:
    """Print all tables of a report."""
    console.styled(f"Project {report.project}, {report.taken:%Y-%m-%d %H:%M} UTC", "bold")
    for table in tables_of(report):
        console.print()
        console.styled(table.title, "bold")
        for line in lines_of(table):
            console.print(line)
    console.print()


def render(context: Context, report: Report, overview: Overview) -> str:
    """Return the overview with the tables of a report."""
    title = f"Report of {report.project}, {report.taken:%Y-%m-%d %H:%M} UTC"
    note = "Days are UTC days, today included. The tables count the cost of model calls, in USD."
    return page_of(context, title, note, [overview.section(tables_of(report))])


def write_report(report: Report, page: str, directory: Path) -> None:
    """Write a report as HTML, JSON and CSV, readable by its owner only: names and costs are nobody else's."""
    files = {"report.html": page, "report.json": json_of(report), **csv_files(report)}
    for name, text in files.items():
        write_private(directory / name, text)
