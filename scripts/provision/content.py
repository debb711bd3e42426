"""What a project contains: the models of score configs, prompts, datasets and the other objects in files."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from .json_schemas import schema_problem
from .judges import EvaluationRule, Evaluator
from .model_base import Finite, FolderName, JsonObject, JsonValue, Price, Strict, Text, Variable, refuse
from .patterns import check_pattern
from .widget_fields import Aggregation, ChartType, Preset, ViewName, fault_of

Label = Annotated[str, Field(max_length=36, pattern=r"^[a-z0-9_\-.]+$")]
DataFile = Annotated[str, Field(pattern=r"\.(jsonl|csv)$")]
GRID_COLUMNS = 12


class Category(Strict):
    """One value that a categorical score can have."""

    label: Text
    value: Finite


class ScoreConfig(Strict):
    """A name that scores may refer to, with the range or the categories of its values."""

    name: Annotated[str, Field(max_length=35, pattern=r"^[a-zA-Z0-9\s.()_-]+$")]
    data_type: Literal["NUMERIC", "CATEGORICAL", "BOOLEAN", "TEXT"]
    description: str = ""
    min_value: Finite | None = None
    max_value: Finite | None = None
    categories: list[Category] = []
    archived: bool = False

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        bounded = self.min_value is not None or self.max_value is not None
        if bounded and self.data_type != "NUMERIC":
            raise refuse("only NUMERIC scores have min_value and max_value", "remove them")
        if self.min_value is not None and self.max_value is not None and self.min_value >= self.max_value:
            raise refuse("max_value is not greater than min_value", "exchange or correct them")
        if self.data_type == "CATEGORICAL" and not self.categories:
            raise refuse("CATEGORICAL needs categories", "list at least one {label, value}")
        if self.categories and self.data_type != "CATEGORICAL":
            raise refuse("only CATEGORICAL scores have categories", "remove them")
        for field in ("label", "value"):
            values = [getattr(category, field) for category in self.categories]
            if len(set(values)) != len(values):
                raise refuse(f"two categories have the same {field}", f"give each another {field}")
        return self


class Condition(Strict):
    """When a pricing tier applies: usage whose type matches a pattern, compared with a number."""

    usage_detail_pattern: Text
    operator: Literal["gt", "gte", "lt", "lte", "eq", "neq"]
    value: Finite
    case_sensitive: bool = False

    @field_validator("usage_detail_pattern")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        return _checked_pattern(pattern)


class Tier(Strict):
    """Prices under conditions."""

    name: Text
    conditions: Annotated[list[Condition], Field(min_length=1)]
    prices: Annotated[dict[str, Price], Field(min_length=1)]


class Model(Strict):
    """A model definition: which generations it prices, and how, in USD for one unit."""

    name: Text
    match_pattern: Text
    unit: Literal["TOKENS", "CHARACTERS", "MILLISECONDS", "SECONDS", "REQUESTS", "IMAGES"] = "TOKENS"
    prices: Annotated[dict[str, Price], Field(min_length=1)]
    """By usage type: input, output, total, or any other that applications report."""
    tiers: list[Tier] = []
    """Prices that replace `prices` where their conditions hold; the first that fits counts."""
    start_date: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?Z)?$")] | None = None
    tokenizer: Literal["openai", "claude"] | None = None
    tokenizer_config: JsonObject = {}

    @field_validator("match_pattern")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        return _checked_pattern(pattern)

    @model_validator(mode="after")
    def _tiers_differ(self) -> Self:
        names = [tier.name for tier in self.tiers]
        if len(set(names)) != len(names) or "Standard" in names:
            raise refuse(
                "two tiers have the same name (Standard is the name of `prices`)", "give each its own"
            )
        return self


def _checked_pattern(pattern: str) -> str:
    if fault := check_pattern(pattern):
        raise refuse(f"this is not a regular expression: {fault}", "correct it, such as (?i)^(acme-7b)$")
    return pattern


class Message(Strict):
    """One message of a chat prompt: role and content, or a placeholder for messages."""

    role: Text | None = None
    content: str | None = None
    placeholder: Annotated[str, Field(pattern=r"^[a-zA-Z][a-zA-Z0-9_]*$")] | None = None

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        parts = self.role is not None, self.content is not None
        if not all(parts) if self.placeholder is None else any(parts):
            raise refuse(
                "this is neither a message nor a placeholder", "give role and content, or placeholder"
            )
        return self


class PromptVersion(Strict):
    """The content of one prompt version: `prompt` for text, `messages` for chat."""

    prompt: str | None = None
    messages: Annotated[list[Message], Field(min_length=1)] | None = None
    config: JsonObject = {}
    labels: list[Label] = ["production"]
    commit_message: Annotated[str, Field(max_length=500)] | None = None

    @model_validator(mode="after")
    def _has_content(self) -> Self:
        if (self.prompt is None) == (self.messages is None) and not getattr(self, "versions", None):
            raise refuse(
                "a prompt is either text or chat", "give prompt (a text) or messages (a list), not both"
            )
        if "latest" in self.labels:
            raise refuse("the label latest always follows the newest version", "remove it")
        if len(set(self.labels)) != len(self.labels):
            raise refuse("a label is given twice", "keep one")
        return self

    @property
    def type(self) -> str:
        """`text` or `chat`."""
        return "text" if self.messages is None else "chat"


class Prompt(PromptVersion):
    """A prompt: one version, or several with labels of their own (`versions`, oldest first)."""

    name: FolderName
    tags: list[Text] = []
    versions: list[PromptVersion] = []

    @model_validator(mode="after")
    def _versions_fit(self) -> Self:
        if self.name in {"new", "metrics", "prompt-detail"} or "//" in self.name:
            raise refuse(f"the server refuses the name {self.name!r}", "choose another")
        if not self.versions:
            return self
        if {"prompt", "messages", "config", "labels", "commit_message"} & self.model_fields_set:
            raise refuse("with versions, each of them has its content", "move it below versions")
        labels = [label for version in self.versions for label in version.labels]
        if len(set(labels)) != len(labels):
            raise refuse("two versions have the same label", "give each version other labels")
        if len({version.type for version in self.versions}) > 1:
            raise refuse("a prompt cannot be text in one version and chat in another", "use two prompts")
        return self

    @property
    def all_versions(self) -> list[PromptVersion]:
        """Return the versions, oldest first; the last becomes the latest."""
        return self.versions or [self]


class DatasetItem(Strict):
    """One item of a dataset. Without `id` it gets one made from its input."""

    id: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    input: JsonValue = None
    expected_output: JsonValue = None
    metadata: JsonValue = None
    status: Literal["ACTIVE", "ARCHIVED"] = "ACTIVE"
    source_trace_id: Text | None = None
    source_observation_id: Text | None = None

    @model_validator(mode="after")
    def _has_input(self) -> Self:
        if "input" not in self.model_fields_set or self.input == "":
            raise refuse("an item needs an input", "add input, if need be null")
        return self


class Dataset(Strict):
    """A dataset; its items are here or in a file beside."""

    name: FolderName
    description: str = ""
    metadata: JsonObject = {}
    input_schema: JsonObject | None = None
    expected_output_schema: JsonObject | None = None
    items: list[DatasetItem] = []
    items_from: DataFile | None = None
    """A JSONL or CSV file, relative to the file that names it."""

    @field_validator("input_schema", "expected_output_schema")
    @classmethod
    def _is_a_schema(cls, schema: JsonObject | None) -> JsonObject | None:
        if schema is not None and (problem := schema_problem(schema)):
            raise refuse(f"the server refuses this JSON Schema: {problem}", "correct it")
        return schema

    @model_validator(mode="after")
    def _items_stand_in_one_place(self) -> Self:
        if self.items and self.items_from:
            raise refuse("items and items_from are both given", "keep one of them")
        return self


class LlmConnection(Strict):
    """A connection to a provider of models; its secret comes from the environment."""

    provider: Text
    adapter: Literal["anthropic", "openai", "azure", "bedrock", "google-vertex-ai", "google-ai-studio"]
    secret_from: Variable
    base_url: Annotated[str, Field(pattern=r"^https?://[^\s@]+$")] | None = None
    custom_models: list[Text] = []
    with_default_models: bool = True
    extra_headers_from: dict[str, Variable] = {}
    """Header name -> environment variable that holds its value."""
    config: JsonObject | None = None

    @model_validator(mode="after")
    def _config_fits(self) -> Self:
        if self.adapter == "bedrock" and "region" not in (self.config or {}):
            raise refuse("bedrock needs a region", "add config: {region: ...}")
        if self.config and self.adapter not in {"bedrock", "openai", "google-vertex-ai"}:
            raise refuse(f"{self.adapter} takes no config", "remove it")
        return self


class AnnotationQueue(Strict):
    """A queue in which people score; `score_configs` are names of this project."""

    name: Text
    description: str = ""
    score_configs: Annotated[list[Text], Field(min_length=1)]


class Metric(Strict):
    """What a widget measures, such as totalCost, and how it is aggregated."""

    measure: Text
    agg: Aggregation


class Filter(Strict):
    """A condition on what a widget or a dashboard looks at, as the Metrics API takes it."""

    column: Text
    type: Text
    operator: Text
    value: JsonValue = None
    key: Text | None = None


class Tile(Strict):
    """Something on a dashboard: a widget of this project, or one of the server's presets."""

    preset: Preset | None = None
    name: Text | None = None
    description: str = ""
    view: ViewName | None = None
    dimensions: list[Text] = []
    metrics: list[Metric] = []
    filters: list[Filter] = []
    chart_type: ChartType | None = None
    chart_config: JsonObject = {}
    x: Annotated[int, Field(ge=0, lt=GRID_COLUMNS)] | None = None
    y: Annotated[int, Field(ge=0)] | None = None
    width: Annotated[int, Field(ge=1, le=GRID_COLUMNS)] = 6
    height: Annotated[int, Field(ge=1, le=50)] = 6

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        own = {
            "name",
            "description",
            "view",
            "dimensions",
            "metrics",
            "filters",
            "chart_type",
            "chart_config",
        }
        if self.preset:
            if own & self.model_fields_set:
                raise refuse("a preset has no settings but its place", "remove them, or remove preset")
            return self
        missing = [field for field in ("name", "view", "metrics", "chart_type") if not getattr(self, field)]
        if missing:
            raise refuse(f"the widget lacks {', '.join(missing)}", "add that, or name a preset")
        if (self.x is None) != (self.y is None):
            raise refuse("only one of x and y is given", "give both, or none to be placed below")
        if (self.x or 0) + self.width > GRID_COLUMNS:
            raise refuse(f"it reaches beyond the {GRID_COLUMNS} columns", "lower x or width")
        self._check_fields()
        return self

    def _check_fields(self) -> None:
        fault = fault_of(str(self.view), self.dimensions, [(m.measure, m.agg) for m in self.metrics])
        if not fault and len(self.dimensions) > (2 if self.chart_type == "PIVOT_TABLE" else 1):
            fault = "too many dimensions", "keep one (a PIVOT_TABLE: two)"
        if fault:
            raise refuse(*fault)


class Dashboard(Strict):
    """A dashboard with its widgets, laid out from left to right unless told where."""

    name: Text
    description: str = ""
    filters: list[Filter] = []
    widgets: list[Tile] = []

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [tile.name for tile in self.widgets if tile.name]
        if len(set(names)) != len(names):
            raise refuse("two widgets have the same name", "give each another name")
        return self


class Content(Strict):
    """The objects of a project, in one file or many."""

    score_configs: list[ScoreConfig] = []
    models: list[Model] = []
    prompts: list[Prompt] = []
    datasets: list[Dataset] = []
    llm_connections: list[LlmConnection] = []
    annotation_queues: list[AnnotationQueue] = []
    dashboards: list[Dashboard] = []
    evaluators: list[Evaluator] = []
    evaluation_rules: list[EvaluationRule] = []


def has_content(content: Content) -> bool:
    """Return whether any file describes an object of a project."""
    return any(getattr(content, name) for name in Content.model_fields)
