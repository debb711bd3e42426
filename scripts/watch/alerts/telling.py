"""Tell the embedded engine what alerts say: its overview begins with what fires."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from scripts.api.client import AsyncApi
from scripts.api.errors import ErrorAnswer
from scripts.api.keys import ProjectKey

from .evaluate import Finding, State

PATH = "/api/embedded/alerts"
_STATES = {
    State.FIRING: "firing",
    State.OK: "ok",
    State.TOO_FEW: "too_few",
    State.NO_DATA: "no_data",
}
MOST_ALERTS = 500
"""How many the engine takes of a project; what fires comes first."""
_MOST_CHARACTERS = 1000
_NO_SUCH_ROUTE = (404, 405)


async def tell(client: AsyncApi, key: ProjectKey, findings: Sequence[Finding]) -> bool:
    """Tell what alerts say about one project; return whether the server has a place for it.

    Raises:
        ApiError: it does not answer, or refuses what it was told.
    """
    answer = await client.request("PUT", PATH, body=body_of(findings), keys=key.keys)
    if answer.status_code in _NO_SUCH_ROUTE:
        return False
    if not answer.is_success:
        raise ErrorAnswer(
            f"PUT {client.base_url}{PATH} answers {answer.status_code}: {answer.text[:200]}",
            status=answer.status_code,
            fix="look at `make logs`.",
        )
    return True


def body_of(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return what alerts say about one project as the engine takes it."""
    firing_first = sorted(findings, key=lambda one: one.state is not State.FIRING)
    return {"alerts": [_shown(one) for one in firing_first[:MOST_ALERTS]]}


def _shown(finding: Finding) -> dict[str, Any]:
    alert = finding.alert
    texts = {
        "name": alert.name,
        "group": finding.group,
        "condition": alert.condition_text,
        "window": alert.window.text,
        "runbook": alert.runbook,
        "description": alert.description,
    }
    return {
        **{name: text[:_MOST_CHARACTERS] for name, text in texts.items()},
        "state": _STATES[finding.state],
        "severity": alert.severity.value,
        # JSON has no infinity.
        "value": finding.value if finding.value is not None and isfinite(finding.value) else None,
    }
