"""Events of the legacy batch (`dual` mode): merged by id, then turned into the events that the store keeps.

There are no rows for traces here: what a client says of a trace becomes the root observation `t-<trace id>`,
as on the server, and its attributes stand on every observation of the trace. A trace's observations without a
parent hang below that root. Bodies have the keys of the API, times in Unix milliseconds, no nulls, and an
`eventTime`, which stands in for a `timestamp` or `startTime` that was not sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langfuse_embedded import updates
from langfuse_embedded.javascript.values import dumps
from langfuse_embedded.otlp.environment import environment_named
from langfuse_embedded.otlp.event import Event
from langfuse_embedded.otlp.key_kinds import COST, USAGE
from langfuse_embedded.otlp.metadata import flatten, metadata_texts
from langfuse_embedded.otlp.tools import parsed, tools_of
from langfuse_embedded.otlp.usage import cost_of, usage_of
from langfuse_embedded.store.observation_rows import TRACE_ROOT

Body = Mapping[str, Any]

TRACE, OBSERVATION = "trace", "observation"
_USAGE_KINDS = {
    "input": "input",
    "output": "output",
    "total": "total",
    "promptTokens": "input",
    "completionTokens": "output",
    "totalTokens": "total",
}
# What only the usage objects of OpenAI have; these are read as a whole.
_OPENAI = frozenset(("total_tokens", "prompt_tokens", "input_tokens"))
_COST_KINDS = {"inputCost": "input", "outputCost": "output", "totalCost": "total"}


RULES = {TRACE: updates.TRACE, OBSERVATION: updates.OBSERVATION}


def merged(kind: str, known: Body, event: Body) -> dict[str, Any]:
    """Return what is known of an id together with a further event, in the order of their times.

    An event that is older than what is known adds to it, and changes nothing.
    """
    rules = RULES[kind]
    latest = max(known.get("latest", known["eventTime"]), event["eventTime"])
    if event["eventTime"] >= known.get("latest", known["eventTime"]):
        result = updates.overlaid(known, event, rules)
    else:
        fixed = {key: known[key] for key in rules.fixed if key in known}
        result = {**updates.overlaid(event, known, rules), **fixed}
    return {**result, "latest": latest}


def trace_event(trace: Body) -> Event:
    """Return the root observation that stands for a trace."""
    trace_id, moment = trace["id"], trace.get("timestamp", trace["eventTime"])
    event = Event(trace_id, f"{TRACE_ROOT}{trace_id}", None, trace.get("name") or "", "SPAN", moment, moment)
    _describe(event, trace)
    _put_into_trace(event, trace)
    return event


def observation_event(observation: Body, trace: Body | None) -> Event:
    """Return the event of an observation, with the attributes of its trace if that is known."""
    parent = observation.get("parentObservationId")
    if not parent and trace is not None:
        parent = f"{TRACE_ROOT}{observation['traceId']}"
    event = Event(
        observation["traceId"],
        observation["id"],
        parent or None,
        observation.get("name") or "",
        observation.get("type") or "SPAN",
        observation.get("startTime", observation["eventTime"]),
        observation.get("endTime"),
    )
    _describe(event, observation)
    event.level = observation.get("level") or "DEFAULT"
    event.status_message = observation.get("statusMessage")
    event.completion_start_time = observation.get("completionStartTime")
    event.model_name = observation.get("model")
    event.model_parameters = dumps(observation.get("modelParameters") or {})
    event.prompt_name = observation.get("promptName")
    event.prompt_version = observation.get("promptVersion")
    event.usage = usage_of({"langfuse.observation.usage_details": _usage(observation)}, USAGE, None)
    event.cost = cost_of({"langfuse.observation.cost_details": _costs(observation)}, COST)
    if trace is not None:
        _put_into_trace(event, trace)
    return event


def _describe(event: Event, body: Body) -> None:
    event.environment = environment_named(body.get("environment"))
    event.version = body.get("version")
    event.input, event.output = _text(body.get("input")), _text(body.get("output"))
    metadata = body.get("metadata")
    if metadata is not None:
        event.metadata = flatten(metadata if isinstance(metadata, dict) else {"metadata": metadata})
        event.sent_metadata = metadata_texts(metadata)
    tools = tools_of(parsed(body.get("input")), parsed(body.get("output")))
    event.tool_definitions, event.tool_calls = tools.definitions, tools.calls
    event.tool_call_names = tools.call_names


def _put_into_trace(event: Event, trace: Body) -> None:
    event.trace_name = trace.get("name")
    event.user_id = trace.get("userId")
    event.session_id = trace.get("sessionId")
    event.release = trace.get("release")
    event.tags = trace.get("tags") or []
    event.public = bool(trace.get("public"))


def _usage(observation: Body) -> str:
    details, usage = observation.get("usageDetails") or {}, observation.get("usage") or {}
    if _OPENAI.isdisjoint(details):
        units = {kind: usage[key] for key, kind in _USAGE_KINDS.items() if usage.get(key) is not None}
        details = {**units, **details}
    return dumps(details)


def _costs(observation: Body) -> str:
    details, usage = observation.get("costDetails") or {}, observation.get("usage") or {}
    given = {kind: usage[key] for key, kind in _COST_KINDS.items() if usage.get(key) is not None}
    return dumps({**given, **details})


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else dumps(value)
