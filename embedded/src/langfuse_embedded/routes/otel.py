"""OpenTelemetry in: the way of every span into the engine."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from starlette.datastructures import Headers
from starlette.responses import Response

from langfuse_embedded.http.errors import ApiError
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.store.writer.client import CommandRefused, CommandTooCostly

from .call import Call
from .operations import Operation

_MAX_VERSION = 4
_LEADING_NUMBER = re.compile(r"\s*([+-]?\d+)")


class OtlpTooCostly(ApiError):
    """An export that costs more than one client may ask for. Exporters drop it, and do not retry."""

    status: ClassVar[int] = 413

    def body(self) -> dict[str, Any]:
        """Return the text under `error`, as for other refusals."""
        return {"error": self.message}


class OtlpRefused(ApiError):
    """An export that cannot be taken. This route words it in its own way: `{"error": …}`."""

    status: ClassVar[int] = 400

    def body(self) -> dict[str, Any]:
        """Return the text under `error`, without a message."""
        return {"error": self.message}


async def export_traces(call: Call) -> Response:
    """Store a trace export. The answer comes when the spans are on disk and readable."""
    headers = call.request.headers
    content_type = headers.get("content-type", "").lower()
    is_json = "application/json" in content_type
    if not is_json and "application/x-protobuf" not in content_type:
        raise OtlpRefused("Invalid content type")
    limit = call.engine.config.max_otlp_bytes
    is_gzip = "gzip" in headers.get("content-encoding", "").lower()
    body = await call.body(limit)
    # Nothing at all is an empty export in protobuf, but neither JSON nor gzip.
    if body or is_json or is_gzip:
        async with call.engine.intake.window(call.project_id, len(body)):
            arguments = {
                "project": call.project_id,
                "sender": call.sender,
                "gzip": is_gzip,
                "json": is_json,
                "limit": limit,
                "refusal": _refusal(headers),
            }
            try:
                await call.engine.writer.submit("ingest_otlp", arguments, body)
            except CommandTooCostly as error:
                raise OtlpTooCostly(str(error)) from error
            except CommandRefused as error:
                raise OtlpRefused(str(error)) from error
    # The server answers JSON to protobuf exporters too; they ignore it.
    return json_response({})


async def export_metrics(call: Call) -> Response:
    """Accept and drop an export of metrics, as the server does."""
    return json_response({"message": "OK"})


def _refusal(headers: Headers) -> str | None:
    version = headers.get("x-langfuse-ingestion-version") or headers.get("x_langfuse_ingestion_version")
    if not version:
        return None
    number = _LEADING_NUMBER.match(version)
    if number and int(number[1]) <= _MAX_VERSION:
        return None
    return f'Unsupported x-langfuse-ingestion-version: "{version}". Maximum supported: "{_MAX_VERSION}".'


OPERATIONS = [
    Operation("POST", "/api/public/otel/v1/traces", export_traces, "opentelemetry_exportTraces"),
    Operation("POST", "/api/public/otel/v1/metrics", export_metrics),
]
