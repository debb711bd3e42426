"""What an attribute key is good for, by its name alone.

A span has dozens of keys and most rules concern a few of them, but the same keys come with every span. So
each key is judged once and remembered, and one pass over a span's keys tells which rules can apply at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_

EXPERIMENT = 1
METADATA = 2
PARAMETER = 4
USAGE = 8
TOOLS = 16
SPREAD_MESSAGES = 32
COST = 64
NOT_REPEATED = 128
TRACE = 256
MODEL = 512
NAME = 1024
PUBLIC = 2048
FIRST_TOKEN = 4096

_MAX_REMEMBERED = 20_000
"""Senders make up keys (`retrieval.documents.17.score`); beyond this many, keys are judged every time."""

_BY_PREFIX: tuple[tuple[str, int], ...] = (
    ("langfuse.experiment.", EXPERIMENT),
    ("langfuse.observation.metadata", METADATA | NOT_REPEATED),
    ("langfuse.trace.metadata", METADATA | TRACE | NOT_REPEATED),
    ("langfuse.trace.input", TRACE),
    ("langfuse.trace.output", TRACE),
    ("langfuse.metadata", METADATA | TRACE),
    ("ai.telemetry.metadata", METADATA | TRACE | NOT_REPEATED),
    ("gen_ai.request.", PARAMETER),
    ("llm.invocation_parameters", PARAMETER),
    ("langfuse.observation.model.parameters", PARAMETER),
    ("model_config", PARAMETER),
    ("langfuse.observation.usage_details", USAGE),
    ("gen_ai.usage.", USAGE),
    ("gen_ai.usage.cost", COST),
    ("llm.cost.total", COST),
    ("langfuse.observation.cost_details", COST),
    ("llm.token_count.", USAGE),
    ("gen_ai.prompt", SPREAD_MESSAGES | NOT_REPEATED),
    ("gen_ai.completion", SPREAD_MESSAGES | NOT_REPEATED),
    ("llm.input_messages", SPREAD_MESSAGES | NOT_REPEATED),
    ("llm.output_messages", SPREAD_MESSAGES | NOT_REPEATED),
    ("llm.tools.", TOOLS),
    ("ai.prompt.tools", TOOLS),
    ("gen_ai.tool.definitions", TOOLS),
    ("model_request_parameters", TOOLS),
    ("langfuse.observation.model.name", MODEL),
    ("gen_ai.request.model", MODEL),
    ("gen_ai.response.model", MODEL),
    ("llm.model_name", MODEL),
    ("llm.response.model", MODEL),
    ("ai.model.id", MODEL),
    ("model", MODEL),
    ("genkit:", MODEL | NAME),
    ("gen_ai.tool.name", NAME),
    ("ai.operationId", NAME),
    ("ai.toolCall.name", NAME),
    ("logfire.msg", NAME),
    ("langfuse.trace.public", PUBLIC),
    ("langfuse.public", PUBLIC),
    ("langfuse.observation.completion_start_time", FIRST_TOKEN),
    ("ai.response.msToFirstChunk", FIRST_TOKEN),
    ("ai.stream.msToFirstChunk", FIRST_TOKEN),
)

_READ_AS_INPUT_OR_OUTPUT = frozenset(
    {
        "langfuse.trace.input",
        "langfuse.trace.output",
        "langfuse.observation.input",
        "langfuse.observation.output",
        "ai.prompt.messages",
        "ai.prompt",
        "ai.toolCall.args",
        "ai.toolCall.result",
        "ai.response.text",
        "ai.response.object",
        "ai.response.toolCalls",
        "ai.result.text",
        "ai.result.object",
        "ai.result.toolCalls",
        "gcp.vertex.agent.llm_request",
        "gcp.vertex.agent.llm_response",
        "gcp.vertex.agent.tool_call_args",
        "gcp.vertex.agent.tool_response",
        "prompt",
        "all_messages_events",
        "events",
        "lk.input_text",
        "lk.user_transcript",
        "lk.chat_ctx",
        "lk.user_input",
        "lk.function_tool.output",
        "lk.response.text",
        "mlflow.spanInputs",
        "mlflow.spanOutputs",
        "traceloop.entity.input",
        "traceloop.entity.output",
        "input.value",
        "output.value",
        "final_result",
        "pydantic_ai.all_messages",
        "gen_ai.system_instructions",
        "input",
        "output",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "genkit:input",
        "genkit:output",
        "flue.turn.input",
        "flue.turn.output",
        "flue.tool.arguments",
        "flue.tool.result",
        "flue.task.prompt",
        "flue.task.result",
        "flue.operation.result",
        "flue.workflow.payload",
        "flue.workflow.result",
    }
)
"""Attributes that carry input or output of some framework: never repeated in the metadata."""


class _Remembered(dict[str, int]):
    """Kinds by key; a key that is asked for the first time is judged."""

    def __missing__(self, key: str) -> int:
        kinds = NOT_REPEATED if key in _READ_AS_INPUT_OR_OUTPUT else 0
        for prefix, kind in _BY_PREFIX:
            if key.startswith(prefix):
                kinds |= kind
        if len(self) < _MAX_REMEMBERED:
            self[key] = kinds
        return kinds


kinds_of_key = _Remembered().__getitem__
"""Return the kinds of one key, as the sum of the constants above."""


def kinds_of(keys: Iterable[str]) -> int:
    """Return the kinds of several keys together."""
    return reduce(or_, map(kinds_of_key, keys), 0)
