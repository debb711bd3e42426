"""What files say of evaluators and evaluation rules: LLM-as-a-judge as code."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from .model_base import Finite, JsonValue, Strict, Text, refuse
from .widget_fields import nearest

# As the server finds them: packages/shared/src/utils/stringChecks.ts.
_MUSTACHE = re.compile(r"{{([^{}]*)}}")
EXPERIMENT_SOURCES = ("expected_output", "experiment_item_metadata")
"""Sources that observations outside of experiments lack."""

FILTER_COLUMNS = {
    "type": "stringOptions",
    "name": "stringOptions",
    "environment": "stringOptions",
    "level": "stringOptions",
    "version": "string",
    "traceName": "stringOptions",
    "userId": "string",
    "sessionId": "string",
    "tags": "arrayOptions",
    "metadata": "stringObject",
    "isRootObservation": "boolean",
    "parentObservationId": "null",
    "experimentId": "stringOptions",
    "calledToolNames": "arrayOptions",
    "toolCalls": "number",
    "datasetId": "stringOptions",
}
"""Columns of a rule's filter, each with the one type of condition that fits (observationForEval.ts)."""
_TEXT = ("=", "contains", "does not contain", "starts with", "ends with")
_OPERATORS = {
    "stringOptions": ("any of", "none of"),
    "arrayOptions": ("any of", "none of", "all of"),
    "string": _TEXT,
    "stringObject": _TEXT,
    "boolean": ("=", "<>"),
    "null": ("is null", "is not null"),
    "number": ("=", ">", "<", ">=", "<="),
}
_VALUES: dict[str, tuple[type, ...]] = {
    "stringOptions": (list,),
    "arrayOptions": (list,),
    "string": (str,),
    "stringObject": (str,),
    "boolean": (bool,),
    "null": (str,),
    "number": (int, float),
}

_EXAMPLES = {
    "stringOptions": "a list such as [GENERATION]",
    "arrayOptions": "a list such as [beta]",
    "string": "text",
    "stringObject": "text",
    "boolean": "true or false",
    "null": "no value",
    "number": "a number",
}


def variables_of(texts: list[str]) -> list[str]:
    """Return the names of the variables in the texts of a prompt, in order, each once."""
    names = [name for text in texts for name in _MUSTACHE.findall(text)]
    valid = [one for one in names if one[:1].isalpha() and all(c == "_" or c.isalnum() for c in one)]
    return list(dict.fromkeys(valid))


class JudgeMessage(Strict):
    """A message of an evaluator's prompt; variables stand in it as `{{name}}`."""

    role: Literal["system", "user", "assistant"]
    content: Text


class JudgeModel(Strict):
    """Who judges: the provider of an LLM connection of the project, and a model."""

    provider: Text
    model: Text


class VariableSource(Strict):
    """Where a variable of the prompt comes from."""

    source: Literal[
        "input", "output", "metadata", "tool_calls", "expected_output", "experiment_item_metadata"
    ]
    json_path: Text | None = None

    @model_validator(mode="after")
    def _path_can_be_applied(self) -> Self:
        path = self.json_path
        if path is None:
            return self
        if not path.startswith("$"):
            raise refuse(f"the JSONPath {path!r} does not start with $", "write it as $.answer")
        if path.count("[") != path.count("]") or path.count("(") != path.count(")"):
            raise refuse(f"the brackets of the JSONPath {path!r} do not match", "close what is open")
        if re.search(r"\[\s*[?(]", path):
            raise refuse(f"the server applies no filter or script, as in {path!r}", "select by name or index")
        if re.search(r"\[\s*-\d+\s*\]", path):
            raise refuse(f"the server knows no negative index, as in {path!r}", "use a slice such as [-1:]")
        return self


class JudgeOutput(Strict):
    """What a judge answers, and what it is told about it."""

    data_type: Literal["NUMERIC", "BOOLEAN", "CATEGORICAL"]
    reasoning: Text
    """What the model is told about the reasoning, which becomes the comment of the score."""
    score: Text
    """What the model is told about the score."""
    min_value: Finite | None = None
    max_value: Finite | None = None
    categories: list[Text] = []
    multiple: bool = False
    """Several categories may fit: each becomes a score."""

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        bounded = self.min_value is not None or self.max_value is not None
        if bounded and self.data_type != "NUMERIC":
            raise refuse("only NUMERIC outputs have min_value and max_value", "remove them")
        if self.min_value is not None and self.max_value is not None and self.min_value > self.max_value:
            raise refuse("min_value is greater than max_value", "exchange or correct them")
        if self.data_type != "CATEGORICAL" and (self.categories or self.multiple):
            raise refuse("only CATEGORICAL outputs have categories and multiple", "remove them")
        if self.data_type == "CATEGORICAL" and len(self.categories) < 2:
            raise refuse("CATEGORICAL needs two categories", "list at least two")
        if len(set(self.categories)) != len(self.categories):
            raise refuse("a category is given twice", "keep one")
        return self


class Evaluator(Strict):
    """How a model judges an observation. Its name is the name of the scores."""

    name: Text
    description: str = ""
    prompt: Text | None = None
    messages: Annotated[list[JudgeMessage], Field(min_length=1)] | None = None
    model: JudgeModel | None = None
    """Without one the server takes the project's default model; the embedded engine has none."""
    variables: dict[str, VariableSource] = {}
    """One entry for each variable of the prompt."""
    output: JudgeOutput

    @model_validator(mode="after")
    def _variables_fit(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise refuse("an evaluator has a prompt or messages", "give one of them")
        names = variables_of([one.content for one in self.all_messages])
        for name in names:
            if name not in self.variables:
                raise refuse(
                    f"the variable {name!r} of the prompt comes from nowhere",
                    f"add it below variables, such as {name}: {{source: output}}",
                )
        for name in self.variables:
            if name not in names:
                raise refuse(
                    f"the prompt has no variable {name!r}", nearest(name, names) if names else "remove it"
                )
        return self

    @property
    def all_messages(self) -> list[JudgeMessage]:
        """The prompt as messages."""
        return self.messages or [JudgeMessage(role="user", content=self.prompt or " ")]

    @property
    def needs_experiment(self) -> bool:
        """Whether a variable comes from the item of an experiment."""
        return any(one.source in EXPERIMENT_SOURCES for one in self.variables.values())


class RuleFilter(Strict):
    """A condition that an observation has to meet."""

    column: Text
    operator: Text
    value: JsonValue = None
    key: Text | None = None

    @model_validator(mode="after")
    def _fits_its_column(self) -> Self:
        if self.column not in FILTER_COLUMNS:
            raise refuse(f"there is no column {self.column!r}", nearest(self.column, list(FILTER_COLUMNS)))
        kind = self.type
        if self.operator not in _OPERATORS[kind]:
            shown = ", ".join(repr(one) for one in _OPERATORS[kind])
            raise refuse(f"{self.column} has no operator {self.operator!r}", f"use one of {shown}")
        wrong = not isinstance(self.sent_value, _VALUES[kind]) or (
            isinstance(self.value, bool) and kind != "boolean"
        )
        if wrong or (kind == "stringOptions" and not self.value):
            reason = f"the value {self.value!r} does not fit {self.column}"
            raise refuse(reason, f"write {_EXAMPLES[kind]}")
        if (self.key is not None) != (kind == "stringObject"):
            raise refuse("only metadata is asked for by a key", "give key with column: metadata")
        return self

    @property
    def type(self) -> str:
        """The type of the condition, which follows from the column."""
        return FILTER_COLUMNS[self.column]

    @property
    def sent_value(self) -> JsonValue:
        """The value as the API wants it: empty where nothing is compared."""
        return "" if self.type == "null" and self.value is None else self.value


class EvaluationRule(Strict):
    """Which observations are judged, by which evaluators of this project."""

    name: Text
    evaluators: Annotated[list[Text], Field(min_length=1)]
    enabled: bool = False
    """Enabled rules call models: that costs money."""
    target: Literal["observation", "experiment"] = "observation"
    """`experiment`: only the root spans of experiment items."""
    sampling: Annotated[float, Field(gt=0, le=1)] = 1
    filter: list[RuleFilter] = []

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if len(set(self.evaluators)) != len(self.evaluators):
            raise refuse("an evaluator is given twice", "keep one")
        if self.target == "observation" and any(one.column == "datasetId" for one in self.filter):
            raise refuse("datasetId is for experiments", "add target: experiment")
        return self
