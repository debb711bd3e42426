"""The exporter's HTTP face: `/metrics` for Prometheus, `/summary` for panels, `/health` for probes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from scripts.api.client import AsyncApi

from .collect import Exporter
from .config import ExporterConfig
from .summary import summarize
from .telemetry import Readings, Telemetry


def build_app(config: ExporterConfig) -> Starlette:
    """Return the application; it works while its lifespan lasts."""
    telemetry = Telemetry(Readings(config.stale_s, config.max_groups))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with AsyncApi(config.base_url, timeout_s=config.timeout_s) as client:
            task = asyncio.create_task(Exporter(config, telemetry, client).forever())
            yield
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def metrics(_request: Request) -> Response:
        return Response(telemetry.exposition(), media_type=CONTENT_TYPE_LATEST)

    async def summary(_request: Request) -> Response:
        run = telemetry.last_canary
        return JSONResponse(
            {
                "generated_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "canary": {"result": run.result.value, "detail": run.detail} if run else None,
                "projects": [
                    summarize(project, reading.values) for project, reading in telemetry.readings.fresh()
                ],
            }
        )

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "OK"})

    routes = [Route("/metrics", metrics), Route("/summary", summary), Route("/health", health)]
    return Starlette(routes=routes, lifespan=lifespan)


class _Announcing(uvicorn.Server):
    """Says where it listens: with port 0 nobody knows before."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:
                host, port = listening.getsockname()[:2]
                print(f"listening on http://{host}:{port}", flush=True)


def serve(config: ExporterConfig) -> None:
    """Serve until SIGTERM or SIGINT."""
    options = uvicorn.Config(
        build_app(config), host=config.host, port=config.port, log_level="warning", access_log=False
    )
    with suppress(KeyboardInterrupt):  # uvicorn repeats the signal that it ended for
        _Announcing(options).run()
