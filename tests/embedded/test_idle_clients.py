"""Clients that do nothing: half a request, a body that does not come, an answer that nobody reads."""

from __future__ import annotations

import contextlib
import socket
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest

from langfuse_embedded.http import pace, protocol

from .conftest import StartEngine
from .harness import RunningEngine
from .spans import TRACES, read, send, span, trace_id


def connect(engine: RunningEngine) -> socket.socket:
    parts = urlsplit(engine.base_url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60)


def to_the_end(connection: socket.socket) -> tuple[bytes, float]:
    """Read until the other side ends the connection; return what came and the seconds that took.

    One read may bring the head of an answer without its body.
    """
    begin = time.monotonic()
    answer = b""
    while part := connection.recv(65536):
        answer += part
    return answer, time.monotonic() - begin


def test_an_announced_body_that_does_not_come_takes_nothing_from_others(start_engine: StartEngine) -> None:
    engine = start_engine()
    neighbour = engine.provision("athena")
    head = (
        f"POST {TRACES} HTTP/1.1\r\nhost: a\r\nauthorization: {engine.keys.header}\r\n"
        f"content-type: application/json\r\ncontent-length: {64 * 2**20}\r\n\r\n"
    )
    with ExitStack() as opened:
        idle = [opened.enter_context(connect(engine)) for _ in range(8)]
        for connection in idle:
            connection.sendall(head.encode())
        for keys in (neighbour, engine.keys):
            with engine.client_for(keys) as client:
                trace = trace_id()
                send(client, span(trace))
                assert len(read(client, traceId=trace)) == 1
        for connection in idle:
            answer, seconds = to_the_end(connection)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"too slowly" in answer
            assert seconds < pace.IDLE_SECONDS + 20


def test_half_requests_are_closed_and_descriptors_are_free_again(start_engine: StartEngine) -> None:
    engine = start_engine()
    starts = (b"", b"P", b"POST /api", b"GET /api/public/health HTTP/1.1\r\nhost: a\r\nx-a: ")
    with ExitStack() as opened:
        half = [opened.enter_context(connect(engine)) for _ in range(100)]
        for number, connection in enumerate(half):
            connection.sendall(starts[number % len(starts)])
        assert engine.client.get("/api/public/health").status_code == 200
        for connection in half:
            _, seconds = to_the_end(connection)
            assert seconds < protocol.HEADER_SECONDS + 20


def test_headers_beyond_any_clients_are_refused(engine: RunningEngine) -> None:
    with connect(engine) as connection:
        connection.sendall(b"GET /api/public/health HTTP/1.1\r\nhost: a\r\n")
        for _ in range(40):
            try:
                connection.sendall(b"x-filler: " + b"a" * 4000 + b"\r\n")
            except OSError:
                break
        assert b" 431 " in connection.recv(65536)
    assert httpx.get(f"{engine.base_url}/api/public/health").status_code == 200


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"0\r\nx-a: ", b"a" * 65536),
        (b"0\r\n", b"x-a: b\r\n" * 8192),
        (b"2;extension=", b"a" * 65536),
        (b"", b"1\r\n \r\n" * 10_000),
    ],
    ids=["one trailer", "many trailers", "an extension of a chunk", "chunks of a byte"],
)
def test_a_chunked_body_that_is_mostly_not_a_body_is_cut_off(
    engine: RunningEngine, begin: bytes, more: bytes
) -> None:
    head = (
        f"POST {TRACES} HTTP/1.1\r\nhost: a\r\nauthorization: {engine.keys.header}\r\n"
        "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    sent = 0
    with connect(engine) as connection:
        connection.sendall(head.encode() + begin)
        with contextlib.suppress(ConnectionError):
            while sent < 64 * 2**20:
                connection.sendall(more)
                sent += len(more)
    # The buffers of both systems take some megabytes.
    assert sent < 32 * 2**20
    assert httpx.get(f"{engine.base_url}/api/public/health").status_code == 200


def test_a_chunked_body_with_an_extension_and_a_trailer_is_taken(engine: RunningEngine) -> None:
    head = (
        f"POST {TRACES} HTTP/1.1\r\nhost: a\r\nauthorization: {engine.keys.header}\r\n"
        "content-type: application/json\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    with connect(engine) as connection:
        connection.sendall(head.encode() + b"2;a=b\r\n{}\r\n0\r\nx-a: b\r\n\r\n")
        answer, _ = to_the_end(connection)
    assert answer.startswith(b"HTTP/1.1 200 ")


def upgrading(engine: RunningEngine, framing: str, connection: str = "upgrade") -> bytes:
    """Return the head of an export as Java's HttpClient sends it over HTTP."""
    head = (
        f"POST {TRACES} HTTP/1.1\r\nhost: a\r\nauthorization: {engine.keys.header}\r\n"
        f"content-type: application/json\r\n{framing}\r\nconnection: {connection}, HTTP2-Settings\r\n"
        "http2-settings: AAEAAEAA\r\nupgrade: h2c\r\n\r\n"
    )
    return head.encode()


def test_a_body_behind_an_upgrade_is_not_taken_for_a_request(engine: RunningEngine) -> None:
    hidden = f"GET /api/public/projects HTTP/1.1\r\nhost: a\r\nauthorization: {engine.keys.header}\r\n\r\n"
    with connect(engine) as connection:
        connection.sendall(upgrading(engine, f"content-length: {len(hidden)}", "close, upgrade"))
        connection.sendall(hidden.encode())
        answer = to_the_end(connection)[0]
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith(b"HTTP/1.1 400 "), "it is not JSON"


@pytest.mark.parametrize("split", [False, True], ids=["at once", "byte by byte"])
@pytest.mark.parametrize(
    ("framing", "body"),
    [
        ("content-length: 2", b"{}"),
        ("transfer-encoding: chunked", b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"),
    ],
    ids=["with a length", "in chunks"],
)
def test_an_upgrade_is_ignored_and_the_connection_goes_on(
    engine: RunningEngine, framing: str, body: bytes, split: bool
) -> None:
    last = b"GET /api/public/health HTTP/1.1\r\nhost: a\r\nconnection: close, upgrade\r\nupgrade: h2c\r\n\r\n"
    sent = upgrading(engine, framing) + body + upgrading(engine, framing) + body + last
    with connect(engine) as connection:
        for part in (sent[at : at + 1] for at in range(len(sent))) if split else (sent,):
            connection.sendall(part)
        answer = to_the_end(connection)[0]
    assert answer.count(b"HTTP/1.1 200 ") == 3
    assert answer.count(b"HTTP/1.1 ") == 3


def test_an_upgrade_with_an_impossible_length_is_refused(engine: RunningEngine) -> None:
    with connect(engine) as connection:
        connection.sendall(upgrading(engine, "transfer-encoding: gzip") + b"{}")
        answer = to_the_end(connection)[0]
    assert answer.startswith(b"HTTP/1.1 400 ")
