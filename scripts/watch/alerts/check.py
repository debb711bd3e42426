"""`alerts-check`: evaluate all alerts now against the running engine, and print a table."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from scripts.core.errors import EXIT_FAILED, EXIT_OK, EXIT_WARNINGS, UsageError
from scripts.engines.context import Context

from .document import load_alerts
from .evaluate import Finding, State, Values, evaluate
from .model import AlertFile
from .paths import alerts_file
from .promql import number
from .queries import plan_queries, values
from .reader import ProjectKey, open_client, project_keys, read_answers
from .series import all_series

TIMEOUT_S = 30.0
_IN_PARALLEL = 4


def run(context: Context, *, project: str, base_url: str) -> int:
    """The verb. Exit code 0: nothing fires; 1: something fires; 3: there is no data at all."""
    path = alerts_file(context)
    file = load_alerts(path, context.layout.shown(path))
    keys = selected_keys(context, project)
    url = base_url or context.current_engine(context.lenient_settings()).local_url
    findings = find(file, asyncio.run(read_values(file, keys, url, datetime.now(UTC))))
    for line in table(findings):
        context.console.print(line)
    return exit_code(findings)


async def read_values(
    file: AlertFile, keys: Sequence[ProjectKey], base_url: str, now: datetime
) -> dict[str, Values]:
    """Return the values of all series of each project at the time `now`. Raises MetricsError."""
    series = all_series(file)
    queries = plan_queries(series)
    slots = asyncio.Semaphore(_IN_PARALLEL)
    async with open_client(base_url, TIMEOUT_S) as client:
        answers = await asyncio.gather(
            *(read_answers(client, key, queries, now, slots=slots) for key in keys)
        )
    return {
        key.project: {one: values(one, answer, now) for one in series}
        for key, answer in zip(keys, answers, strict=True)
    }


def find(file: AlertFile, read: Mapping[str, Values]) -> list[Finding]:
    """Return what every alert says about every project."""
    return [
        finding
        for project, own in read.items()
        for alert in file.alerts
        for finding in evaluate(alert, project, own, file.values(project))
    ]


def exit_code(findings: Sequence[Finding]) -> int:
    """Return 1 where something fires, 3 where no alert has any data, else 0."""
    states = {finding.state for finding in findings}
    if State.FIRING in states:
        return EXIT_FAILED
    return EXIT_WARNINGS if states <= {State.NO_DATA} else EXIT_OK


def table(findings: Sequence[Finding]) -> list[str]:
    """Return the lines of the table: what fires first, then by project and alert."""
    order = {State.FIRING: 0, State.TOO_FEW: 1, State.OK: 1, State.NO_DATA: 2}
    sorted_findings = sorted(findings, key=lambda finding: (order[finding.state], finding.project))
    rows = [("STATE", "PROJECT", "ALERT", "VALUE", "CONDITION", "WINDOW", "SAMPLES")]
    rows += [_row(finding) for finding in sorted_findings]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _row(finding: Finding) -> tuple[str, str, str, str, str, str, str]:
    alert = finding.alert
    return (
        finding.state.value,
        finding.project,
        f"{alert.name}{f' ({finding.group})' if finding.group else ''}",
        "-" if finding.value is None else f"{finding.value:.4g}",
        alert.condition_text,
        alert.window.text,
        number(finding.samples),
    )


def selected_keys(context: Context, project: str) -> list[ProjectKey]:
    """Return the keys of one project, or of all. Raises UsageError where there is none."""
    directory = context.layout.credentials_dir
    known = project_keys(directory)
    keys = [key for key in known if project in ("", key.project)]
    if not keys:
        named = f" of project {project}" if project else ""
        there = ", ".join(key.project for key in known)
        raise UsageError(
            f"There are no credentials{named} in {context.layout.shown(directory)}.",
            fix=f"choose one with PROJECT=: {there}."
            if known
            else "run `make up`, which creates projects and keys.",
        )
    return keys
