"""Evaluators: how a model judges. Names need not be unique; a definition that changes makes a version.

langfuse/langfuse 6275144 (August 2026) has such routes below `/unstable` only: shapes, statuses and rules are
those of the official client (SDK 5.0.4, `langfuse/api/evaluators`).
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from langfuse_embedded.clock import iso, iso_or_none
from langfuse_embedded.http.access import ErrorStyle
from langfuse_embedded.http.errors import Conflict, InvalidData, NotFound
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.schema import (
    Array,
    Boolean,
    Enum,
    Issues,
    Literal,
    Number,
    Object,
    Path,
    Schema,
    String,
    Tagged,
    Union,
)
from langfuse_embedded.judge.connections import (
    CLEARED_BY_DEFINITION,
    NotCallable,
    connection_of,
    paused_message,
)
from langfuse_embedded.judge.prompts import EXPERIMENT_SOURCES, MappingProblem, check_mapping, variables_of
from langfuse_embedded.store.evaluation_rules import Assignment
from langfuse_embedded.store.evaluators import Definition, Evaluator, Output, Version

from .call import Call
from .operations import Operation
from .shapes.evaluation import (
    BY_CREATION,
    BY_VERSION,
    MODEL,
    TEXT,
    bounds_in_order,
    mapping_entry,
    output_of,
    refuse_code,
    require_unique,
    shown_bounds,
)

_JUDGE, _CODE = "llm_as_judge", "code"
_INSTRUCTIONS = {
    "scoreReasoningInstructions": String().nullish(),
    "scoreValueInstructions": String().nullish(),
}
_PROMPT = Union(
    TEXT, Array(Object({"role": Enum("system", "user", "assistant"), "content": String()}), min=1)
)
_OUTPUT = Tagged(
    "dataType",
    {
        "NUMERIC": Object(
            {
                "dataType": Literal("NUMERIC"),
                "minValue": Number().nullish(),
                "maxValue": Number().nullish(),
                **_INSTRUCTIONS,
            }
        ).refine(bounds_in_order, "Minimum value must be less than or equal to maximum value"),
        "BOOLEAN": Object({"dataType": Literal("BOOLEAN"), **_INSTRUCTIONS}),
        "CATEGORICAL": Object(
            {
                "dataType": Literal("CATEGORICAL"),
                "categories": Array(String(min=1, trim=True), min=2),
                "shouldAllowMultipleMatches": Boolean(),
                **_INSTRUCTIONS,
            }
        ),
    },
)
MAPPING = Array(mapping_entry(*EXPERIMENT_SOURCES))
_DEFINITIONS = {
    _JUDGE: {
        "type": Literal(_JUDGE),
        "prompt": _PROMPT,
        "modelConfig": MODEL.nullish(),
        "variableMapping": MAPPING.nullish(),
        "outputDefinition": _OUTPUT,
    },
    _CODE: {
        "type": Literal(_CODE),
        "sourceCode": TEXT,
        "sourceCodeLanguage": Enum("PYTHON", "TYPESCRIPT"),
    },
}
_METADATA = {"name": TEXT.optional(), "description": String().nullish()}
_CREATE = Tagged(
    "type", {kind: Object({**_METADATA, "name": TEXT, **shape}) for kind, shape in _DEFINITIONS.items()}
)
_REPLACE = Tagged("type", {kind: Object({**_METADATA, **shape}) for kind, shape in _DEFINITIONS.items()})
_CHANGE = Object(_METADATA, strict=True).refine(bool, "At least one field must be provided.")


async def list_evaluators(call: Call) -> Response:
    """List evaluators with their newest definition, newest first."""
    query = call.query(BY_CREATION.query)
    after = BY_CREATION.after(query)
    found = call.engine.evaluators.newest(call.project_id, query["limit"] + 1, after)
    rules = call.engine.evaluation_rules.of_evaluators([one.id for one in found])
    return json_response(
        BY_CREATION.page(
            found,
            query["limit"],
            lambda one: (one.created_at, one.id),
            lambda one: _shown(one, rules[one.id]),
        )
    )


async def create_evaluator(call: Call) -> Response:
    """Store a new evaluator with version 1. It is paused at once where there is no connection to call."""
    body = await call.json(_CREATE)
    if body["type"] == _CODE:
        refuse_code()
    definition = _definition(body)
    store = call.engine.evaluators
    with call.engine.state.transaction():
        created = store.create(call.project_id, body["name"], body.get("description"), definition)
        pause_uncallable(call, created, definition)
    return json_response(_shown_by_id(call, created))


async def get_evaluator(call: Call) -> Response:
    """Return one evaluator with its newest definition."""
    return json_response(_shown_by_id(call, found_evaluator(call).id))


async def update_evaluator(call: Call) -> Response:
    """Change name and description, or replace the whole definition, which makes a version if it differs."""
    body = await call.json(_Update())
    evaluator = found_evaluator(call)
    if body.get("type") == _CODE:
        raise Conflict("The type of an existing evaluator cannot change")
    store = call.engine.evaluators
    with call.engine.state.transaction():
        if "name" in body or "description" in body:
            store.rename(
                evaluator,
                body.get("name", evaluator.name),
                body.get("description", evaluator.description),
            )
        if "type" in body:
            definition = _definition(body)
            if definition != evaluator.version.definition:
                store.add_version(evaluator, definition)
            if evaluator.paused_reason in CLEARED_BY_DEFINITION:
                store.resume(evaluator.id)
                pause_uncallable(call, evaluator.id, definition)
    return json_response(_shown_by_id(call, evaluator.id))


async def delete_evaluator(call: Call) -> Response:
    """Delete an evaluator with its versions; its scores stay."""
    evaluator = found_evaluator(call)
    with call.engine.state.transaction():
        call.engine.evaluators.delete(evaluator)
    return json_response({"id": evaluator.id})


async def list_versions(call: Call) -> Response:
    """List the versions of an evaluator, newest first."""
    query = call.query(BY_VERSION.query)
    evaluator = found_evaluator(call)
    after = BY_VERSION.after(query)
    found = call.engine.evaluators.versions(evaluator.id, query["limit"] + 1, after[0] if after else None)
    return json_response(BY_VERSION.page(found, query["limit"], lambda one: (one.number,), _shown_version))


class _Update(Schema):
    """A change of metadata, or with `type` a whole definition: the shape depends on what is there."""

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        replaces = isinstance(value, dict) and "type" in value
        return (_REPLACE if replaces else _CHANGE).parse_at(value, path, issues)


def found_evaluator(call: Call) -> Evaluator:
    """Return the evaluator that a path names."""
    evaluator = call.engine.evaluators.get(call.project_id, call.params["evaluatorId"])
    if evaluator is None:
        raise NotFound("Evaluator not found")
    return evaluator


def pause_uncallable(call: Call, evaluator_id: str, definition: Definition) -> None:
    """Pause an evaluator whose connection is missing, inside the caller's transaction."""
    try:
        connection_of(call.project_id, definition, call.engine.llm_connections)
    except NotCallable as error:
        call.engine.evaluators.pause(evaluator_id, error.blocks)


def require_mapping(mapping: list[dict[str, str]], variables: list[str], name: str) -> None:
    """Require that a mapping fits a prompt.

    Raises:
        InvalidData: with an issue at the field `name`.
    """
    try:
        check_mapping(mapping, variables, EXPERIMENT_SOURCES, "observation")
    except MappingProblem as problem:
        raise InvalidData([{"code": "custom", "message": str(problem), "path": [name]}]) from None


def _definition(body: dict[str, Any]) -> Definition:
    prompt = body["prompt"]
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    mapping = body.get("variableMapping")
    if mapping is not None:
        require_mapping(mapping, variables_of(messages), "variableMapping")
    output = body["outputDefinition"]
    issues = require_unique(output.get("categories", []), ["outputDefinition", "categories"])
    if issues:
        raise InvalidData(issues)
    reasoning, score = (output.get(f"score{part}Instructions") or None for part in ("Reasoning", "Value"))
    return {
        "prompt": messages,
        "model": body.get("modelConfig"),
        "mapping": mapping,
        "output": output_of(output["dataType"], reasoning, score, output),
    }


def _shown_by_id(call: Call, evaluator_id: str) -> dict[str, Any]:
    evaluator = call.engine.evaluators.get(call.project_id, evaluator_id)
    if evaluator is None:
        raise NotFound("Evaluator not found")
    rules = call.engine.evaluation_rules.of_evaluators([evaluator_id])
    return _shown(evaluator, rules[evaluator_id])


def _shown(evaluator: Evaluator, assignments: list[Assignment]) -> dict[str, Any]:
    reason = evaluator.paused_reason
    return {
        "id": evaluator.id,
        "name": evaluator.name,
        "description": evaluator.description,
        "createdBy": None,
        "status": "paused" if reason else "active",
        "pausedAt": iso_or_none(evaluator.paused_at),
        "pausedReason": reason,
        "pausedMessage": paused_message(reason) if reason else None,
        "evaluationRuleAssignments": [
            {
                "evaluationRuleId": one.rule_id,
                **({} if one.mapping is None else {"variableMappingOverride": one.mapping}),
            }
            for one in assignments
        ],
        "createdAt": iso(evaluator.created_at),
        "updatedAt": iso(evaluator.updated_at),
        "versionId": evaluator.version.id,
        "version": evaluator.version.number,
        "versionCreatedAt": iso(evaluator.version.created_at),
        "versionCreatedBy": None,
        **_shown_definition(evaluator.version.definition),
    }


def _shown_version(version: Version) -> dict[str, Any]:
    return {
        "id": version.id,
        "version": version.number,
        "createdAt": iso(version.created_at),
        "createdBy": None,
        **_shown_definition(version.definition),
    }


def _shown_definition(definition: Definition) -> dict[str, Any]:
    return {
        "type": _JUDGE,
        "prompt": definition["prompt"],
        "variables": variables_of(definition["prompt"]),
        "variableMapping": definition["mapping"],
        "modelConfig": definition["model"],
        "outputDefinition": _shown_output(definition["output"]),
    }


def _shown_output(output: Output) -> dict[str, Any]:
    told = (
        ("scoreReasoningInstructions", output.get("reasoning")),
        ("scoreValueInstructions", output.get("score")),
    )
    instructions = {name: text for name, text in told if text}
    return {"dataType": output["dataType"], **shown_bounds(output), **instructions}


_EVALUATORS = "/api/public/v2/evaluators"
_EVALUATOR = f"{_EVALUATORS}/{{evaluatorId}}"
_STYLE = ErrorStyle.UNSTABLE

OPERATIONS = [
    Operation("POST", _EVALUATORS, create_evaluator, "evaluators_create", errors=_STYLE),
    Operation("GET", _EVALUATORS, list_evaluators, "evaluators_list", errors=_STYLE),
    Operation("GET", _EVALUATOR, get_evaluator, "evaluators_get", errors=_STYLE),
    Operation("PATCH", _EVALUATOR, update_evaluator, "evaluators_update", errors=_STYLE),
    Operation("DELETE", _EVALUATOR, delete_evaluator, "evaluators_delete", errors=_STYLE),
    Operation("GET", f"{_EVALUATOR}/versions", list_versions, "evaluators_listVersions", errors=_STYLE),
]
