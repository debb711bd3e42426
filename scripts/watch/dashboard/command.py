"""`dashboard`: write the numbers of the dashboards as one HTML page."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from scripts.core.errors import EXIT_OK
from scripts.core.layout import write_private
from scripts.engines.context import Context
from scripts.watch.alerts.document import load_alerts
from scripts.watch.alerts.paths import alerts_file
from scripts.watch.alerts.readings import find, read_values, selected_keys
from scripts.watch.exporter.summary import summarize

from .page import Numbers, render


def run(context: Context, *, output: Path | None, base_url: str) -> int:
    """The command. Exit code 0: the page was written."""
    path = alerts_file(context)
    file = load_alerts(path, context.layout.shown(path))
    keys = selected_keys(context, "")
    url = base_url or context.current_engine(context.lenient_settings()).local_url
    now = datetime.now(UTC)
    with context.console.working(f"Reading {len(keys)} projects"):
        values = asyncio.run(read_values(file, keys, url, now))
    page = render(
        Numbers(
            server=url,
            taken=now,
            projects=[summarize(project, own) for project, own in values.items()],
            findings=find(file, values),
        )
    )
    target = output or context.layout.stack_dir / "dashboard.html"
    write_private(target, page)  # numbers of a company are not for every user of the machine
    context.console.print(context.layout.shown(target))
    return EXIT_OK
