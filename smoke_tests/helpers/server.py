"""Read from a Langfuse v4 server the way its documentation says: v2/observations, v3/scores, v2/metrics."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx

from smoke_tests.helpers.polling import DEFAULT_HINT, TransientAnswerError, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from smoke_tests.helpers.target import Target

Row = dict[str, Any]

REQUEST_TIMEOUT_S = 15.0
ALL_OBSERVATION_FIELDS = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"
ALL_SCORE_FIELDS = "details,subject"
TOO_MANY_REQUESTS = 429
CLIENT_ERROR = 400
SERVER_ERROR = 500


class UnexpectedAnswerError(AssertionError):
    """The server refused a read that it must serve; asking again would not help."""


class Server:
    """One project on one server, over plain HTTP.

    Tests that look at raw answers use `http`, which sends the keys, or `anonymous`, which does not.
    """

    def __init__(self, target: Target) -> None:
        """Open a connection pool; nothing is sent yet."""
        self.target = target
        self.http = httpx.Client(
            base_url=target.base_url,
            auth=(target.public_key, target.secret_key),
            timeout=REQUEST_TIMEOUT_S,
        )
        self.anonymous = httpx.Client(base_url=target.base_url, timeout=REQUEST_TIMEOUT_S)

    def close(self) -> None:
        """Close the connections."""
        self.http.close()
        self.anonymous.close()

    def post_oversized(self, path: str, body: object) -> httpx.Response:
        """POST a body that the server will not read to its end, over a connection of its own.

        Langfuse answers 413 and then closes a connection that it has announced as kept alive: the next
        request over it meets a disconnect.
        """
        with httpx.Client(
            base_url=self.target.base_url, auth=self.http.auth, timeout=REQUEST_TIMEOUT_S
        ) as client:
            return client.post(path, json=body)

    def read(self, path: str, **params: str | int) -> Row:
        """Return the JSON object that a GET answers.

        Raises:
            UnexpectedAnswerError: the server answered 4xx.
            TransientAnswerError: the server answered 429 or 5xx.
        """
        response = self.http.get(path, params=params)
        if response.status_code >= SERVER_ERROR or response.status_code == TOO_MANY_REQUESTS:
            raise TransientAnswerError(_describe(response))
        if response.status_code >= CLIENT_ERROR:
            raise UnexpectedAnswerError(_describe(response))
        answer: Row = response.json()
        return answer

    def version(self) -> str:
        """Return the version that the server reports of itself."""
        return str(self.read("/api/public/health")["version"])

    def observations(self, **params: str | int) -> list[Row]:
        """Return one page of observations with all their fields."""
        answer = self.read("/api/public/v2/observations", fields=ALL_OBSERVATION_FIELDS, limit=100, **params)
        return list(answer["data"])

    def scores(self, **params: str | int) -> list[Row]:
        """Return one page of scores with comment, metadata and subject."""
        answer = self.read("/api/public/v3/scores", fields=ALL_SCORE_FIELDS, limit=100, **params)
        return list(answer["data"])

    def metrics(self, query: Row) -> list[Row]:
        """Return the rows of a Metrics API v2 query."""
        return list(self.read("/api/public/v2/metrics", query=json.dumps(query))["data"])

    def await_observations(self, names: Collection[str], **params: str) -> dict[str, Row]:
        """Wait until the observations of these names are readable, and return them by name.

        `names` are all that the query finds: another name, or a name that comes twice, is a failure.
        """
        rows = eventually(
            lambda: self.observations(**params),
            lambda found: _lacking("observations", set(names) - {row["name"] for row in found}),
            what=f"the observations {sorted(names)} of {params}",
        )
        assert sorted(row["name"] for row in rows) == sorted(names), f"unexpected observations for {params}"
        return {row["name"]: row for row in rows}

    def await_count(self, count: int, **params: str) -> list[Row]:
        """Wait until exactly `count` observations are readable, oldest first."""
        rows = eventually(
            lambda: self.observations(**params),
            lambda found: "" if len(found) >= count else f"{count - len(found)} of {count} observations",
            what=f"{count} observations of {params}",
        )
        assert len(rows) == count, f"{len(rows)} observations for {params}, expected {count}"
        return sorted(rows, key=lambda row: str(row["startTime"]))

    def await_scores(
        self, count: int, missing: Callable[[list[Row]], str] | None = None, **params: str
    ) -> list[Row]:
        """Wait until exactly `count` scores are readable (and `missing` finds nothing missing in them)."""

        def lacking(found: list[Row]) -> str:
            if len(found) < count:
                return f"{count - len(found)} of {count} scores"
            return missing(found) if missing else ""

        rows = eventually(
            lambda: self.scores(**params),
            lacking,
            what=f"{count} scores of {params}",
            hint="scores take another way than spans: a wrong pair of SDK and server loses them in silence "
            f"(test_pair.py examines it); else {DEFAULT_HINT}",
        )
        assert len(rows) == count, f"{len(rows)} scores for {params}, expected {count}: {rows}"
        return rows

    def await_metrics(self, query: Row, missing: Callable[[list[Row]], str], what: str) -> list[Row]:
        """Wait until a metrics query answers with rows in which nothing is missing."""
        return eventually(lambda: self.metrics(query), missing, what=what)


def _lacking(noun: str, names: set[str]) -> str:
    return f"{noun} {', '.join(sorted(names))}" if names else ""


def _describe(response: httpx.Response) -> str:
    return f"{response.request.method} {response.request.url} -> {response.status_code} {response.text[:500]}"
