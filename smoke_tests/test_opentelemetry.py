"""Plain OpenTelemetry without the Langfuse SDK: the gen_ai conventions are enough."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode, format_span_id, format_trace_id

from smoke_tests.helpers.erasing import OPENTELEMETRY_ENVIRONMENT
from smoke_tests.helpers.otlp import PATH, export_request, new_span_id, new_trace_id, span

if TYPE_CHECKING:
    from smoke_tests.helpers.server import Server
    from smoke_tests.helpers.target import Target

QUESTION = [{"role": "user", "parts": [{"type": "text", "content": "Review this code"}]}]
ANSWER = [{"role": "assistant", "parts": [{"type": "text", "content": "3 findings"}]}]
CHAT: dict[str, str | int] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 450,
    "gen_ai.usage.output_tokens": 73,
    "gen_ai.input.messages": json.dumps(QUESTION),
    "gen_ai.output.messages": json.dumps(ANSWER),
}


def exporter_for(target: Target, compression: Compression) -> OTLPSpanExporter:
    keys = base64.b64encode(f"{target.public_key}:{target.secret_key}".encode()).decode()
    return OTLPSpanExporter(
        endpoint=f"{target.base_url}{PATH}",
        headers={"Authorization": f"Basic {keys}", "x-langfuse-ingestion-version": "4"},
        compression=compression,
    )


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_the_opentelemetry_exporter_alone_sends_priced_generations(
    target: Target, server: Server, compression: Compression, run_tag: str
) -> None:
    resource = Resource.create(
        {
            "service.name": "code-review",
            "deployment.environment.name": OPENTELEMETRY_ENVIRONMENT,
            "langfuse.release": run_tag,
        }
    )
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter_for(target, compression)))
    tracer = provider.get_tracer("acme.review", "2.0")
    with tracer.start_as_current_span("POST /review", attributes={"user.id": run_tag}) as request:
        with tracer.start_as_current_span("chat gpt-4o", attributes={**CHAT, "session.id": run_tag}):
            pass
        with tracer.start_as_current_span(
            "execute_tool lint",
            attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "lint"},
        ) as tool:
            tool.set_status(Status(StatusCode.ERROR, "lint not installed"))
    provider.shutdown()

    trace_id = format_trace_id(request.get_span_context().trace_id)
    rows = server.await_observations(["POST /review", "chat gpt-4o", "lint"], traceId=trace_id)
    root, chat, tool_row = rows["POST /review"], rows["chat gpt-4o"], rows["lint"]
    root_id = format_span_id(request.get_span_context().span_id)
    assert (root["id"], root["type"], root["userId"]) == (root_id, "SPAN", run_tag)
    assert (chat["parentObservationId"], chat["sessionId"]) == (root_id, run_tag)
    assert (chat["type"], chat["model"]) == ("GENERATION", "gpt-4o")
    assert chat["usageDetails"] == {"input": 450, "output": 73, "total": 523}
    assert chat["totalCost"] > 0
    assert json.loads(chat["input"]) == QUESTION
    assert json.loads(chat["output"]) == ANSWER
    assert (tool_row["type"], tool_row["level"]) == ("TOOL", "ERROR")
    assert tool_row["statusMessage"] == "lint not installed"
    assert {row["environment"] for row in rows.values()} == {OPENTELEMETRY_ENVIRONMENT}


def test_otlp_as_json_is_taken_too(server: Server) -> None:
    trace_id, root_id = new_trace_id(), new_span_id()
    body = export_request(
        span(trace_id, "root", {"langfuse.trace.tags": "a,b"}, spanId=root_id),
        span(trace_id, "chat gpt-4o", CHAT, parentSpanId=root_id),
    )
    answer = server.http.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    rows = server.await_observations(["root", "chat gpt-4o"], traceId=trace_id)
    assert sorted(rows["root"]["tags"]) == ["a", "b"]
    assert rows["chat gpt-4o"]["parentObservationId"] == root_id
    assert rows["chat gpt-4o"]["usageDetails"] == {"input": 450, "output": 73, "total": 523}


def test_a_span_sent_twice_is_stored_once(server: Server) -> None:
    trace_id = new_trace_id()
    first = span(trace_id, "first", {})
    second = {**first, "name": "second"}
    for body in (export_request(first), export_request(second)):
        assert server.http.post(PATH, json=body).status_code == 200
    rows = server.await_observations(["second"], traceId=trace_id)
    assert rows["second"]["id"] == first["spanId"]


def test_an_empty_export_is_accepted(server: Server) -> None:
    answer = server.http.post(PATH, json={"resourceSpans": []})
    assert (answer.status_code, answer.json()) == (200, {})
