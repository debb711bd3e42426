"""One call of an operation: the request, who sent it, and the engine that answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from langfuse_embedded.engine import Engine
from langfuse_embedded.http.errors import FrameworkRefusal, InvalidData, PayloadTooLarge
from langfuse_embedded.http.intake import Hold
from langfuse_embedded.http.nesting import MAX_DEPTH, require_shallow
from langfuse_embedded.http.request_bodies import parse_body
from langfuse_embedded.http.schema import Schema
from langfuse_embedded.store.tenancy import Principal

_UNKNOWN = "unknown"
_MAX_SDK_LENGTH = 200


Result = TypeVar("Result")
# Bytes of JSON that take some milliseconds, whatever is in them.
_LARGE = 2**17


@dataclass(slots=True)
class Call:
    """What a handler gets. `principal` is set for every operation that asks for a key."""

    engine: Engine
    request: Request
    body_limit: int
    """Of the operation, in bytes."""
    params: dict[str, str]
    principal: Principal
    hold: Hold
    """What the request holds in memory, until it is answered."""

    @property
    def project_id(self) -> str:
        """The project that the key belongs to: every query is bound to it."""
        return self.principal.project_id

    @property
    def public_url(self) -> str:
        """What URLs in answers begin with: the configured address, else the one that the client used."""
        return self.engine.config.public_url or str(self.request.base_url).rstrip("/")

    @property
    def sender(self) -> tuple[str, str, str]:
        """Who sends the request: the public key, and name and version of the SDK as far as it names them."""
        # As bytes in a mapping: `headers` looks at all of them for each name, which every export pays.
        headers = dict(self.request.scope["headers"])
        # Some clients and proxies spell the headers with underscores.
        name = headers.get(b"x-langfuse-sdk-name") or headers.get(b"x_langfuse_sdk_name")
        version = headers.get(b"x-langfuse-sdk-version") or headers.get(b"x_langfuse_sdk_version")
        return self.principal.public_key, _sdk_text(name), _sdk_text(version)

    async def read(self, read: Callable[[], Result]) -> Result:
        """Return what `read` returns, which may take long: it runs in one of the project's threads.

        What belongs to the event loop, as the connection to `state.db`, is not for it.
        """
        return await self.engine.reads.run(self.project_id, read)

    async def beside(self, work: Callable[[], Result], size: int) -> Result:
        """Return what `work` on so many bytes returns: beside the event loop where they are many."""
        return await self.engine.beside.run(self.project_id, work) if size > _LARGE else work()

    async def body(self, limit: int | None = None) -> bytes:
        """Return the raw body, of at most `limit` bytes (default: the operation's).

        Raises:
            PayloadTooLarge: it is larger than the operation takes; nothing more is read.
        """
        limit = limit or self.body_limit
        declared = self.request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            raise _too_large(limit)
        # By hand: `stream` passes each message through a generator, and gives an empty chunk at the end.
        chunks, size, is_complete = list[bytes](), 0, False
        while not is_complete:
            message = await self.request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            is_complete = not message.get("more_body", False)
            if chunk := message.get("body", b""):
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                await self.hold.grow(len(chunk))
                chunks.append(chunk)
        return b"".join(chunks)

    async def json(self, schema: Schema, *, costly: bool = False) -> Any:
        """Return the body (see `request_bodies`) in the shape of `schema`.

        `costly` shapes take long for few bytes.

        Raises:
            FrameworkRefusal: it is not JSON.
            InvalidRequest: it nests too deeply.
            InvalidData: it does not fit.
        """
        body = await self.body()

        def parse() -> Any:
            try:
                document = parse_body(body, self.request.headers.get("content-type", ""))
            except ValueError:
                raise FrameworkRefusal("Invalid JSON") from None
            # Few bodies have enough brackets to nest deeply at all.
            if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
                require_shallow(document)
            return schema.parse(document)

        return await self.beside(parse, _LARGE + 1 if costly else len(body))

    def query(self, schema: Schema) -> Any:
        """Return the query parameters in the shape of `schema`; a repeated name becomes a list.

        Raises:
            InvalidData: they do not fit.
        """
        values: dict[str, Any] = {}
        # What `request.query_params` does, without the mappings that it makes besides.
        query = self.request.scope["query_string"].decode("latin-1")
        for name, value in parse_qsl(query, keep_blank_values=True):
            if name not in values:
                values[name] = value
            elif isinstance(values[name], list):
                values[name].append(value)
            else:
                values[name] = [values[name], value]
        for name in self.params:
            # A part of the path hides a parameter of its name, as in the server's framework.
            values.pop(name, None)
        try:
            return schema.parse(values)
        except InvalidData as error:
            error.part = "query"
            raise


def _sdk_text(value: bytes | None) -> str:
    return value.decode("latin-1")[:_MAX_SDK_LENGTH] if value else _UNKNOWN


def _too_large(limit: int) -> PayloadTooLarge:
    size = f"{limit // 1024}kb" if limit < 2**20 else f"{limit / 2**20:g}mb"
    return PayloadTooLarge(f"Body exceeded {size} limit")
