"""The columns that observations can be filtered by: what each is in SQL, and which conditions fit it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a column holds, and so how it is compared. The value is the type that error messages name."""

    TEXT = "string"
    CHOICE = "stringOptions"
    IDENTIFIER = "id"
    LONG_TEXT = "long text"
    NUMBER = "number"
    DATETIME = "datetime"
    BOOLEAN = "boolean"
    ARRAY = "arrayOptions"
    METADATA = "stringObject"
    SCORE_NUMBERS = "numberObject"
    SCORE_CATEGORIES = "categoryOptions"
    SCORE_BOOLEANS = "booleanObject"

    @property
    def expected(self) -> str:
        """The type that the server's refusal asks for."""
        return "string" if self in (Kind.IDENTIFIER, Kind.LONG_TEXT) else self.value


FITTING = {
    Kind.TEXT: frozenset({"string", "stringOptions", "null"}),
    Kind.CHOICE: frozenset({"string", "stringOptions", "null"}),
    Kind.IDENTIFIER: frozenset({"string", "stringOptions", "null"}),
    Kind.LONG_TEXT: frozenset({"string", "null"}),
    Kind.NUMBER: frozenset({"number", "null"}),
    Kind.DATETIME: frozenset({"datetime", "null"}),
    Kind.BOOLEAN: frozenset({"boolean", "null"}),
    Kind.ARRAY: frozenset({"arrayOptions", "null"}),
    Kind.METADATA: frozenset({"stringObject", "null"}),
    Kind.SCORE_NUMBERS: frozenset({"numberObject", "null"}),
    Kind.SCORE_CATEGORIES: frozenset({"categoryOptions", "null"}),
    Kind.SCORE_BOOLEANS: frozenset({"booleanObject", "null"}),
}
"""Types of conditions by kind of column."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column by its API name; `title` is its name in the server's UI, which filters may use as well.

    Of scores of a trace, `sql` is where they are found: the text from `from` on.
    """

    name: str
    title: str
    kind: Kind
    sql: str
    called: str = ""
    """The type that the server's refusal asks for, where it is not that of the kind."""

    @property
    def expected(self) -> str:
        """The type that the server's refusal asks for."""
        return self.called or self.kind.expected


def _of_sender(column: str, otherwise: str) -> str:
    return f"coalesce((select s.{column} from senders s where s.key = o.sender), '{otherwise}')"


IS_ROOT = "(o.parent_span_id is null or o.is_app_root)"
_SECONDS = "((o.end_time - o.start_time) / 1000.0)"

_ALL = (
    Column("id", "ID", Kind.IDENTIFIER, "o.span_id", "stringOptions"),
    Column("traceId", "Trace ID", Kind.IDENTIFIER, "o.trace_id"),
    Column("parentObservationId", "Parent Observation ID", Kind.IDENTIFIER, "o.parent_span_id"),
    Column("type", "Type", Kind.CHOICE, "o.type"),
    Column("name", "Name", Kind.CHOICE, "o.name"),
    Column("environment", "Environment", Kind.CHOICE, "o.environment"),
    Column("traceEnvironment", "Trace Environment", Kind.CHOICE, "o.environment"),
    Column("level", "Level", Kind.CHOICE, "o.level"),
    # Everything comes in over OpenTelemetry here.
    Column("ingestionSource", "Ingestion Source", Kind.CHOICE, "'otel'"),
    Column("ingestionApiKey", "API Key", Kind.CHOICE, _of_sender("api_key", "")),
    Column("ingestionSdkName", "SDK Name", Kind.CHOICE, _of_sender("sdk_name", "unknown")),
    Column("ingestionSdkVersion", "SDK Version", Kind.CHOICE, _of_sender("sdk_version", "unknown")),
    Column("statusMessage", "Status Message", Kind.TEXT, "o.status_message"),
    Column("version", "Version", Kind.TEXT, "o.version"),
    Column("release", "Release", Kind.TEXT, "o.release"),
    Column("userId", "User ID", Kind.CHOICE, "o.user_id", "string"),
    Column("sessionId", "Session ID", Kind.CHOICE, "o.session_id", "string"),
    Column("traceName", "Trace Name", Kind.CHOICE, "o.trace_name"),
    Column("model", "Model", Kind.CHOICE, "o.model"),
    Column("providedModelName", "Provided Model Name", Kind.CHOICE, "o.model"),
    Column("modelId", "Model ID", Kind.CHOICE, "o.model_id"),
    Column("promptName", "Prompt Name", Kind.CHOICE, "o.prompt_name"),
    Column("promptVersion", "Prompt Version", Kind.NUMBER, "o.prompt_version"),
    Column("experimentId", "Experiment ID", Kind.CHOICE, "coalesce(o.experiment_id, '')"),
    Column("experimentName", "Experiment Name", Kind.CHOICE, "coalesce(o.experiment_name, '')"),
    Column(
        "experimentDatasetId", "Experiment Dataset ID", Kind.CHOICE, "coalesce(o.experiment_dataset_id, '')"
    ),
    Column("experimentItemId", "Experiment Item ID", Kind.CHOICE, "coalesce(o.experiment_item_id, '')"),
    Column("input", "Input", Kind.LONG_TEXT, "body_text(o.block, b.body, o.position, 'input')"),
    Column("output", "Output", Kind.LONG_TEXT, "body_text(o.block, b.body, o.position, 'output')"),
    Column("metadata", "Metadata", Kind.METADATA, "body_metadata(o.block, b.body, o.position, ?)"),
    Column("startTime", "Start Time", Kind.DATETIME, "o.start_time"),
    Column("endTime", "End Time", Kind.DATETIME, "o.end_time"),
    Column("latency", "Latency (s)", Kind.NUMBER, _SECONDS),
    Column(
        "timeToFirstToken",
        "Time To First Token (s)",
        Kind.NUMBER,
        "((o.completion_start_time - o.start_time) / 1000.0)",
    ),
    Column("inputTokens", "Input Tokens", Kind.NUMBER, "coalesce(o.input_tokens, 0)"),
    Column("outputTokens", "Output Tokens", Kind.NUMBER, "coalesce(o.output_tokens, 0)"),
    Column("totalTokens", "Total Tokens", Kind.NUMBER, "o.total_tokens"),
    Column("tokens", "Tokens", Kind.NUMBER, "o.total_tokens"),
    Column(
        "tokensPerSecond",
        "Tokens per second",
        Kind.NUMBER,
        # A division by zero is infinite in the server's store, and nothing in SQLite.
        f"iif({_SECONDS} = 0, iif(o.output_tokens > 0, 9e999, null),"
        f" coalesce(o.output_tokens, 0) / {_SECONDS})",
    ),
    Column("inputCost", "Input Cost ($)", Kind.NUMBER, "coalesce(o.input_cost, 0)"),
    Column("outputCost", "Output Cost ($)", Kind.NUMBER, "coalesce(o.output_cost, 0)"),
    Column("totalCost", "Total Cost ($)", Kind.NUMBER, "o.total_cost"),
    Column("traceTags", "Trace Tags", Kind.ARRAY, "o.tags"),
    Column("tags", "Tags", Kind.ARRAY, "o.tags"),
    Column("toolNames", "Tool Names", Kind.ARRAY, "o.tool_names"),
    Column("calledToolNames", "Called Tool Names", Kind.ARRAY, "o.called_tool_names"),
    Column("toolDefinitions", "Available Tools", Kind.NUMBER, "coalesce(json_array_length(o.tool_names), 0)"),
    Column("toolCalls", "Tool Calls", Kind.NUMBER, "coalesce(json_array_length(o.called_tool_names), 0)"),
    Column("isRootObservation", "Is Root Observation", Kind.BOOLEAN, IS_ROOT),
    Column("hasParentObservation", "Has Parent Observation", Kind.BOOLEAN, "(o.parent_span_id is not null)"),
    Column("hasInput", "Has Input", Kind.BOOLEAN, "o.has_input"),
    Column("hasOutput", "Has Output", Kind.BOOLEAN, "o.has_output"),
    Column(
        "isExperimentItemRootSpan",
        "Is Experiment Item Root Span",
        Kind.BOOLEAN,
        "(o.experiment_item_root_span_id is not null and o.experiment_item_root_span_id ="
        " iif(typeof(o.span_id) = 'blob', lower(hex(o.span_id)), o.span_id))",
    ),
)

ALL_COLUMNS = {name: column for column in _ALL for name in (column.name, column.title)}
"""Columns by API name and by title."""

COLUMNS = {name: column for name, column in ALL_COLUMNS.items() if column.name != "experimentItemId"}
"""What the filter of `GET v2/observations` may name (the server: `eventsTableNativeUiColumnDefinitions`)."""

_ONLY_OF_EVENTS = frozenset(
    (
        "ingestionSource",
        "ingestionApiKey",
        "ingestionSdkName",
        "ingestionSdkVersion",
        "release",
        "tags",
        "input",
        "output",
        "providedModelName",
        "experimentId",
        "experimentName",
        "experimentDatasetId",
        "isRootObservation",
        "hasParentObservation",
        "hasInput",
        "hasOutput",
        "isExperimentItemRootSpan",
    )
)
LEGACY_COLUMNS = {name: column for name, column in COLUMNS.items() if column.name not in _ONLY_OF_EVENTS}
"""What the filter of `GET observations` may name (`observationsTableUiColumnDefinitions`)."""
