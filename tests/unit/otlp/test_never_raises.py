"""Whatever a batch holds, it is mapped or refused: nothing else ever comes out of decoder and mapper."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langfuse_embedded.otlp.decode import DecodeError, decode_json, decode_protobuf
from langfuse_embedded.otlp.event import Event
from langfuse_embedded.otlp.mapping import map_batch
from tests.unit.otlp.spans import NOW, SPAN_ID, TRACE_ID, export, key_values, mapped_all, span

_KEYS = st.sampled_from(
    [
        "langfuse.observation.type",
        "langfuse.observation.input",
        "langfuse.observation.output",
        "langfuse.trace.tags",
        "langfuse.observation.metadata",
        "langfuse.trace.metadata.a",
        "langfuse.metadata",
        "langfuse.observation.usage_details",
        "langfuse.observation.cost_details",
        "langfuse.observation.model.name",
        "langfuse.observation.model.parameters",
        "langfuse.observation.prompt.version",
        "langfuse.observation.completion_start_time",
        "langfuse.environment",
        "langfuse.observation.level",
        "langfuse.experiment.item.version",
        "langfuse.experiment.metadata",
        "langfuse.user.id",
        "gen_ai.operation.name",
        "gen_ai.tool.name",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.cost",
        "gen_ai.prompt",
        "gen_ai.prompt.0.content",
        "gen_ai.prompt.0.content.x",
        "gen_ai.completion.1",
        "gen_ai.input.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.definitions",
        "gen_ai.request.temperature",
        "llm.input_messages.0.message.content",
        "llm.tools.0.tool.json_schema",
        "llm.invocation_parameters",
        "llm.token_count.prompt",
        "ai.operationId",
        "ai.model.id",
        "ai.prompt.tools",
        "ai.response.text",
        "ai.response.toolCalls",
        "ai.response.providerMetadata",
        "ai.usage.cachedInputTokens",
        "ai.usage.reasoningTokens",
        "ai.response.msToFirstChunk",
        "ai.telemetry.metadata.langfusePrompt",
        "genkit:input",
        "genkit:output",
        "genkit:name",
        "genkit:metadata:subtype",
        "gcp.vertex.agent.llm_response",
        "model_request_parameters",
        "events",
        "input.value",
        "output.value",
        "pydantic_ai.all_messages",
        "flue.turn.input",
        "openinference.span.kind",
        "deployment.environment",
        "logfire.msg",
    ]
) | st.text(max_size=5)

_SCOPES = st.sampled_from(
    [
        "acme",
        "langfuse-sdk",
        "ai",
        "genkit-tracer",
        "pydantic-ai",
        "gcp.vertex.agent",
        "@flue/opentelemetry",
        "livekit-agents",
    ]
)

_WORDS = st.sampled_from(
    [
        "usage",
        "usage_metadata",
        "cached_content_token_count",
        "inputTokens",
        "outputTokens",
        "thoughtsTokens",
        "openai",
        "anthropic",
        "bedrock",
        "cache_creation",
        "cachedPromptTokens",
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "tools",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "type",
        "role",
        "content",
        "messages",
        "message",
        "choices",
        "config",
        "request",
        "scope",
        "attributes",
        "resourceAttributes",
        "0",
        "1",
        "tool_use",
        "tool-call",
        "system",
        "function_tools",
        "id",
        "input",
        "total",
    ]
)

_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | _WORDS
    | st.characters(categories=["Cs"])
)
_documents = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_WORDS | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
_values = _scalars | _documents.map(json.dumps)
_wrappers = (
    _values.map(lambda value: {"stringValue": value})
    | _values.map(lambda value: {"intValue": value})
    | _values.map(lambda value: {"doubleValue": value})
    | st.lists(_values.map(lambda value: {"stringValue": value}), max_size=3).map(
        lambda items: {"arrayValue": {"values": items}}
    )
    | _documents
)
_attributes = st.lists(st.tuples(_KEYS, _wrappers), max_size=12).map(
    lambda pairs: [{"key": key, "value": value} for key, value in pairs]
)
_EVENT_NAMES = st.sampled_from(
    [
        "gen_ai.user.message",
        "gen_ai.choice",
        "gen_ai.content.prompt",
        "gen_ai.client.inference.operation.details",
        "x",
    ]
)
_events = st.lists(
    st.fixed_dictionaries({"name": _EVENT_NAMES, "attributes": _attributes}) | _scalars, max_size=3
)


def _check(event: Event) -> None:
    """Fail unless every field is set, of the kind that the store expects, and can be written as UTF-8."""
    assert all(hasattr(event, field.name) for field in fields(event))
    texts = [event.trace_id, event.span_id, event.name, event.type, event.environment, event.level]
    texts += [event.model_parameters, *event.tags, *event.tool_calls, *event.tool_call_names]
    texts += [part for pair in event.metadata for part in pair]
    optional = [event.input, event.output, event.user_id, event.session_id, event.model_name, event.version]
    optional += [event.release, event.status_message, event.trace_name, event.prompt_name, event.scope_name]
    for text in (*texts, *(text for text in optional if text is not None)):
        assert isinstance(text, str)
        text.encode()
    assert all(isinstance(units, int) and 0 <= units < 2**63 for units in event.usage.values())
    assert all(isinstance(cost, (int, float)) and abs(cost) < 1e6 for cost in event.cost.values())
    assert isinstance(event.start_time, int)
    assert isinstance(event.end_time, int)


@settings(max_examples=300)
@given(attributes=_attributes, resource=_attributes, scope=_SCOPES, events=_events, times=_values)
def test_any_attributes_and_events_make_an_event(
    attributes: Any, resource: Any, scope: str, events: Any, times: Any
) -> None:
    document = export({**span(startTimeUnixNano=times, events=events), "attributes": attributes}, scope=scope)
    document["resourceSpans"][0]["resource"]["attributes"] = resource
    (event,) = mapped_all(document)
    _check(event)


@settings(max_examples=200)
@given(_documents, _documents, _documents)
def test_any_json_is_mapped_or_refused(whole: Any, resource: Any, inner: Any) -> None:
    for document in (
        whole,
        {"resourceSpans": whole},
        {"resourceSpans": [resource, {"resource": inner, "scopeSpans": whole}]},
        {"resourceSpans": [{"scopeSpans": [{"scope": inner, "spans": [whole, resource]}]}]},
        export(
            {"traceId": TRACE_ID, "spanId": SPAN_ID, "status": whole, "name": inner, "parentSpanId": resource}
        ),
    ):
        try:
            events = map_batch(decode_json(json.dumps(document).encode()), now_ms=NOW)
        except DecodeError:
            continue
        for event in events:
            _check(event)


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_any_bytes_are_mapped_or_refused(body: bytes) -> None:
    for decode in (decode_json, decode_protobuf):
        try:
            decoded = decode(body)
        except DecodeError:
            continue
        for event in map_batch(decoded, now_ms=NOW):
            _check(event)


@pytest.mark.parametrize("depth", [150, 300, 900])
def test_deep_nesting_overflows_nothing(depth: int) -> None:
    value: Any = {"stringValue": "end"}
    for _ in range(min(depth, 300)):
        value = {"arrayValue": {"values": [value]}}
    deep = "[" * depth + "]" * depth
    keys = ("langfuse.trace.metadata", "langfuse.observation.output", "gen_ai.tool.definitions", "events")
    attributes = [*key_values(dict.fromkeys(keys, deep)), {"key": "deep", "value": value}]
    (event,) = mapped_all(export({**span(), "attributes": attributes}))
    _check(event)
    assert event.output == deep


@pytest.mark.parametrize("depth", [300, 900])
def test_deep_nesting_where_a_text_should_be_overflows_nothing(depth: int) -> None:
    deep = json.loads("[" * depth + "]" * depth)
    odd = {
        **span(name=deep, status={"code": deep, "message": deep}),
        "attributes": [{"key": deep, "value": deep}],
    }
    (event,) = mapped_all(export(odd, scope={"name": deep, "version": deep, "more": {"deep": deep}}))
    _check(event)
    odd["attributes"] = {}
    with pytest.raises(DecodeError):
        mapped_all(export(odd, scope={"name": deep}))
