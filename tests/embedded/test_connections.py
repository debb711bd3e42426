"""What goes over one connection, byte by byte: an answer leaves whole, at its time, before the next one."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from http.client import HTTPResponse

import pytest

from .harness import RunningEngine
from .spans import TRACES
from .test_idle_clients import connect, to_the_end

HEALTH = "/api/public/health"


@pytest.fixture
def connection(engine: RunningEngine) -> Iterator[socket.socket]:
    with connect(engine) as opened:
        yield opened


def request(method: str, path: str, **headers: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in {"host": "a", **headers}.items()]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode()


def answer(connection: socket.socket, method: str = "GET") -> tuple[int, bytes]:
    response = HTTPResponse(connection, method=method)
    response.begin()
    return response.status, response.read()


def test_answers_without_a_body_leave_at_once_and_the_connection_goes_on(connection: socket.socket) -> None:
    connection.settimeout(10)
    for method, path, status in (("HEAD", HEALTH, 200), ("OPTIONS", HEALTH, 204), ("GET", "/nowhere", 404)):
        connection.sendall(request(method, path))
        found, body = answer(connection, method)
        assert found == status
        assert bool(body) is (method == "GET")


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(
    engine: RunningEngine, connection: socket.socket
) -> None:
    connection.settimeout(10)
    body = json.dumps({"resourceSpans": []}).encode()
    headers = {
        "authorization": engine.keys.header,
        "content_type": "application/json",
        "content_length": str(len(body)),
        "expect": "100-continue",
    }
    connection.sendall(request("POST", TRACES, **headers))
    assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(body)
    assert answer(connection) == (200, b"{}")


def test_requests_sent_together_are_answered_one_after_the_other(connection: socket.socket) -> None:
    connection.sendall(
        request("GET", HEALTH) + request("GET", "/nowhere") + request("GET", HEALTH, connection="close")
    )
    came, _ = to_the_end(connection)
    parts = came.split(b"HTTP/1.1 ")
    assert [part[:3] for part in parts[1:]] == [b"200", b"404", b"200"]
    assert b"connection: close" in parts[-1].lower()
    for part in parts[1:]:
        head, _, body = part.partition(b"\r\n\r\n")
        assert f"content-length: {len(body)}".encode() in head.lower()


def test_a_request_that_cannot_be_read_is_answered_and_its_connection_closed(
    connection: socket.socket,
) -> None:
    connection.sendall(b"no request at all\r\n\r\n")
    came, _ = to_the_end(connection)
    assert came.startswith(b"HTTP/1.1 400 ")
