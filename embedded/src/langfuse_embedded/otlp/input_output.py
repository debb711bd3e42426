"""Input and output of an observation: one reader a convention, the first that finds anything wins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from langfuse_embedded.javascript.values import (
    InvalidJson,
    dumps,
    first_present,
    loads,
    loads_or_none,
    string,
    truthy,
)

from .batch import Attributes, SpanEvent
from .key_kinds import SPREAD_MESSAGES, kinds_of
from .unflatten import unflatten


class InputOutput(NamedTuple):
    """What went in and what came out: texts, decoded JSON, or ``None``."""

    input: Any
    output: Any


_NOTHING = InputOutput(None, None)


def input_and_output(
    attributes: Attributes, kinds: int, events: list[SpanEvent], scope_name: str | None
) -> InputOutput:
    """Return input and output of a span."""
    given = attributes.get("langfuse.observation.input")
    answered = attributes.get("langfuse.observation.output")
    if given is not None or answered is not None:
        return InputOutput(given, answered)
    reader = _READERS_BY_SCOPE.get(scope_name or "")
    if reader is not None:
        return reader(attributes)
    if scope_name == "@flue/opentelemetry":
        found = _flue(attributes)
        if found is not None:
            return found
    if events:
        found = _from_events(events, scope_name)
        if found is not None:
            return found
    return _from_attributes(attributes, kinds, scope_name)


# --- frameworks known by their scope -----------------------------------------------------------------


def _genkit(attributes: Attributes) -> InputOutput:
    """Read Genkit: of model spans the messages, of flows the whole objects."""

    def read(key: str, inner: str) -> Any:
        value = attributes.get(key)
        document = loads_or_none(value)
        if document is None:
            return value
        part = document.get(inner) if isinstance(document, dict) else None
        return document if part is None else part

    return InputOutput(read("genkit:input", "messages"), read("genkit:output", "message"))


_AI_SDK_INPUT = ("ai.prompt.messages", "ai.prompt", "ai.toolCall.args")
_AI_SDK_OUTPUT = (
    "ai.result.text",
    "ai.toolCall.result",
    "ai.response.object",
    "ai.result.object",
    "ai.response.toolCalls",
    "ai.result.toolCalls",
)


def _ai_sdk(attributes: Attributes) -> InputOutput:
    """Read the Vercel AI SDK; `result` keys are those of its versions before 4."""
    given = next((attributes[key] for key in _AI_SDK_INPUT if key in attributes), None)
    text = attributes.get("ai.response.text")
    if "ai.response.text" in attributes and "ai.response.toolCalls" in attributes:
        message = {"role": "assistant", "content": text, "tool_calls": attributes["ai.response.toolCalls"]}
        answered: Any = dumps(message)
    elif truthy(text):
        answered = text
    else:
        answered = next((attributes[key] for key in _AI_SDK_OUTPUT if key in attributes), None)
    convention = _genai_messages(attributes) or _NOTHING
    return InputOutput(
        convention.input if given is None else given, convention.output if answered is None else answered
    )


_READERS_BY_SCOPE: dict[str, Callable[[Attributes], InputOutput]] = {"genkit-tracer": _genkit, "ai": _ai_sdk}
"""Scopes whose spans are read in one way only."""

_FLUE_INPUT = ("flue.turn.input", "flue.tool.arguments", "flue.task.prompt", "flue.workflow.payload")
_FLUE_OUTPUT = (
    "flue.turn.output",
    "flue.tool.result",
    "flue.task.result",
    "flue.operation.result",
    "flue.workflow.result",
)


def _flue(attributes: Attributes) -> InputOutput | None:
    """Read Flue, whose keys differ by kind of span."""
    given, answered = first_present(attributes, _FLUE_INPUT), first_present(attributes, _FLUE_OUTPUT)
    if given is None and answered is None:
        return None
    return InputOutput(_document_or_value(given), _document_or_value(answered))


def _document_or_value(value: Any) -> Any:
    document = loads_or_none(value)
    return value if document is None else document


# --- span events -------------------------------------------------------------------------------------

_OPERATION_DETAILS = "gen_ai.client.inference.operation.details"
_CHOICE = "gen_ai.choice"
_ROLES = {f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool")}
_OLD_PROMPT, _OLD_COMPLETION = "gen_ai.content.prompt", "gen_ai.content.completion"


def _from_events(events: list[SpanEvent], scope_name: str | None) -> InputOutput | None:
    """Read the span events of three generations of GenAI conventions, newest first."""
    for event in events:
        if event.name == _OPERATION_DETAILS:
            found = _genai_messages(event.attributes or {})
            if found is not None:
                return found
    messages: list[Any] = [
        {"role": _ROLES[event.name]} | (event.attributes or {}) for event in events if event.name in _ROLES
    ]
    choices: list[Any] = [event.attributes or {} for event in events if event.name == _CHOICE]
    if messages or choices:
        return InputOutput(messages or None, choices[0] if len(choices) == 1 else choices or None)
    prompt = next((event.attributes for event in events if event.name == _OLD_PROMPT), None)
    completion = next((event.attributes for event in events if event.name == _OLD_COMPLETION), None)
    if prompt is None and completion is None:
        return None
    given = input_and_output(prompt or {}, kinds_of(prompt or ()), [], scope_name).input
    answered = input_and_output(completion or {}, kinds_of(completion or ()), [], scope_name).output
    return InputOutput(
        given if truthy(given) else prompt or {}, answered if truthy(answered) else completion or {}
    )


# --- attributes --------------------------------------------------------------------------------------


def _vertex(attributes: Attributes) -> InputOutput | None:
    """Read Google ADK; on tool spans its request and response are empty objects."""

    def read(key: str, tool_key: str) -> Any:
        value = attributes.get(key)
        return value if truthy(value) and value != "{}" else attributes.get(tool_key)

    return _found(
        read("gcp.vertex.agent.llm_request", "gcp.vertex.agent.tool_call_args"),
        read("gcp.vertex.agent.llm_response", "gcp.vertex.agent.tool_response"),
    )


def _livekit(attributes: Attributes) -> InputOutput | None:
    given = first_present(attributes, ("lk.input_text", "lk.user_transcript", "lk.chat_ctx"))
    answered = attributes.get("lk.function_tool.output")
    return _found(given, answered if truthy(answered) else attributes.get("lk.response.text"))


def _logfire_events(attributes: Attributes) -> InputOutput | None:
    """Read Logfire's list of GenAI events in one attribute: the choice is the output, the rest the input."""
    events = attributes.get("events")
    if isinstance(events, str):
        events = loads_or_none(events)
    if not isinstance(events, list):
        return None
    choice = next((event for event in events if _is_choice(event)), None)
    messages = [event for event in events if not _is_choice(event)]
    return InputOutput(messages or None, choice) if choice or messages else None


def _is_choice(event: Any) -> bool:
    return isinstance(event, dict) and event.get("event.name") == _CHOICE


def _pydantic_ai(attributes: Attributes) -> InputOutput | None:
    return _found(_with_instructions(attributes, "pydantic_ai.all_messages"), attributes.get("final_result"))


_KEY_PAIRS: tuple[tuple[str, str], ...] = (
    ("mlflow.spanInputs", "mlflow.spanOutputs"),
    ("traceloop.entity.input", "traceloop.entity.output"),
    ("input.value", "output.value"),
    ("input", "output"),
)
"""Plain pairs: MLflow, TraceLoop, OpenInference (smolagents and others), Pipecat."""


def _from_attributes(attributes: Attributes, kinds: int, scope_name: str | None) -> InputOutput:
    return (
        _vertex(attributes)
        or _found(attributes.get("prompt"), attributes.get("all_messages_events"))
        or _livekit(attributes)
        or _logfire_events(attributes)
        or next((found for pair in _KEY_PAIRS if (found := _found(*map(attributes.get, pair)))), None)
        or (_pydantic_ai(attributes) if scope_name == "pydantic-ai" else None)
        or _found(attributes.get("tool_arguments"), attributes.get("tool_response"))
        or (_spread_messages(attributes) if kinds & SPREAD_MESSAGES else None)
        or _genai_messages(attributes)
        or _NOTHING
    )


def _found(given: Any, answered: Any) -> InputOutput | None:
    return InputOutput(given, answered) if truthy(given) or truthy(answered) else None


_SPREAD = (("gen_ai.prompt", "gen_ai.completion"), ("llm.input_messages", "llm.output_messages"))


def _spread_messages(attributes: Attributes) -> InputOutput | None:
    """Read messages that are spread over keys, as TraceLoop and OpenInference send them."""
    for prefixes in _SPREAD:
        if any(key.startswith(prefixes) for key in attributes):
            return InputOutput(*(unflatten(attributes, prefix) for prefix in prefixes))
    return None


def _genai_messages(attributes: Attributes) -> InputOutput | None:
    """Read OpenTelemetry's message attributes, else those of its tool calls."""
    return _found(
        _with_instructions(attributes, "gen_ai.input.messages"), attributes.get("gen_ai.output.messages")
    ) or _found(attributes.get("gen_ai.tool.call.arguments"), attributes.get("gen_ai.tool.call.result"))


def _with_instructions(attributes: Attributes, key: str) -> Any:
    """Return messages with the system instructions in front, unless a system message is there."""
    given, instructions = attributes.get(key), attributes.get("gen_ai.system_instructions")
    if not truthy(given) or not truthy(instructions):
        return given
    messages = loads_or_none(given)
    if not isinstance(messages, list) or any(_is_system(message) for message in messages):
        return given
    merged = [{"role": "system", "content": _instructions_text(instructions)}, *messages]
    return dumps(merged) if isinstance(given, str) else merged


def _is_system(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") == "system"


def _instructions_text(instructions: Any) -> str:
    try:
        document = loads(instructions) if isinstance(instructions, str) else instructions
    except InvalidJson:
        return string(instructions)
    if not isinstance(document, list):
        return string(document)
    return "\n".join(
        string(part["content"]) if isinstance(part, dict) and truthy(part.get("content")) else string(part)
        for part in document
    )
