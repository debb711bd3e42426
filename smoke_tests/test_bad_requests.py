"""Garbage, oversized bodies and wrong parameters get the right status, and the server lives on."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from smoke_tests.helpers.otlp import PATH, export_request, new_trace_id, span

if TYPE_CHECKING:
    from smoke_tests.helpers.server import Server

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
GZIP = {"Content-Encoding": "gzip"}

SCORE_BODY_LIMIT = 1_000_000  # bytes; ordinary JSON routes
BATCH_BODY_LIMIT = 4_500_000  # bytes; /ingestion


@dataclass(frozen=True)
class Bad:
    """A POST that must be refused with 400, and what its answer must say."""

    path: str
    content: bytes
    reason: str
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))


MALFORMED = {
    "not protobuf": Bad(PATH, b"\xff\xff\xff", "Failed to parse OTel Protobuf Trace", PROTOBUF),
    "not JSON": Bad(PATH, b"{", "Failed to parse OTel JSON Trace"),
    "not gzip": Bad(PATH, b"plain", "Failed to decompress request body", PROTOBUF | GZIP),
    "cut gzip": Bad(PATH, gzip.compress(b"x" * 999)[:-9], "Failed to decompress request body", JSON | GZIP),
    "no content type": Bad(PATH, b"{}", "Invalid content type", {}),
    "text": Bad(PATH, b"{}", "Invalid content type", {"Content-Type": "text/plain"}),
    "version 5": Bad(
        PATH,
        json.dumps(export_request(span(new_trace_id(), "from the future", {}))).encode(),
        "Unsupported x-langfuse-ingestion-version",
        JSON | {"x-langfuse-ingestion-version": "5"},
    ),
    "batch without a list": Bad("/api/public/ingestion", b'{"nope": 1}', "Invalid request data"),
    "score that is text": Bad("/api/public/scores", b'"text"', "Invalid request data"),
}

WRONG_PARAMETERS = {
    "observations limit": ("/api/public/v2/observations", {"limit": "100000"}),
    "observations cursor": ("/api/public/v2/observations", {"cursor": "bogus"}),
    "observations time": ("/api/public/v2/observations", {"fromStartTime": "yesterday"}),
    "observations filter": ("/api/public/v2/observations", {"filter": "nope"}),
    "scores unknown parameter": ("/api/public/v3/scores", {"scoreIds": "x"}),
    "scores observation without trace": ("/api/public/v3/scores", {"observationId": "x"}),
    "metrics without a query": ("/api/public/v2/metrics", {}),
    "metrics query that is not JSON": ("/api/public/v2/metrics", {"query": "{"}),
}


def assert_alive(server: Server) -> None:
    assert server.anonymous.get("/api/public/health").json()["status"] == "OK"


@pytest.mark.parametrize("bad", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_body_is_refused_with_the_reason(server: Server, bad: Bad) -> None:
    answer = server.http.post(bad.path, content=bad.content, headers=bad.headers)
    assert answer.status_code == 400, answer.text
    assert bad.reason in answer.text
    assert_alive(server)


@pytest.mark.parametrize(("path", "params"), WRONG_PARAMETERS.values(), ids=WRONG_PARAMETERS)
def test_a_wrong_parameter_is_refused(server: Server, path: str, params: dict[str, str]) -> None:
    answer = server.http.get(path, params=params)
    assert answer.status_code == 400, answer.text
    assert answer.json()["message"]
    assert_alive(server)


def test_an_export_with_a_span_without_ids_is_refused_whole(server: Server) -> None:
    trace_id = new_trace_id()
    nameless = {"name": "no ids", "startTimeUnixNano": "1", "endTimeUnixNano": "2"}
    answer = server.http.post(PATH, json=export_request(span(trace_id, "good", {}), nameless))
    assert answer.status_code == 400, answer.text
    assert server.observations(traceId=trace_id) == []


def test_an_event_that_events_only_does_not_take_is_refused_inside_the_207(server: Server) -> None:
    event = {
        "id": new_trace_id(),
        "type": "trace-create",
        "timestamp": "2026-01-01T00:00:00Z",
        "body": {"id": new_trace_id(), "name": "old style"},
    }
    answer = server.http.post("/api/public/ingestion", json={"batch": [event]})
    assert answer.status_code == 207, answer.text
    if answer.json()["successes"]:
        pytest.skip("this server runs in dual write mode and still takes trace-create")
    (error,) = answer.json()["errors"]
    assert (error["id"], error["status"]) == (event["id"], 400)
    assert error["message"] == "Event type not accepted"


@pytest.mark.parametrize(
    ("path", "limit"),
    [("/api/public/scores", SCORE_BODY_LIMIT), ("/api/public/ingestion", BATCH_BODY_LIMIT)],
)
def test_an_oversized_body_is_refused(server: Server, path: str, limit: int) -> None:
    body = {"traceId": new_trace_id(), "name": "big", "value": 1, "comment": "x" * (limit + limit // 4)}
    answer = server.post_oversized(path, body)
    assert answer.status_code == 413, answer.text[:500]
    assert_alive(server)


def test_a_span_of_two_megabytes_arrives_whole(server: Server) -> None:
    trace_id = new_trace_id()
    document = json.dumps({"pages": [f"page {number}" * 50 for number in range(4000)]})
    assert len(document) > 1_500_000
    attributes: dict[str, str | int] = {
        "langfuse.observation.type": "retriever",
        "langfuse.observation.output": document,
    }
    answer = server.http.post(PATH, json=export_request(span(trace_id, "document", attributes)))
    assert answer.status_code == 200, answer.text
    rows = server.await_observations(["document"], traceId=trace_id)
    assert rows["document"]["output"] == document
