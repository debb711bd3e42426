"""`alerts-check`: evaluate all alerts now against the running engine, print a table, and tell the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from scripts.api.client import AsyncApi
from scripts.api.errors import ApiError
from scripts.api.keys import ProjectKey
from scripts.core.errors import EXIT_FAILED, EXIT_OK, EXIT_WARNINGS
from scripts.engines.context import Context

from .document import load_alerts
from .evaluate import Finding, State
from .paths import alerts_file
from .promql import number
from .readings import TIMEOUT_S, find, read_values, selected_keys
from .telling import tell


def alerts_check(context: Context, *, project: str, base_url: str) -> int:
    """The command. Exit code 0: nothing fires; 1: something fires; 3: there is no data at all."""
    path = alerts_file(context)
    file = load_alerts(path, context.layout.shown(path))
    keys = selected_keys(context, project)
    url = base_url or context.current_engine(context.lenient_settings()).local_url
    findings = find(file, asyncio.run(read_values(file, keys, url, datetime.now(UTC))))
    for line in table(findings):
        context.console.print(line)
    try:
        asyncio.run(_tell(keys, url, findings))
    except ApiError as error:
        context.console.warn(f"The overview of the engine does not show this: {error}")
    return exit_code(findings)


async def _tell(keys: Sequence[ProjectKey], base_url: str, findings: Sequence[Finding]) -> None:
    async with AsyncApi(base_url, timeout_s=TIMEOUT_S) as client:
        for key in keys:
            if not await tell(client, key, [one for one in findings if one.project == key.project]):
                return


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
