"""Model calls of the last day, and which of them two instrumentations have reported."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations
from typing import Any

from scripts.api.client import Api
from scripts.api.errors import ErrorAnswer, NoAnswer
from scripts.api.keys import project_keys
from scripts.check.doctor.facts import Facts, NotGathered, Surroundings

from .server import Server

TIMEOUT_S = 4.0
PERIOD = timedelta(days=1)
CALLS_ASKED = 500
"""The last ones of each kind in each project: enough to see how an application is instrumented."""
_KINDS = ("GENERATION", "EMBEDDING")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Twice:
    """Two observations of one model call."""

    project: str
    trace_id: str
    outer: str
    inner: str


@dataclass(frozen=True, slots=True)
class Calls:
    """How many model calls were seen, and those that were reported twice."""

    count: int
    twice: Sequence[Twice]


def gather_calls(surroundings: Surroundings, facts: Facts) -> Calls:
    """Return the last calls of all projects whose keys the server accepts."""
    keys = facts.of(Server).accepted(project_keys(surroundings.context.layout.credentials_dir))
    since = (surroundings.now - PERIOD).strftime("%Y-%m-%dT%H:%M:%SZ")
    count = 0
    twice: list[Twice] = []
    with Api(surroundings.url(), timeout_s=TIMEOUT_S) as api:
        for key in keys:
            rows: list[Row] = []
            for kind in _KINDS:
                try:
                    rows += api.get(
                        "v2/observations",
                        keys=key.keys,
                        type=kind,
                        fromStartTime=since,
                        limit=CALLS_ASKED,
                        fields="core,basic,usage",
                    )["data"]
                except NoAnswer as error:
                    raise NotGathered(f"observations cannot be read ({error.kind})") from error
                except ErrorAnswer as error:
                    raise NotGathered(f"GET /api/public/v2/observations answers {error.status}") from error
            count += len(rows)
            twice += reported_twice(key.project, rows)
    return Calls(count, twice)


def reported_twice(project: str, rows: Sequence[Row]) -> Iterator[Twice]:
    """Yield calls that look like one: in one trace, with the same tokens, one during the other.

    The inner one is a child of the outer one, or has another name: copies of one name side by side are
    samples of one prompt.
    """
    alike: dict[object, list[Row]] = defaultdict(list)
    for row in rows:
        usage = row.get("usageDetails") or {}
        if usage.get("total") and row.get("endTime"):
            alike[row["traceId"], *sorted(usage.items())].append(row)
    for group in alike.values():
        for one, other in combinations(group, 2):
            for outer, inner in ((one, other), (other, one)):
                during = outer["startTime"] <= inner["startTime"] and inner["endTime"] <= outer["endTime"]
                if during and (
                    inner.get("parentObservationId") == outer["id"] or inner["name"] != outer["name"]
                ):
                    yield Twice(project, str(outer["traceId"]), str(outer["name"]), str(inner["name"]))
                    break
