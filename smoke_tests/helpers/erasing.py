"""Take away what a run wrote: traces and scores of a test are nobody's quality, cost or alert."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from smoke_tests.helpers.polling import TransientAnswerError, eventually
from smoke_tests.helpers.server import UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from smoke_tests.helpers.server import Row, Server

# What alerts, reports and dashboards leave out, together with the canary's.
ENVIRONMENT = "stack-smoke"
OPENTELEMETRY_ENVIRONMENT = "stack-smoke-otel"
PAGE = 1000
AT_ONCE = 100


def erase(server: Server, release: str, since: str) -> int:
    """Delete the traces of a run and the scores beside them; return how many traces there were.

    A score of a session, or of a trace that nobody sent, is one of this environment since the run began.

    Args:
        server: where they are.
        release: what every observation of the run carries.
        since: the begin of the run, ISO 8601, for scores of no trace.

    Raises:
        UnexpectedAnswerError: the server refuses.
    """
    rows = list(_rows(server, release))
    traces = sorted({str(row["traceId"]) for row in rows})
    for begin in range(0, len(traces), AT_ONCE):
        _delete(server, "/api/public/traces", {"traceIds": traces[begin : begin + AT_ONCE]})
    about: dict[str, str | int] = {
        "fields": "details,subject",
        "environment": ENVIRONMENT,
        "fromTimestamp": since,
        "limit": 100,
    }
    of_traces = set(traces)
    for score in list(_pages(server, "/api/public/v3/scores", about)):
        if (score.get("subject") or {}).get("id") not in of_traces:
            _delete(server, f"/api/public/scores/{score['id']}")
    return len(traces)


def _rows(server: Server, release: str) -> Iterator[Row]:
    wanted = [{"type": "string", "column": "release", "operator": "=", "value": release}]
    about: dict[str, str | int] = {
        "filter": json.dumps(wanted),
        "fields": "core,basic,trace_context",
        "limit": PAGE,
    }
    return _pages(server, "/api/public/v2/observations", about)


def _pages(server: Server, path: str, about: Mapping[str, str | int]) -> Iterator[Row]:
    query = dict(about)
    while True:
        answer = server.read(path, **query)
        yield from answer["data"]
        cursor = (answer.get("meta") or {}).get("cursor")
        if not cursor:
            return
        query["cursor"] = cursor


def _delete(server: Server, path: str, body: object = None) -> None:
    def attempt() -> int:
        answer = server.http.request("DELETE", path, json=body)
        if answer.status_code == 429 or answer.status_code >= 500:
            msg = f"DELETE {path} -> {answer.status_code} {answer.text[:200]}"
            raise TransientAnswerError(msg)
        return answer.status_code

    # Gone is gone: a score goes with its trace.
    code = eventually(attempt, lambda _code: "", what=f"the answer to DELETE {path}")
    if code >= 400 and code != 404:
        msg = f"DELETE {path} -> {code}"
        raise UnexpectedAnswerError(msg)
