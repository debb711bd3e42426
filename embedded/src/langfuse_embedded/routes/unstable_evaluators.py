"""Evaluators below `/unstable`: the name is the key, and every POST makes a version.

As recorded from a server whose evaluators are stable over versions (langfuse/langfuse 6275144); the release
4.16.0 has an older form of these routes.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from langfuse_embedded.clock import iso
from langfuse_embedded.http.access import ErrorStyle
from langfuse_embedded.http.errors import InvalidRequest, NotFound
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.pagination import PAGE_PARAMETERS, Page
from langfuse_embedded.http.queries import positive_page_limit
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
)
from langfuse_embedded.judge.prompts import SOURCES, MappingProblem, check_mapping, variables_of
from langfuse_embedded.store.evaluators import Definition, Evaluator, Output

from .call import Call
from .evaluators import found_evaluator, pause_uncallable
from .operations import Operation
from .shapes.evaluation import (
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
_DESCRIBED = {"description": String(min=1, trim=True)}
_SCORES = {
    "NUMERIC": Object(
        {**_DESCRIBED, "minValue": Number().optional(), "maxValue": Number().optional()}
    ).refine(bounds_in_order, "Minimum value must be less than or equal to maximum value"),
    "BOOLEAN": Object(_DESCRIBED),
    "CATEGORICAL": Object(
        {
            **_DESCRIBED,
            "categories": Array(String(min=1, trim=True), min=2),
            "shouldAllowMultipleMatches": Boolean(),
        }
    ),
}
_OUTPUT = Tagged(
    "dataType",
    {
        kind: Object({"dataType": Literal(kind), "reasoning": Object(_DESCRIBED), "score": score})
        for kind, score in _SCORES.items()
    },
)
_CREATE = Tagged(
    "type",
    {
        _JUDGE: Object(
            {
                "name": TEXT,
                "type": Literal(_JUDGE),
                "prompt": TEXT,
                "outputDefinition": _OUTPUT,
                "modelConfig": MODEL.nullish(),
                "mapping": Array(mapping_entry(*SOURCES)).optional(),
            }
        ),
        _CODE: Object(
            {
                "name": TEXT,
                "type": Literal(_CODE),
                "sourceCode": TEXT,
                "sourceCodeLanguage": Enum("PYTHON", "TYPESCRIPT"),
            }
        ),
    },
)
_LIST = Object({**PAGE_PARAMETERS, "limit": positive_page_limit()})


class _Create(Schema):
    """The body of a POST; without a type it is a judge."""

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        if isinstance(value, dict) and "type" not in value:
            value = {**value, "type": _JUDGE}
        return _CREATE.parse_at(value, path, issues)


async def list_evaluators(call: Call) -> Response:
    """List evaluators with their newest definition, the last changed first."""
    page = Page.of(call.query(_LIST))
    found, total = call.engine.evaluators.page(call.project_id, page.limit, page.offset)
    rules = call.engine.evaluation_rules.of_evaluators([one.id for one in found])
    return json_response(
        {"data": [_shown(one, len(rules[one.id])) for one in found], "meta": page.meta(total)}
    )


async def create_evaluator(call: Call) -> Response:
    """Store an evaluator; one of this name gets a new version, also where nothing changes."""
    body = await call.json(_Create())
    if body["type"] == _CODE:
        refuse_code()
    definition = _definition(body)
    store = call.engine.evaluators
    with call.engine.state.transaction():
        existing = store.by_name(call.project_id, body["name"])
        if existing:
            store.add_version(existing, definition)
            evaluator_id = existing.id
        else:
            evaluator_id = store.create(call.project_id, body["name"], None, definition)
        pause_uncallable(call, evaluator_id, definition)
    return json_response(_shown_by_id(call, evaluator_id))


async def get_evaluator(call: Call) -> Response:
    """Return one evaluator with its newest definition."""
    return json_response(_shown_by_id(call, found_evaluator(call).id))


async def delete_evaluator(call: Call) -> Response:
    """Delete an evaluator with its versions; rules that use it lose it."""
    evaluator = found_evaluator(call)
    with call.engine.state.transaction():
        call.engine.evaluators.delete(evaluator)
    return json_response({"message": "Evaluator successfully deleted"})


def refused(problem: MappingProblem) -> InvalidRequest:
    """Return the answer to a mapping that does not fit."""
    error = InvalidRequest(str(problem))
    error.code, error.details = problem.code, problem.details
    return error


def _definition(body: dict[str, Any]) -> Definition:
    messages = [{"role": "user", "content": body["prompt"]}]
    mapping = body.get("mapping")
    if mapping is not None:
        try:
            check_mapping(mapping, variables_of(messages), SOURCES, "observation")
        except MappingProblem as problem:
            raise refused(problem) from None
    output = body["outputDefinition"]
    if issues := require_unique(output["score"].get("categories", []), ["score", "categories"]):
        error = InvalidRequest("Invalid request data")
        error.details = {"issues": issues}
        raise error
    return {
        "prompt": messages,
        "model": body.get("modelConfig"),
        "mapping": mapping,
        "output": output_of(
            output["dataType"],
            output["reasoning"]["description"],
            output["score"]["description"],
            output["score"],
        ),
    }


def _shown_by_id(call: Call, evaluator_id: str) -> dict[str, Any]:
    evaluator = call.engine.evaluators.get(call.project_id, evaluator_id)
    if evaluator is None:
        raise NotFound("Evaluator not found")
    rules = call.engine.evaluation_rules.of_evaluators([evaluator_id])
    return _shown(evaluator, len(rules[evaluator_id]))


def _shown(evaluator: Evaluator, rules: int) -> dict[str, Any]:
    definition = evaluator.version.definition
    return {
        "id": evaluator.id,
        "name": evaluator.name,
        "version": evaluator.version.number,
        "variables": variables_of(definition["prompt"]),
        "mapping": definition["mapping"],
        "evaluationRuleCount": rules,
        "createdAt": iso(evaluator.created_at),
        "updatedAt": iso(evaluator.updated_at),
        "type": _JUDGE,
        # Several messages, which only the newer routes take, in one text.
        "prompt": "\n\n".join(message["content"] for message in definition["prompt"]),
        "outputDefinition": _shown_output(definition["output"]),
        "modelConfig": definition["model"],
    }


def _shown_output(output: Output) -> dict[str, Any]:
    return {
        "dataType": output["dataType"],
        "reasoning": {"description": output.get("reasoning") or ""},
        "score": {"description": output.get("score") or "", **shown_bounds(output)},
    }


_EVALUATORS = "/api/public/unstable/evaluators"
_EVALUATOR = f"{_EVALUATORS}/{{evaluatorId}}"
_STYLE = ErrorStyle.UNSTABLE

OPERATIONS = [
    Operation("POST", _EVALUATORS, create_evaluator, "unstable_evaluators_create", errors=_STYLE),
    Operation("GET", _EVALUATORS, list_evaluators, "unstable_evaluators_list", errors=_STYLE),
    Operation("GET", _EVALUATOR, get_evaluator, "unstable_evaluators_get", errors=_STYLE),
    Operation("DELETE", _EVALUATOR, delete_evaluator, "unstable_evaluators_delete", errors=_STYLE),
]
