"""Mapping of spans to events: the table of contents.

    decoded = decode_protobuf(body)              # or decode_json(body); raises DecodeError: answer 400
    events = map_batch(decoded, now_ms=now_ms())

`map_batch` returns one `Event` for each span, in the order sent, and never raises for a decoded batch. What
an event does not hold (project, API key, ingestion SDK) is known from the request; prices and prompt ids are
looked up later.
"""

from __future__ import annotations

from typing import Any

from langfuse_embedded.otlp import fields
from langfuse_embedded.otlp.batch import Attributes, Decoded, Resource, Scope, Span
from langfuse_embedded.otlp.environment import environment_of
from langfuse_embedded.otlp.event import Event
from langfuse_embedded.otlp.experiment import experiment
from langfuse_embedded.otlp.input_output import input_and_output
from langfuse_embedded.otlp.key_kinds import EXPERIMENT, METADATA, TOOLS, kinds_of
from langfuse_embedded.otlp.metadata import Flat, flatten, unread_attributes, user_metadata
from langfuse_embedded.otlp.model_parameters import model_parameters
from langfuse_embedded.otlp.observation_type import observation_type
from langfuse_embedded.otlp.times import completion_start_time
from langfuse_embedded.otlp.tool_metadata import move_tools_into_input
from langfuse_embedded.otlp.tools import Tools, may_call_tools, may_define_tools, parsed, tools_of
from langfuse_embedded.otlp.usage import cost_of, is_aggregating_agent, usage_of

_SURROUNDINGS = frozenset({"attributes", "resourceAttributes", "scope", "tools"})
"""Names in the metadata that mean something; attached by a sender, they need a closer look."""


def map_batch(decoded: Decoded, *, now_ms: int) -> list[Event]:
    """Return the events of a batch; `now_ms` (Unix milliseconds) stands in for times that were not sent."""
    return [
        _event(span, around, now_ms)
        for resource in decoded.resources
        for scope in resource.scopes
        for around in (_Surroundings(resource, scope),)
        for span in scope.spans
    ]


class _Surroundings:
    """What all spans of one scope share, worked out once."""

    __slots__ = (
        "flat_metadata",
        "instrumentation",
        "is_langfuse_sdk",
        "metadata",
        "release",
        "resource",
        "scope",
    )

    def __init__(self, resource: Resource, scope: Scope) -> None:
        attributes = resource.attributes
        self.resource = attributes
        self.scope = scope
        self.is_langfuse_sdk = (scope.name or "").startswith("langfuse-sdk")
        self.metadata: dict[str, Any] = {"resourceAttributes": attributes, "scope": scope.fields}
        self.flat_metadata = flatten(self.metadata)
        self.release = attributes.get("langfuse.release")
        self.instrumentation = (
            fields.text(attributes.get("service.name")),
            fields.text(attributes.get("service.version")),
            scope.version,
            fields.text(attributes.get("telemetry.sdk.language")),
            fields.text(attributes.get("telemetry.sdk.name")),
            fields.text(attributes.get("telemetry.sdk.version")),
        )


def _event(span: Span, around: _Surroundings, now_ms: int) -> Event:
    attributes = span.attributes
    kinds = kinds_of(attributes)
    scope_name = around.scope.name
    start = span.start_time if span.start_time is not None else span.end_time
    start = now_ms if start is None else start
    kind = observation_type(attributes, around.resource, scope_name, around.scope.version, span.name)
    aggregates = is_aggregating_agent(attributes)
    given, answered = input_and_output(attributes, kinds, span.events, scope_name)
    given, metadata = _metadata(attributes, kinds, around, given)
    tools = _tools(given, answered)
    prompt_name, prompt_version = fields.prompt(attributes) if kind == "GENERATION" else (None, None)
    get = attributes.get
    service, service_version, scope_version, language, sdk, sdk_version = around.instrumentation
    return Event(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        name=fields.name(span.name, attributes),
        type=kind,
        start_time=start,
        end_time=start if span.end_time is None else span.end_time,
        environment=environment_of(attributes, around.resource),
        level=fields.level(attributes, span.status_code, scope_name, span.name),
        status_message=fields.text(_or(get("langfuse.observation.status_message"), span.status_message)),
        version=fields.text(_or(get("langfuse.version"), service_version)),
        release=fields.text(_or(get("langfuse.release"), around.release)),
        completion_start_time=completion_start_time(attributes, start),
        user_id=fields.user_id(attributes),
        session_id=fields.session_id(attributes),
        trace_name=fields.text(get("langfuse.trace.name")),
        tags=fields.tags(attributes),
        public=fields.public(attributes),
        is_app_root=fields.is_app_root(attributes),
        prompt_name=prompt_name,
        prompt_version=prompt_version,
        model_name=None if aggregates else fields.model_name(attributes),
        model_parameters=model_parameters(attributes, kinds, scope_name),
        usage={} if aggregates else usage_of(attributes, kinds, scope_name),
        cost={} if aggregates else cost_of(attributes, kinds),
        input=fields.text(given),
        output=fields.text(answered),
        metadata=metadata,
        tool_definitions=tools.definitions,
        tool_calls=tools.calls,
        tool_call_names=tools.call_names,
        experiment=experiment(attributes) if kinds & EXPERIMENT else None,
        service_name=service,
        service_version=service_version,
        scope_name=scope_name,
        scope_version=scope_version,
        telemetry_sdk_language=language,
        telemetry_sdk_name=sdk,
        telemetry_sdk_version=sdk_version,
    )


def _or(value: Any, fallback: Any) -> Any:
    return fallback if value is None else value


def _metadata(attributes: Attributes, kinds: int, around: _Surroundings, given: Any) -> tuple[Any, Flat]:
    """Return the input, with tool definitions that stood in the metadata, and the flat metadata."""
    if around.is_langfuse_sdk and not kinds & METADATA:
        return given, around.flat_metadata.copy()
    own: dict[str, Any] = {} if around.is_langfuse_sdk else {"attributes": unread_attributes(attributes)}
    attached = user_metadata(attributes) if kinds & METADATA else {}
    if not kinds & TOOLS and not any(key in _SURROUNDINGS or key[:1].isdigit() for key in attached):
        return given, flatten(own) + around.flat_metadata + flatten(attached)
    # What senders attach may take the place of `attributes`, `resourceAttributes` and `scope`.
    metadata = own | around.metadata | attached
    given, metadata = move_tools_into_input(given, metadata)
    return given, flatten(metadata)


def _tools(given: Any, answered: Any) -> Tools:
    """Return the tools in input and output; texts that cannot hold any are not parsed."""
    offers = parsed(given) if not isinstance(given, str) or may_define_tools(given) else None
    calls = parsed(answered) if not isinstance(answered, str) or may_call_tools(answered) else None
    return tools_of(offers, calls)
