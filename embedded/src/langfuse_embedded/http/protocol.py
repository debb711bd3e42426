"""The HTTP protocol of the server's connections: how they end, and how long they may be idle."""

from __future__ import annotations

import asyncio
import sys

import httptools
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_CONNECTION = "langfuse.connection"
_LINGER_S = 1.0

HEADER_SECONDS = 20.0
"""From the connection, or the first byte of a request, to the end of its headers."""
MAX_HEADER_BYTES = 64 * 2**10
_UNREAD_BODY_SECONDS = 20.0
MAX_BYTES_BESIDE_BODY = 64 * 2**10
"""Sizes, extensions and trailers between two parts of a chunked body: the parser collects them."""
_MANY_CHUNKS, _LEAST_BYTES_A_CHUNK = 10_000, 16
STALLED_ANSWER_SECONDS = 60.0
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


_STATUS_LINE = b"HTTP/1.1 "
_CONTINUE = b"HTTP/1.1 100 "


class _Joining:
    """A transport that sends the head of an answer with what follows it: one call of the system, not two.

    Has what uvicorn asks of a transport.
    """

    __slots__ = (
        *("_head", "_transport", "abort", "get_extra_info", "get_write_buffer_size", "is_closing"),
        *("pause_reading", "resume_reading", "set_protocol"),
    )

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self.abort = transport.abort
        self.get_extra_info = transport.get_extra_info
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.set_protocol = transport.set_protocol

    def write(self, data: bytes) -> None:
        """Send bytes; the head of an answer waits for the next ones, or for `flush`."""
        if self._head:
            self._head, data = b"", self._head + data
        elif data.startswith(_STATUS_LINE) and not data.startswith(_CONTINUE):
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Send a head that nothing has followed."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        """Close when everything is sent."""
        self.flush()
        self._transport.close()


class ClosableProtocol(HttpToolsProtocol):
    """A connection that is aborted without an answer, or that takes no request after this answer.

    The second is what Langfuse does after a 413: its framework stops reading the body and closes a connection
    that it has just announced as kept alive. A client that sends the next request over it meets a disconnect.

    A connection ends, too, when headers do not arrive, when a body goes on after its answer, and when nobody
    reads the answer: else clients that do nothing would use up what the process may have open.
    """

    _hanging_up = False
    _awaits_headers = True
    _headers_deadline: asyncio.TimerHandle | None = None
    _answer_deadline: asyncio.TimerHandle | None = None
    _body_deadline: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _in_body = _has_body = _ignores_upgrade = False
    _received = b""
    _bytes_beside_body = 0
    _chunks = _chunk_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._joining = _Joining(transport)
        self.transport = self._joining  # type: ignore[assignment]
        self._headers_deadline = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        for deadline in (self._headers_deadline, self._answer_deadline, self._body_deadline):
            if deadline is not None:
                deadline.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless what is not the body has become larger than any client's."""
        self._has_body = False
        self._received = data
        super().data_received(data)
        if not self._awaits_headers:
            if self._in_body:
                self._watch_body(len(data))
            return
        if self._headers_deadline is None:
            self._headers_deadline = self.loop.call_later(HEADER_SECONDS, self.transport.close)
        self._header_bytes += len(data)
        if self._header_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def _watch_body(self, size: int) -> None:
        if self._has_body:
            self._bytes_beside_body = 0
            # Each costs as much as a kilobyte of a whole body.
            is_crumbs = (
                self._chunks > _MANY_CHUNKS and self._chunk_bytes < _LEAST_BYTES_A_CHUNK * self._chunks
            )
        else:
            self._bytes_beside_body += size
            is_crumbs = self._bytes_beside_body > MAX_BYTES_BESIDE_BODY
        if is_crumbs and not self.transport.is_closing():
            self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Ignore an upgrade, as RFC 9110 (7.8) allows: Java's HttpClient asks so for HTTP/2.

        The parser is done with such a connection after the headers. Another goes on with the body, so that
        no body is ever read as a request.
        """
        error = sys.exception()
        rest = self._received[error.args[0] :] if error else b""
        sizes = (one for one in self.headers if one[0] in (b"content-length", b"transfer-encoding"))
        self.parser = httptools.HttpRequestParser(self)
        self._ignores_upgrade = True
        head = b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(b"%b: %b\r\n" % size for size in sizes)
        try:
            self.parser.feed_data(head)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
            return
        self._ignores_upgrade = False
        if rest:
            self.data_received(rest)

    def on_url(self, url: bytes) -> None:
        """Take a part of the path."""
        if not self._ignores_upgrade:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes behind a chunked body is not one, and nobody reads it."""
        if self._awaits_headers and not self._ignores_upgrade:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._has_body = True
        self._chunks += 1
        self._chunk_bytes += len(body)
        super().on_body(body)

    def on_message_begin(self) -> None:
        """Begin a request: put its connection into the scope."""
        if self._ignores_upgrade:
            return
        if self._hanging_up:
            self.transport.abort()
        super().on_message_begin()
        if not self._awaits_headers:
            # Most headers arrive whole: the time begins to run where they have not.
            self._awaits_headers, self._header_bytes = True, 0
        self.scope["state"][_CONNECTION] = self

    def on_headers_complete(self) -> None:
        """Serve the request, unless its connection has ended."""
        if self._ignores_upgrade:
            return
        self._awaits_headers, self._in_body = False, True
        self._bytes_beside_body = self._chunks = self._chunk_bytes = 0
        if self._headers_deadline is not None:
            self._headers_deadline.cancel()
            self._headers_deadline = None
        if not self._hanging_up:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the body has arrived."""
        if self.parser.should_upgrade():
            return  # it comes now
        self._in_body = False
        super().on_message_complete()
        if self._body_deadline is not None:
            self._body_deadline.cancel()
            self._body_deadline = None

    def on_response_complete(self) -> None:
        """Close after the answer, but not at once: a client that still sends would lose the answer."""
        self._joining.flush()
        is_unread = self.cycle.more_body and not self.pipeline
        super().on_response_complete()
        if self._hanging_up:
            self.loop.call_later(_LINGER_S, self.transport.close)
        elif is_unread and self._body_deadline is None:
            self._body_deadline = self.loop.call_later(_UNREAD_BODY_SECONDS, self.transport.close)

    def pause_writing(self) -> None:
        """Wait for the client to read, but not for any time."""
        super().pause_writing()
        self._watch_answer(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Go on: the client reads."""
        if self._answer_deadline is not None:
            self._answer_deadline.cancel()
            self._answer_deadline = None
        super().resume_writing()

    def _watch_answer(self, unread: int) -> None:
        def look() -> None:
            left = self.transport.get_write_buffer_size()
            if left >= unread:
                self.transport.abort()
            else:
                self._watch_answer(left)

        self._answer_deadline = self.loop.call_later(STALLED_ANSWER_SECONDS, look)

    def hang_up(self) -> None:
        """Take no request after this one."""
        self._hanging_up = True


def abort(scope: Scope) -> None:
    """End the connection of a request without an answer."""
    scope["state"][_CONNECTION].transport.abort()


def hang_up(scope: Scope) -> None:
    """Take no request after this one over its connection. Servers of other kinds go on taking them."""
    connection = scope.get("state", {}).get(_CONNECTION)
    if connection is not None:
        connection.hang_up()
