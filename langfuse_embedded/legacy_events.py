"""Events of the legacy batch (`dual` mode): merged by id, then turned into the events that the store keeps.

There are no rows for traces here: what a client says of a trace becomes the root observation `t-<trace id>`,
as on the server, and its attributes stand on every observation of the trace. A trace's observations without a
parent hang below that root. Bodies have the keys of the API, times in Unix milliseconds, no nulls, and an
`eventTime`, which stands in for a `timestamp` or `startTime` that was not sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langfuse_embedded.otlp.event import Event
from langfuse_embedded.otlp.javascript import dumps
from langfuse_embedded.otlp.key_kinds import COST, USAGE
from langfuse_embedded.otlp.metadata import flatten
from langfuse_embedded.otlp.tools import parsed, tools_of
from langfuse_embedded.otlp.usage import cost_of, usage_of
from langfuse_embedded.scoring import environment_of
from langfuse_embedded.store.observation_rows import TRACE_ROOT

Body = Mapping[str, Any]

TRACE, OBSERVATION = "trace", "observation"
# The first word on these counts, whatever comes later.
_FIXED = ("id", "traceId", "type", "timestamp", "startTime", "eventTime", "environment")
_USAGE_KINDS = {
    "input": "input",
    "output": "output",
    "total": "total",
    "promptTokens": "input",
    "completionTokens": "output",
    "totalTokens": "total",
}
_COST_KINDS = {"inputCost": "input", "outputCost": "output", "totalCost": "total"}


def merged(earlier: Body, later: Body) -> dict[str, Any]:
    """Return what two events say of one id: later values win unless null, metadata is merged deeply."""
    result = dict(earlier)
    for key, value in later.items():
        if value is None or (key in _FIXED and result.get(key) is not None):
            continue
        if key == "metadata":
            result[key] = _deep(result.get(key), value)
        elif key == "tags":
            result[key] = sorted({*(result.get(key) or ()), *value})
        else:
            result[key] = value
    return result


def _deep(earlier: Any, later: Any) -> Any:
    if not isinstance(earlier, dict) or not isinstance(later, dict):
        return later
    return {**earlier, **{key: _deep(earlier.get(key), value) for key, value in later.items()}}


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
    event.environment = environment_of(body.get("environment"))
    event.version = body.get("version")
    event.input, event.output = _text(body.get("input")), _text(body.get("output"))
    metadata = body.get("metadata")
    if metadata is not None:
        event.metadata = flatten(metadata if isinstance(metadata, dict) else {"metadata": metadata})
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
    details = observation.get("usageDetails")
    if details is None:
        usage = observation.get("usage") or {}
        details = {kind: usage[key] for key, kind in _USAGE_KINDS.items() if usage.get(key) is not None}
    return dumps(details)


def _costs(observation: Body) -> str:
    details = observation.get("costDetails")
    if details is None:
        usage = observation.get("usage") or {}
        details = {kind: usage[key] for key, kind in _COST_KINDS.items() if usage.get(key) is not None}
    return dumps(details)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else dumps(value)
