"""Stand-in for web: the embedded engine in front of the real stores. Rehearses the wiring, is not Langfuse.

A trace export or a score goes the server's way: into the events bucket, into a queue, through the worker into
ClickHouse; the engine shows what stands in ClickHouse and nothing else. Everything else is kept in PostgreSQL
before it is answered. The engine's own files lie in memory: a start fills it anew from both stores.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import psycopg
import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from langfuse_embedded.app import App
from langfuse_embedded.config import EngineConfig, config_from_environment
from langfuse_embedded.engine import Engine
from langfuse_embedded.http.protocol import ClosableProtocol

from .admin import Admin
from .audit import Caller, record_one
from .connections import Connections
from .feed import Feed
from .media import MediaUrls
from .migrations import CURRENT, MigrationFailed, migrate_clickhouse, migrate_postgres
from .mirror import Mirror
from .postgres import Postgres
from .queues import Queues
from .stores import Bucket, ClickHouse, open_valkey, verify
from .tenancy import Tenancy
from .writer import STORE_ERRORS, Outbox, QueuedWriter

log = logging.getLogger("rehearsal.web")

DATA = Path("/tmp/engine")  # noqa: S108 - memory of the container
HEALTH_PATHS = ("/api/public/health", "/api/public/ready")
QUEUES_PATH, REPLAY_PATH = "/api/admin/bullmq", "/api/admin/ingestion-replay"
FAULT_PATH = "/api/rehearsal/worker-fault"
MEDIA_PATH, CONNECTIONS_PATH = "/api/public/media", "/api/public/llm-connections"
LOOK_INTERVAL_S = 0.1


class Web:
    """The ASGI application of the stand-in."""

    def __init__(self, config: EngineConfig, environment: Mapping[str, str]) -> None:
        self._config = config
        self._version = environment.get("REHEARSAL_VERSION", CURRENT)
        # PostgreSQL says what exists; the engine gets it from there.
        self._engine = Engine(replace(config, init=None))
        self._app = App(self._engine)
        self._postgres = Postgres(environment)
        self._clickhouse = ClickHouse.of(environment)
        queues = Queues(open_valkey(environment))
        writer = QueuedWriter(
            config.data_dir,
            Outbox(
                Bucket.of(environment, "EVENT_UPLOAD"),
                queues,
                self._postgres,
                environment.get("LANGFUSE_S3_EVENT_UPLOAD_PREFIX", ""),
            ),
        )
        self._engine.writer = writer
        self._tenancy = Tenancy(self._postgres, self._engine.state, config.salt)
        self._mirror = Mirror(self._postgres, self._engine.state)
        self._connections = Connections(self._postgres, config.encryption_key)
        self._admin = Admin(queues, config.admin_api_key)
        self._media = MediaUrls(environment)
        self._feed = Feed(self._clickhouse, writer)
        self._feeder: asyncio.Task[None] | None = None

    def migrate_postgres(self) -> None:
        """Bring PostgreSQL to the level of this version."""
        count = migrate_postgres(self._postgres, self._version)
        self._mirror.migrate()
        log.info("PostgreSQL: %d migrations applied", count)

    def migrate_clickhouse(self) -> None:
        """Bring ClickHouse to the level of this version. Raises MigrationFailed."""
        log.info("ClickHouse: %d migrations applied", migrate_clickhouse(self._clickhouse, self._version))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            response = await self._answer(Request(scope, receive))
            await response(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._engine.open()
        if self._config.init:
            await run_in_threadpool(self._tenancy.provision, self._config.init)
        await self._learn_tenancy()
        kept = self._mirror.load()
        for name in await run_in_threadpool(self._connections.unreadable):
            log.error("wrong: ENCRYPTION_KEY: the secret of the LLM connection %s cannot be decrypted", name)
        shown = await self._feed.show_new()
        log.info("filled with %d rows from ClickHouse and %d from PostgreSQL", shown, kept)
        self._feeder = asyncio.create_task(self._follow())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._feeder.cancel()
        await self._engine.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _follow(self) -> None:
        away = False
        while True:
            try:
                await self._feed.show_new()
                away = False
            except httpx.HTTPError as error:
                if not away:
                    log.warning("ClickHouse is away: %s", error)
                away = True
            await asyncio.sleep(LOOK_INTERVAL_S)

    async def _answer(self, request: Request) -> Response:
        if "authorization" in request.headers:
            with suppress(psycopg.Error):  # known keys go on working, as those in the server's cache do
                await self._learn_tenancy()
        try:
            return await self._own_answer(request) or await self._engines_answer(request)
        except STORE_ERRORS as error:
            log.warning("%s %s: a store is away: %s", request.method, request.url.path, error)
            return JSONResponse({"message": "Internal Server Error", "error": "InternalServerError"}, 500)

    async def _learn_tenancy(self) -> None:
        if news := await run_in_threadpool(self._tenancy.news):
            self._tenancy.apply(news)
            self._engine.authenticator.forget()

    async def _own_answer(self, request: Request) -> Response | None:
        path = request.url.path
        if path in HEALTH_PATHS:
            return await run_in_threadpool(self._health, request.query_params)
        if path in (REPLAY_PATH, FAULT_PATH) and request.method == "POST":
            if not self._admin.allows(request):
                return JSONResponse({"error": "Unauthorized: Invalid token"}, 401)
            try:
                body = await request.json()
            except ValueError:
                return JSONResponse({"error": "Invalid JSON"}, 400)
            act = self._admin.replay if path == REPLAY_PATH else self._admin.set_fault
            return await run_in_threadpool(act, body)
        return None

    def _health(self, query: Mapping[str, str]) -> Response:
        if query.get("failIfDatabaseUnavailable") == "true":
            try:
                self._postgres.rows("select 1")
            except psycopg.Error as error:
                return JSONResponse({"status": "Database not available", "error": str(error)}, 503)
        return JSONResponse({"status": "OK", "version": self._version})

    async def _engines_answer(self, request: Request) -> Response:
        """Let the engine answer; what it changed is in PostgreSQL before the answer goes out."""
        body = await request.body()
        status, headers, answer = await self._ask_engine(request, body)
        if request.method not in ("GET", "HEAD", "OPTIONS") and status < 400:
            self._mirror.flush(Caller.of(request.headers.get("authorization", "")))
            await run_in_threadpool(self._keep_beside, request, body)
        if b"/api/embedded/media/" in answer:
            announced = request.url.path == MEDIA_PATH
            answer = self._media.announced(answer, body) if announced else self._media.shown(answer)
        elif request.url.path == QUEUES_PATH and request.method == "GET" and status == 200:
            answer = await run_in_threadpool(self._admin.with_counts, answer)
        response = Response(answer, status)
        response.raw_headers = [
            *((name, value) for name, value in headers if name.lower() != b"content-length"),
            (b"content-length", str(len(answer)).encode()),
        ]
        return response

    def _keep_beside(self, request: Request, body: bytes) -> None:
        """Do what a request asks for beside the engine."""
        path = request.url.path
        if request.method == "DELETE":
            self._audit_deletion(request, body)
        if path == QUEUES_PATH:
            self._admin.manage(json.loads(body))
        elif path == CONNECTIONS_PATH and request.method == "PUT":
            self._keep_connection(request, json.loads(body))
        elif path.startswith(CONNECTIONS_PATH):
            self._connections.forget_deleted()

    def _audit_deletion(self, request: Request, body: bytes) -> None:
        """Note the deletion of traces and scores: they are not among what the mirror keeps."""
        caller = Caller.of(request.headers.get("authorization", ""))
        parts = request.url.path.removeprefix("/api/public/").split("/")
        if caller is None or parts[0] not in ("traces", "scores"):
            return
        deleted = [unquote(parts[1])] if len(parts) > 1 else json.loads(body)["traceIds"]
        with self._postgres.transaction() as cursor:
            for one in deleted:
                record_one(cursor, caller, parts[0].removesuffix("s"), one, "delete")

    def _keep_connection(self, request: Request, body: Mapping[str, Any]) -> None:
        match = self._app.router.match(CONNECTIONS_PATH)
        assert match is not None
        operation = match.operations["PUT"]
        principal = self._engine.authenticator.principal(operation.access, operation.errors, request.headers)
        self._connections.keep(
            principal.project_id, body["provider"], body["adapter"], body["secretKey"], body.get("baseURL")
        )

    async def _ask_engine(
        self, request: Request, body: bytes
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        messages: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def hold(message: Message) -> None:
            messages.append(message)

        await self._app(request.scope, receive, hold)
        answer = b"".join(message.get("body", b"") for message in messages[1:])
        return messages[0]["status"], list(messages[0].get("headers", [])), answer


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
    try:
        if environment.get("LANGFUSE_AUTO_POSTGRES_MIGRATION_DISABLED") != "true":
            web.migrate_postgres()
        if environment.get("LANGFUSE_AUTO_CLICKHOUSE_MIGRATION_DISABLED") != "true":
            web.migrate_clickhouse()
    except MigrationFailed as error:
        log.error("%s", error)
        return 1
    uvicorn.run(
        web,
        host=config.host,
        port=config.port,
        log_level="warning",
        access_log=False,
        http=ClosableProtocol,
        lifespan="on",
        server_header=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
