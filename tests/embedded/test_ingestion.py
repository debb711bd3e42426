"""The legacy batch: every event has an answer of its own."""

from __future__ import annotations

import base64
import secrets
from contextlib import closing, suppress
from http.client import HTTPConnection, RemoteDisconnected
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from .harness import RunningEngine

URL = "/api/public/ingestion"
TIMESTAMP = "2026-01-15T10:00:00.000Z"


def _event(kind: str, body: Any, **changes: Any) -> dict[str, Any]:
    return {"id": secrets.token_hex(8), "type": kind, "timestamp": TIMESTAMP, "body": body, **changes}


def _score(**changes: Any) -> dict[str, Any]:
    body = {"id": secrets.token_hex(8), "traceId": "t", "name": "n", "value": 1, **changes}
    return _event("score-create", body)


def _send(client: httpx.Client, *events: Any) -> dict[str, Any]:
    answer = client.post(URL, json={"batch": list(events), "metadata": {"sdk_name": "python"}})
    assert answer.status_code == 207, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_scores_and_logs_are_taken_and_scores_are_stored_at_the_time_of_their_event(
    client: httpx.Client,
) -> None:
    score, message = _score(), _event("sdk-log", {"log": "hello"})
    assert _send(client, score, message) == {
        # Logs are taken without a word.
        "successes": [{"id": score["id"], "status": 201}],
        "errors": [],
    }
    [stored] = client.get("/api/public/v3/scores", params={"id": score["body"]["id"]}).json()["data"]
    assert (stored["timestamp"], stored["value"]) == (TIMESTAMP, 1)


def test_other_types_are_refused_one_by_one_in_events_only_mode(client: httpx.Client) -> None:
    score, trace, unknown = _score(), _event("trace-create", {"id": "t"}), _event("nope", {})
    answer = _send(client, trace, score, unknown)
    assert answer["successes"] == [{"id": score["id"], "status": 201}]
    for event, error in zip((trace, unknown), answer["errors"], strict=True):
        assert (error["id"], error["status"]) == (event["id"], 400)
        assert error["message"] == "Event type not accepted"
        assert error["error"].startswith(f'Event type "{event["type"]}" is not accepted by {URL}')


def test_an_evaluators_score_is_taken_here(client: httpx.Client) -> None:
    event = _score(source="EVAL")
    assert _send(client, event)["errors"] == []
    [stored] = client.get("/api/public/v3/scores", params={"id": event["body"]["id"]}).json()["data"]
    assert stored["source"] == "EVAL"


@pytest.mark.parametrize(
    "broken",
    [
        _event("score-create", {"traceId": "t", "value": 1}),
        _event("score-create", {"name": "n", "value": 1}),
        _event("score-create", None),
        {**_score(), "timestamp": "soon"},
        {**_score(), "id": ""},
        {**_score(), "id": "x" * 801},
        {**_score(), "id": "a\rb"},
    ],
)
def test_a_broken_event_is_answered_with_400_and_the_others_are_kept(
    client: httpx.Client, broken: dict[str, Any]
) -> None:
    good = _score()
    answer = _send(client, broken, good)
    assert answer["successes"] == [{"id": good["id"], "status": 201}]
    [error] = answer["errors"]
    assert (error["id"], error["status"], error["message"]) == (broken["id"], 400, "Invalid request data")


def test_what_is_no_event_at_all_is_answered_without_an_id(client: httpx.Client) -> None:
    answer = _send(client, "text", None, 5)
    assert [(error["id"], error["status"]) for error in answer["errors"]] == [("unknown", 400)] * 3


def test_a_log_needs_a_body_with_a_log(client: httpx.Client) -> None:
    """As `SdkLogEvent` of the server (ingestion/types.ts), whose JSON is anything but null at its root."""
    event = {"id": secrets.token_hex(8), "type": "sdk-log", "timestamp": TIMESTAMP}
    for body in ({}, {"body": {}}, {"body": {"log": None}}):
        assert [error["status"] for error in _send(client, {**event, **body})["errors"]] == [400]
    for log in ("a text", {"level": None}, [1]):
        assert _send(client, {**event, "body": {"log": log}})["errors"] == []


def test_an_empty_batch_is_answered_with_empty_lists(client: httpx.Client) -> None:
    assert _send(client) == {"successes": [], "errors": []}


@pytest.mark.parametrize("body", [{"nope": 1}, {"batch": {}}, [], "text"])
def test_a_body_without_a_batch_is_refused_with_a_list_of_texts(client: httpx.Client, body: Any) -> None:
    answer = client.post(URL, json=body)
    assert answer.status_code == 400
    assert answer.json()["message"] == "Invalid request data"
    assert all(isinstance(text, str) for text in answer.json()["errors"])


def test_the_public_key_alone_may_send_scores(engine: RunningEngine) -> None:
    headers = {"authorization": f"Bearer {engine.keys.public_key}"}
    with httpx.Client(base_url=engine.base_url, headers=headers) as browser:
        assert _send(browser, _score())["errors"] == []


def test_without_a_key_nothing_is_taken(engine: RunningEngine) -> None:
    answer = httpx.post(f"{engine.base_url}{URL}", json={"batch": [_score()]})
    assert answer.status_code == 401
    assert answer.json() == {"message": "No authorization header", "error": "UnauthorizedError"}


def test_a_batch_beyond_the_limit_is_refused_whole(client: httpx.Client) -> None:
    headers = {"content-type": "application/json", "connection": "close"}
    assert client.post(URL, content=b"x" * 4_720_000, headers=headers).status_code == 413


@pytest.mark.parametrize("declared", [True, False], ids=["Content-Length", "chunked"])
def test_a_connection_is_closed_after_a_413_though_it_was_announced_as_kept_alive(
    engine: RunningEngine, *, declared: bool
) -> None:
    """As the server's framework does: a client that reuses such a connection meets a disconnect."""
    body = b"x" * 4_720_000
    address = urlsplit(engine.base_url)
    connection = HTTPConnection(str(address.hostname), address.port, timeout=10)
    login = base64.b64encode(f"{engine.keys.public_key}:{engine.keys.secret_key}".encode()).decode()
    headers = {"content-type": "application/json", "authorization": f"Basic {login}"}
    with closing(connection):
        connection.request(
            "POST", URL, body if declared else iter([body]), headers, encode_chunked=not declared
        )
        answer = connection.getresponse()
        assert answer.status == 413
        assert (answer.headers.get("connection") or "keep-alive").lower() == "keep-alive"
        assert b"exceeded" in answer.read()
        connection.auto_open = 0
        with suppress(ConnectionError):
            connection.request("GET", "/api/public/health")
        with pytest.raises((RemoteDisconnected, ConnectionError)):
            connection.getresponse()
