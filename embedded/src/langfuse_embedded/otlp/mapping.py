"""Mapping of spans to events: the table of contents.

    decoded = decode_protobuf(body)              # or decode_json(body); raises DecodeError: answer 400
    events = map_batch(decoded, now_ms=now_ms())

`map_batch` returns one `Event` for each span, in the order sent, and never raises for a decoded batch. What
an event does not hold (project, API key, ingestion SDK) is known from the request; prices and prompt ids are
looked up later.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langfuse_embedded.otlp import fields

from .batch import Attributes, Decoded, Resource, Scope, Span
from .environment import environment_of
from .event import Event, TraceAttributes
from .experiment import experiment
from .input_output import input_and_output
from .key_kinds import (
    EXPERIMENT,
    FIRST_TOKEN,
    METADATA,
    MODEL,
    NAME,
    PUBLIC,
    TOOLS,
    TRACE,
    kinds_of,
)
from .metadata import Flat, flatten, metadata_attributes, metadata_under, unread_attributes, user_metadata
from .model_parameters import model_parameters
from .observation_type import observation_type
from .times import completion_start_time
from .tool_metadata import move_tools_into_input
from .tools import Tools, may_call_tools, may_define_tools, parsed, tools_of
from .usage import cost_of, is_aggregating_agent, usage_of

_SURROUNDINGS = frozenset({"attributes", "resourceAttributes", "scope", "tools"})
"""Names in the metadata that mean something; attached by a sender, they need a closer look."""


_new = object.__new__
"""Makes an event without its constructor: forty arguments cost a sixth of the mapping's time."""


def map_batch(decoded: Decoded, *, now_ms: int) -> list[Event]:
    """Return the events of a batch; `now_ms` (Unix milliseconds) stands in for times that were not sent."""
    return list(map_spans(decoded, now_ms=now_ms))


def map_spans(decoded: Decoded, *, now_ms: int) -> Iterator[Event]:
    """Yield the events of a batch one by one, as `map_batch` returns them."""
    for resource in decoded.resources:
        for scope in resource.scopes:
            around = _Surroundings(resource, scope)
            for span in scope.spans:
                yield _event(span, around, now_ms)


def repeated_bytes(decoded: Decoded) -> int:
    """Return how much room the attributes of resources and scopes take, which each span repeats."""
    return sum(
        len(scope.spans) * sum(len(name) + len(value) for name, value in around.flat_metadata)
        for resource in decoded.resources
        for scope in resource.scopes
        for around in (_Surroundings(resource, scope),)
    )


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
    event = _new(Event)
    event.trace_id = span.trace_id
    event.span_id = span.span_id
    event.parent_span_id = span.parent_span_id
    event.name = fields.name(span.name, attributes) if kinds & NAME else span.name
    event.type = kind
    event.start_time = start
    event.end_time = start if span.end_time is None else span.end_time
    event.environment = environment_of(attributes, around.resource)
    event.level = fields.level(attributes, span.status_code, scope_name, span.name)
    event.status_message = fields.text(_or(get("langfuse.observation.status_message"), span.status_message))
    event.version = fields.text(_or(get("langfuse.version"), service_version))
    event.release = fields.text(_or(get("langfuse.release"), around.release))
    event.completion_start_time = completion_start_time(attributes, start) if kinds & FIRST_TOKEN else None
    event.user_id = fields.user_id(attributes)
    event.session_id = fields.session_id(attributes)
    event.trace_name = fields.text(get("langfuse.trace.name"))
    event.tags = fields.tags(attributes)
    event.public = fields.public(attributes) if kinds & PUBLIC else False
    event.is_app_root = fields.is_app_root(attributes)
    event.as_root = fields.as_root(attributes)
    event.prompt_name = prompt_name
    event.prompt_version = prompt_version
    event.model_name = fields.model_name(attributes) if kinds & MODEL and not aggregates else None
    event.model_parameters = model_parameters(attributes, kinds, scope_name)
    event.sent_metadata = None
    event.usage = {} if aggregates else usage_of(attributes, kinds, scope_name)
    event.cost = {} if aggregates else cost_of(attributes, kinds)
    event.input = fields.text(given)
    event.output = fields.text(answered)
    event.metadata = metadata
    event.tool_definitions = tools.definitions if tools else {}
    event.tool_calls = tools.calls if tools else []
    event.tool_call_names = tools.call_names if tools else []
    event.experiment = experiment(attributes) if kinds & EXPERIMENT else None
    event.trace = _trace_attributes(attributes) if kinds & TRACE else None
    event.service_name = service
    event.service_version = service_version
    event.scope_name = scope_name
    event.scope_version = scope_version
    event.telemetry_sdk_language = language
    event.telemetry_sdk_name = sdk
    event.telemetry_sdk_version = sdk_version
    return event


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


def _tools(given: Any, answered: Any) -> Tools | None:
    """Return the tools in input and output, if any; texts that cannot hold any are not parsed."""
    offers = parsed(given) if not isinstance(given, str) or may_define_tools(given) else None
    calls = parsed(answered) if not isinstance(answered, str) or may_call_tools(answered) else None
    return None if offers is None and calls is None else tools_of(offers, calls)


def _trace_attributes(attributes: Attributes) -> TraceAttributes | None:
    """Return the trace's input and output and the names of its metadata, as far as the span gives any."""
    given, answered = (attributes.get(f"langfuse.trace.{part}") for part in ("input", "output"))
    attached = metadata_attributes(attributes)
    names = list(metadata_under("langfuse.trace.metadata", attached))
    own = metadata_under("langfuse.observation.metadata", attached) if names else {}
    if given is None and answered is None and not names:
        return None
    own_names = [name for name in names if name in own]
    return TraceAttributes(fields.text(given), fields.text(answered), names, own_names)
