"""Compare the record of the embedded engine with what it derives from it.

The engine answers after it has committed, to one file: there is no second place where something acknowledged
could have stayed. What can lag behind or be damaged is the projection that answers metrics.
"""

from __future__ import annotations

import json
from datetime import datetime

from scripts.api.client import Api

from .findings import Findings

_PAGE = 1000


def find(remote: Api, project: str, since: datetime | None, until: datetime) -> Findings:
    """Return how many observations of a project the record has, and the metrics have not.

    Raises:
        StackError: the engine does not answer.
    """
    begin = _iso(since) if since else "2000-01-01T00:00:00.000Z"
    findings = Findings(project)
    query: dict[str, str | int] = {
        "fields": "core",
        "limit": _PAGE,
        "fromStartTime": begin,
        "toStartTime": _iso(until),
    }
    for page, _ in remote.by_cursor("v2/observations", query):
        findings.batches += 1
        findings.spans += len(page)
    question = {
        "view": "observations",
        "metrics": [{"measure": "count", "aggregation": "count"}],
        "dimensions": [],
        "filters": [],
        "fromTimestamp": begin,
        "toTimestamp": _iso(until),
    }
    rows = remote.get("v2/metrics", query=json.dumps(question))["data"]
    counted = int(rows[0]["count_count"]) if rows else 0
    if counted != findings.spans:
        findings.missing["metrics"] = abs(findings.spans - counted)
    return findings


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
