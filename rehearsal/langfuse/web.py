"""Stand-in for web: the embedded engine in front of the real stores. Rehearses the wiring, is not Langfuse.

A trace export goes the server's way: into the events bucket, into the queue, through the worker into
ClickHouse; the engine shows what stands in ClickHouse and nothing else. Any other write is applied to the
engine and kept in PostgreSQL. The engine's own files lie in memory: a start fills it anew from both stores.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.exceptions
import httpx
import psycopg
import redis
import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from langfuse_embedded.app import App
from langfuse_embedded.config import EngineConfig, config_from_environment
from langfuse_embedded.engine import Engine
from langfuse_embedded.http.errors import ApiError
from langfuse_embedded.store.writer.client import CommandRefused

from .batches import Batches
from .exports import QUEUE, UNREADABLE, object_key, resource_spans
from .ledger import Ledger, Write
from .stores import Bucket, ClickHouse, open_valkey, verify

log = logging.getLogger("rehearsal.web")

DATA = Path("/tmp/engine")  # noqa: S108 - memory of the container
EXPORT_PATH = "/api/public/otel/v1/traces"
HEALTH_PATH = "/api/public/health"
LOOK_INTERVAL_S = 0.1
KEPT_HEADERS = ("authorization", "content-type", "content-encoding")
STORE_ERRORS = (
    botocore.exceptions.BotoCoreError,
    botocore.exceptions.ClientError,
    httpx.HTTPError,
    psycopg.Error,
    redis.RedisError,
)


class Web:
    """The ASGI application of the stand-in."""

    def __init__(self, config: EngineConfig, environment: Mapping[str, str]) -> None:
        self._config = config
        self._engine = Engine(config)
        self._app = App(self._engine)
        self._ledger = Ledger(environment)
        self._batches = Batches(ClickHouse.of(environment))
        self._events = Bucket.of(environment, "EVENT_UPLOAD")
        self._valkey = open_valkey(environment)
        self._feeder: asyncio.Task[None] | None = None

    def migrate(self) -> None:
        """Make the tables in both databases."""
        self._ledger.migrate()
        self._batches.migrate()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(Request(scope, receive), send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._engine.open()
        if self._config.init:
            await run_in_threadpool(self._ledger.add_project, self._config.init)
        await self._fill()
        self._feeder = asyncio.create_task(self._feed())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._feeder.cancel()
        await self._engine.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _fill(self) -> None:
        await self._learn_projects()
        batches = await self._show_new_batches()
        writes = await run_in_threadpool(self._ledger.writes)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self._app), base_url="http://rehearsal"
        ) as client:
            for write in writes:
                await client.request(
                    write.method, write.target, headers=dict(write.headers), content=write.body
                )
        log.info("filled with %d exports from ClickHouse and %d writes from PostgreSQL", batches, len(writes))

    async def _feed(self) -> None:
        away = False
        while True:
            try:
                await self._show_new_batches()
                away = False
            except httpx.HTTPError as error:
                if not away:
                    log.warning("ClickHouse is away: %s", error)
                away = True
            await asyncio.sleep(LOOK_INTERVAL_S)

    async def _show_new_batches(self) -> int:
        count = 0
        batches = self._batches.new()
        while (batch := await run_in_threadpool(next, batches, None)) is not None:
            project_id, spans = batch
            arguments = {
                "project": project_id,
                "gzip": False,
                "json": True,
                "limit": self._config.max_otlp_bytes,
                "refusal": None,
            }
            export = f'{{"resourceSpans":{spans}}}'.encode()
            try:
                await self._engine.writer.submit("ingest_otlp", arguments, export)
            except CommandRefused as error:
                # As a job that fails in the worker: it must not keep those behind it from coming through.
                log.warning("an export of %s cannot be shown: %s", project_id, error)
            count += 1
        return count

    async def _learn_projects(self) -> None:
        for wanted in await run_in_threadpool(self._ledger.new_projects):
            await run_in_threadpool(self._engine.state.tenancy.provision, wanted)

    async def _http(self, request: Request, send: Send) -> None:
        try:
            response = await self._own_answer(request)
        except STORE_ERRORS as error:
            log.warning("%s %s: a store is away: %s", request.method, request.url.path, error)
            response = JSONResponse({"message": "Internal Server Error", "error": "InternalServerError"}, 500)
        if response is not None:
            await response(request.scope, request.receive, send)
            return
        if request.method in ("GET", "HEAD", "OPTIONS"):
            await self._app(request.scope, request.receive, send)
        else:
            await self._apply_and_keep(request, send)

    async def _own_answer(self, request: Request) -> Response | None:
        path = request.url.path
        if path == HEALTH_PATH and request.query_params.get("failIfDatabaseUnavailable") == "true":
            try:
                await run_in_threadpool(self._ledger.check)
            except psycopg.Error as error:
                return JSONResponse({"status": "Database not available", "error": str(error)}, 503)
        if "authorization" in request.headers:
            with suppress(psycopg.Error):  # known keys go on working, as those in the server's cache do
                await self._learn_projects()
        if path == EXPORT_PATH and request.method == "POST":
            return await self._export(request)
        return None

    async def _export(self, request: Request) -> Response | None:
        """Take an export the server's way; None: the engine shall word the refusal."""
        match = self._app.router.match(EXPORT_PATH)
        content_type = request.headers.get("content-type", "").lower()
        version = request.headers.get("x-langfuse-ingestion-version", "4")
        is_json = "application/json" in content_type
        if match is None or version != "4" or not (is_json or "application/x-protobuf" in content_type):
            return None
        body = await request.body()
        try:
            principal = self._engine.authenticator.principal(match.operations["POST"], request.headers)
            spans = resource_spans(
                body,
                is_json=is_json,
                is_gzip="gzip" in request.headers.get("content-encoding", "").lower(),
                limit=self._config.max_otlp_bytes,
            )
        except (ApiError, *UNREADABLE):
            return None
        await run_in_threadpool(self._accept, principal.project_id, spans)
        return JSONResponse({})

    def _accept(self, project_id: str, spans: list[dict[str, Any]]) -> None:
        key = object_key(project_id, datetime.now(UTC))
        self._events.put(key, json.dumps(spans).encode())
        self._valkey.lpush(QUEUE, json.dumps({"key": key, "project_id": project_id}))

    async def _apply_and_keep(self, request: Request, send: Send) -> None:
        """Let the engine answer; what it accepted is in PostgreSQL before the answer goes out."""
        body = await request.body()
        answer: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def hold(message: Message) -> None:
            answer.append(message)

        await self._app(request.scope, receive, hold)
        if answer[0]["status"] < 400:
            headers = {name: request.headers[name] for name in KEPT_HEADERS if name in request.headers}
            query = f"?{request.url.query}" if request.url.query else ""
            write = Write(request.method, f"{request.scope['path']}{query}", headers, body)
            try:
                await run_in_threadpool(self._ledger.add_write, write)
            except psycopg.Error as error:
                log.warning("PostgreSQL is away: %s", error)
                failure = JSONResponse({"message": "Internal Server Error"}, 500)
                await failure(request.scope, request.receive, send)
                return
        for message in answer:
            await send(message)


def main() -> int:
    """Check the stores, migrate unless told not to, then serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    log.info("This is a stand-in for web: it rehearses the wiring, it is not Langfuse.")
    environment = os.environ
    if wrong := verify(environment, identity="web"):
        for error in wrong:
            log.error("wrong: %s", error)
        return 1
    config = config_from_environment(
        environment, data_dir=DATA, host=environment["HOSTNAME"], port=int(environment["PORT"])
    )
    DATA.mkdir(mode=0o700, exist_ok=True)
    web = Web(config, environment)
    if environment.get("LANGFUSE_AUTO_POSTGRES_MIGRATION_DISABLED") != "true":
        web.migrate()
    uvicorn.run(
        web,
        host=config.host,
        port=config.port,
        log_level="warning",
        access_log=False,
        lifespan="on",
        server_header=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
