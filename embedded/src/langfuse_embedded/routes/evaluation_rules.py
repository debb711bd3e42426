"""Evaluation rules: which observations are judged, by which evaluators.

As for evaluators, the official client (SDK 5.0.4, `langfuse/api/evaluation_rules`) is the source.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from langfuse_embedded.clock import iso
from langfuse_embedded.http.access import ErrorStyle
from langfuse_embedded.http.errors import Conflict, InvalidData, InvalidRequest, NotFound
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.schema import Array, Boolean, Number, Object, String
from langfuse_embedded.judge.filters import COLUMNS
from langfuse_embedded.judge.prompts import variables_of
from langfuse_embedded.store.evaluation_rules import Mapping, Rule, RuleValues

from .call import Call
from .evaluators import MAPPING, require_mapping
from .operations import Operation
from .shapes.evaluation import BY_CREATION, TEXT, conditions, unknown_values

MOST_ENABLED = 500
"""Rules of a project that may be enabled: `web/src/features/evals/v2/server/rules/ruleErrors.ts`."""

_ASSIGNMENTS = Array(Object({"evaluatorId": String(), "variableMapping": MAPPING.nullish()}), max=100)
_FIELDS = {
    "name": TEXT,
    "enabled": Boolean(),
    "sampling": Number(ge=0, le=1),
    "filter": conditions(COLUMNS, with_presence=True),
    "evaluatorAssignments": _ASSIGNMENTS,
}
_CREATE = Object(
    {**_FIELDS, "sampling": _FIELDS["sampling"].default(1), "filter": _FIELDS["filter"].default(list)}
)
_UPDATE = Object({name: shape.optional() for name, shape in _FIELDS.items()}).refine(
    bool, "At least one field must be provided."
)
_NO_EVALUATOR = "An enabled evaluation rule requires at least one evaluator assignment."


async def list_rules(call: Call) -> Response:
    """List rules, newest first."""
    query = call.query(BY_CREATION.query)
    found, _ = call.engine.evaluation_rules.page(
        call.project_id, query["limit"] + 1, after=BY_CREATION.after(query)
    )
    return json_response(
        BY_CREATION.page(found, query["limit"], lambda one: (one.created_at, one.id), _shown)
    )


async def create_rule(call: Call) -> Response:
    """Store a rule; an enabled one judges what comes from now on."""
    body = await call.json(_CREATE)
    _require_values(body["filter"])
    assigned = _assigned(call, body["evaluatorAssignments"])
    if body["enabled"] and not assigned:
        raise InvalidRequest(_NO_EVALUATOR)
    values = RuleValues(body["name"], body["enabled"], body["sampling"], body["filter"])
    return json_response(_shown(create(call, values, assigned)))


async def get_rule(call: Call) -> Response:
    """Return one rule."""
    return json_response(_shown(found_rule(call)))


async def update_rule(call: Call) -> Response:
    """Change the given fields; evaluators are replaced as a whole, and a rule without any is disabled."""
    body = await call.json(_UPDATE)
    rule = found_rule(call)
    _require_values(body.get("filter", []))
    assigned = None
    if "evaluatorAssignments" in body:
        assigned = _assigned(call, body["evaluatorAssignments"])
    has_evaluators = bool(rule.assignments if assigned is None else assigned)
    if body.get("enabled") and not has_evaluators:
        raise InvalidRequest(_NO_EVALUATOR)
    values = RuleValues(
        body.get("name", rule.values.name),
        body.get("enabled", rule.values.enabled) and has_evaluators,
        body.get("sampling", rule.values.sampling),
        body.get("filter", rule.values.filter),
    )
    return json_response(_shown(update(call, rule, values, assigned)))


async def delete_rule(call: Call) -> Response:
    """Delete a rule; its evaluators and scores stay."""
    rule = found_rule(call)
    with call.engine.state.transaction():
        call.engine.evaluation_rules.delete(rule)
    return json_response({"id": rule.id})


def create(call: Call, values: RuleValues, assigned: Sequence[tuple[str, Mapping | None]]) -> Rule:
    """Store a rule with its evaluators and return it."""
    if values.enabled:
        require_room(call)
        call.engine.judge.prepare(call.engine.events.last_sequence())
    store = call.engine.evaluation_rules
    with call.engine.state.transaction():
        rule_id = store.create(call.project_id, values, call.engine.events.last_sequence())
        store.assign(rule_id, assigned)
    return _settled(call, rule_id)


def update(
    call: Call, rule: Rule, values: RuleValues, assigned: Sequence[tuple[str, Mapping | None]] | None
) -> Rule:
    """Change a rule, with `assigned` also its evaluators, and return it."""
    if values.enabled and not rule.values.enabled:
        require_room(call)
        call.engine.judge.prepare(call.engine.events.last_sequence())
    store = call.engine.evaluation_rules
    with call.engine.state.transaction():
        store.update(rule, values, call.engine.events.last_sequence())
        if assigned is not None:
            store.assign(rule.id, assigned)
    return _settled(call, rule.id)


def require_room(call: Call) -> None:
    """Require that a project may enable one more rule."""
    if call.engine.evaluation_rules.count_enabled(call.project_id) >= MOST_ENABLED:
        raise Conflict(
            f"A project may have {MOST_ENABLED} enabled evaluation rules. Disable another one first."
        )


def found_rule(call: Call) -> Rule:
    """Return the rule that a path names."""
    rule = call.engine.evaluation_rules.get(call.project_id, call.params["evaluationRuleId"])
    if rule is None:
        raise NotFound("Evaluation rule not found within authorized project")
    return rule


def _settled(call: Call, rule_id: str) -> Rule:
    call.engine.judge.ensure(call.engine.events.last_sequence())
    rule = call.engine.evaluation_rules.get(call.project_id, rule_id)
    if rule is None:
        raise NotFound("Evaluation rule not found within authorized project")
    return rule


def _assigned(call: Call, entries: list[dict[str, Any]]) -> list[tuple[str, Mapping | None]]:
    assigned: list[tuple[str, Mapping | None]] = []
    for place, entry in enumerate(entries):
        evaluator = call.engine.evaluators.get(call.project_id, entry["evaluatorId"])
        if evaluator is None:
            raise NotFound("Evaluator not found")
        if any(evaluator.id == other for other, _ in assigned):
            raise Conflict("An evaluator can only be attached once to an evaluation rule.")
        definition, mapping = evaluator.version.definition, entry.get("variableMapping")
        effective = definition["mapping"] if mapping is None else mapping
        field = f"evaluatorAssignments.{place}.variableMapping"
        require_mapping(effective or [], variables_of(definition["prompt"]), field)
        assigned.append((evaluator.id, mapping))
    return assigned


def _require_values(filter_: list[dict[str, Any]]) -> None:
    issues = [
        {
            "code": "custom",
            "message": f"Unsupported value(s): {', '.join(wrong)}",
            "path": ["filter", place, "value"],
        }
        for place, condition in enumerate(filter_)
        if (wrong := unknown_values(condition))
    ]
    if issues:
        raise InvalidData(issues)


def _shown(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": rule.values.name,
        "createdBy": None,
        "enabled": rule.values.enabled,
        "sampling": rule.values.sampling,
        "filter": rule.values.filter,
        "evaluatorAssignments": [
            {"evaluatorId": one.evaluator_id, "variableMapping": one.mapping} for one in rule.assignments
        ],
        "createdAt": iso(rule.created_at),
        "updatedAt": iso(rule.updated_at),
    }


_RULES = "/api/public/v2/evaluation-rules"
_RULE = f"{_RULES}/{{evaluationRuleId}}"
_STYLE = ErrorStyle.UNSTABLE

OPERATIONS = [
    Operation("POST", _RULES, create_rule, "evaluationRules_create", errors=_STYLE),
    Operation("GET", _RULES, list_rules, "evaluationRules_list", errors=_STYLE),
    Operation("GET", _RULE, get_rule, "evaluationRules_get", errors=_STYLE),
    Operation("PATCH", _RULE, update_rule, "evaluationRules_update", errors=_STYLE),
    Operation("DELETE", _RULE, delete_rule, "evaluationRules_delete", errors=_STYLE),
]
