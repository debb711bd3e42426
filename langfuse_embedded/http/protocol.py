"""The HTTP protocol of the server's connections, with the two ways in which an application can end one."""

from __future__ import annotations

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

ABORT = "langfuse.abort"
_HANG_UP = "langfuse.hang_up"
_LINGER_S = 1.0


class ClosableProtocol(HttpToolsProtocol):
    """A connection that is aborted without an answer, or that takes no request after this answer.

    The second is what Langfuse does after a 413: its framework stops reading the body and closes a connection
    that it has just announced as kept alive. A client that sends the next request over it meets a disconnect.
    """

    _hanging_up = False

    def on_message_begin(self) -> None:
        """Begin a request: put the ways to end its connection into the scope."""
        if self._hanging_up:
            self.transport.abort()
        super().on_message_begin()
        self.scope["state"][ABORT] = self.transport.abort
        self.scope["state"][_HANG_UP] = self._hang_up

    def on_headers_complete(self) -> None:
        """Serve the request, unless its connection has ended."""
        if not self._hanging_up:
            super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Close after the answer, but not at once: a client that still sends would lose the answer."""
        super().on_response_complete()
        if self._hanging_up:
            self.loop.call_later(_LINGER_S, self.transport.close)

    def _hang_up(self) -> None:
        self._hanging_up = True


def hang_up(scope: Scope) -> None:
    """Take no request after this one over its connection. Servers of other kinds go on taking them."""
    act = scope.get("state", {}).get(_HANG_UP)
    if act is not None:
        act()
