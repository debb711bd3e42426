"""The ASGI application: find the operation, check the key, call the handler, format the errors."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, unquote_to_bytes

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from langfuse_embedded.http.access import Access, ErrorStyle

from . import routes
from .engine import Engine
from .errors import EngineError
from .http.access_log import AccessLog
from .http.delivery import deliver, etag
from .http.errors import (
    EVENTS_ONLY_MESSAGE,
    ApiError,
    FrameworkRefusal,
    InvalidData,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    RequestTimeout,
    TooCostly,
    Unavailable,
    scim_body,
    unstable_body,
)
from .http.json_answers import json_response
from .http.pace import Paced
from .http.protocol import hang_up
from .http.router import Router
from .routes.call import Call
from .routes.operations import Operation
from .store.deadline import QueryTooLong
from .store.writer.client import CommandError, CommandRefused, WriterUnavailable

if TYPE_CHECKING:
    from .viewer.site import Viewer

log = logging.getLogger(__name__)

_NOT_FOUND_PAGE = (
    "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>404</title></head>"
    "<body><h1>404</h1><p>This page could not be found.</p></body></html>"
)
_BAD_REQUEST_PAGE = _NOT_FOUND_PAGE.replace("404", "400").replace(
    "This page could not be found", "Bad Request"
)
_PAGE_HEADERS = {
    "cache-control": "private, no-cache, no-store, max-age=0, must-revalidate",
    "vary": (
        "rsc, next-router-state-tree, next-router-prefetch, next-router-segment-prefetch, Accept-Encoding"
    ),
    "etag": etag(_NOT_FOUND_PAGE.encode()),
}
_MALFORMED = re.compile(r"%(?![0-9A-Fa-f]{2})")
# Of the browser, not of API clients.
_LOGIN = "/api/auth/"
_OF_HEALTH = ("/api/public/health", "/api/public/ready")
_READS = ("GET", "HEAD")
_LARGE = 2**20


class App:
    """Dispatches requests of one engine. The order of checks is the server's: path, method, mode, key."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.router = Router(routes.all_operations())
        self.startup_error: EngineError | None = None
        self.access_log = AccessLog(engine.config.access_log)
        self._viewer: Viewer | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            request = Request(scope, Paced(receive))
            begin = time.monotonic()
            raw_path = _raw_path(scope)
            try:
                response = await self._respond(request, raw_path)
            except ClientDisconnect:
                return
            if _is_of_the_api(raw_path):
                any_origin = not raw_path.startswith("/api/admin/")
                if len(getattr(response, "body", b"")) > _LARGE:
                    # The tag of an answer is made of all its bytes.
                    response = await run_in_threadpool(deliver, request, response, any_origin=any_origin)
                else:
                    response = deliver(request, response, any_origin=any_origin)
            self.access_log.note(request, response, time.monotonic() - begin)
            await response(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.engine.open()
                except EngineError as error:
                    self.startup_error = error
                    await send({"type": "lifespan.startup.failed", "message": ""})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.engine.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _respond(self, request: Request, raw_path: str) -> Response:
        try:
            return await self._dispatch(request, raw_path)
        except ApiError as error:
            return json_response(error.body(), error.status, error.headers)
        except CommandError as error:
            answer = _answer_of(error)
            return json_response(answer.body(), answer.status, answer.headers)
        except ClientDisconnect:
            raise
        except Exception as error:
            if isinstance(error, QueryTooLong):
                answer = TooCostly(str(error))
                return json_response(answer.body(), answer.status, answer.headers)
            if message := self.engine.storage.note(error):
                return _unavailable(message)
            log.exception("%s %s failed", request.method, request.url.path)
            return json_response({"message": "Internal Server Error", "error": "InternalServerError"}, 500)

    async def _dispatch(self, request: Request, raw_path: str) -> Response:
        if "%" in raw_path and not _is_decodable(raw_path):
            return HTMLResponse(_BAD_REQUEST_PAGE, 400)
        if raw_path.startswith("/api/") and raw_path.endswith("/"):
            return _without_slash(raw_path, request)
        match = self.router.match(raw_path)
        if request.method == "OPTIONS" and _is_of_the_api(raw_path):
            return Response(status_code=204)
        if match is None:
            is_page = raw_path.startswith(_LOGIN) or not raw_path.startswith("/api/")
            page = await self._page(request, raw_path) if is_page else None
            return page or HTMLResponse(_NOT_FOUND_PAGE, 404, _PAGE_HEADERS)
        operation = match.operations.get(request.method)
        if operation is None:
            return _not_allowed(list(match.operations.values()))
        self._refuse_legacy(operation)
        try:
            self._refuse_lost_files(raw_path)
            principal = self.engine.authenticator.principal(
                operation.access, operation.errors, request.headers
            )
            with self.engine.intake.hold(principal.project_id) as hold:
                response = await operation.handler(
                    Call(self.engine, request, operation.body_limit, match.params, principal, hold)
                )
            if request.method not in _READS and self.engine.storage.is_gone_since():
                # What was written went into a file that nobody will open again.
                self._refuse_lost_files(raw_path)
            return response
        except ApiError as error:
            if isinstance(error, PayloadTooLarge | RequestTimeout):
                hang_up(request.scope)
            return _refusal(operation, error)

    async def _page(self, request: Request, raw_path: str) -> Response | None:
        if self._viewer is None:
            # Templates take 0.1 s to import: loaded for the first page, not at the start.
            viewer = await run_in_threadpool(_import_viewer)
            self._viewer = self._viewer or viewer(self.engine)
        return await self._viewer.respond(request, raw_path)

    def _refuse_lost_files(self, raw_path: str) -> None:
        if self.engine.storage.gone and raw_path not in _OF_HEALTH:
            raise Unavailable(self.engine.storage.gone)

    def _refuse_legacy(self, operation: Operation) -> None:
        if operation.legacy and self.engine.config.events_only:
            raise NotFound(EVENTS_ONLY_MESSAGE, named=False)


def _without_slash(raw_path: str, request: Request) -> Response:
    """Send the client to the path without its slash at the end, as the server's framework does."""
    query = request.url.query
    target = raw_path.rstrip("/") + (f"?{query}" if query else "")
    return Response(target, 308, {"location": target, "refresh": f"0;url={target}"})


def _not_allowed(operations: list[Operation]) -> Response:
    """Refuse a method in the words of the operations of the path."""
    one = operations[0]
    licensed = any(operation.access is Access.ORGANIZATION for operation in operations)
    error = MethodNotAllowed(named=not licensed)
    if one.access is Access.ADMIN or "/apiKeys" in one.path:
        error.message = "Method Not Allowed"
    return _refusal(one, error)


def _refusal(operation: Operation, error: ApiError) -> Response:
    if isinstance(error, FrameworkRefusal):
        return _plain_text(error)
    if operation.errors is ErrorStyle.UNSTABLE:
        return json_response(unstable_body(error), error.status, error.headers)
    if operation.errors is ErrorStyle.ERROR:
        return json_response({"error": error.message}, error.status, error.headers)
    if operation.errors is ErrorStyle.SCIM:
        return json_response(scim_body(error), error.status, error.headers)
    body = error.body()
    if operation.errors is ErrorStyle.CLASS_FIRST and not isinstance(error, InvalidData):
        body = {"error": error.name, **body}
    return json_response(body, error.status, error.headers)


def _plain_text(error: FrameworkRefusal) -> Response:
    # Not even a content type: the server's framework answers before any route is reached.
    return Response(error.message, error.status, error.headers)


def _import_viewer() -> type[Viewer]:
    from .viewer.site import Viewer

    return Viewer


def _unavailable(message: str) -> Response:
    answer = Unavailable(message, headers={"retry-after": "1"})
    return json_response(answer.body(), answer.status, answer.headers)


def _answer_of(error: CommandError) -> ApiError:
    if isinstance(error, CommandRefused):
        return InvalidRequest(str(error))
    if isinstance(error, WriterUnavailable):
        return Unavailable(str(error), headers={"retry-after": "1"})
    return ApiError(str(error))


def _raw_path(scope: Scope) -> str:
    raw = scope.get("raw_path")
    if raw:
        return str(raw.partition(b"?")[0].decode("latin-1"))
    return quote(scope["path"])


def _is_of_the_api(raw_path: str) -> bool:
    """Tell what clients with keys call from what browsers with cookies do, however it is spelled."""
    path = unquote(raw_path) if "%" in raw_path else raw_path
    return path.startswith("/api/") and not path.startswith(_LOGIN)


def _is_decodable(raw_path: str) -> bool:
    # The server's framework refuses a stray percent sign and bytes that are no UTF-8 before any route.
    if _MALFORMED.search(raw_path):
        return False
    try:
        unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError:
        return False
    return True
