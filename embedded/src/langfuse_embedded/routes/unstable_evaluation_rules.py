"""Evaluation rules below `/unstable`: a target instead of a condition, unique names, a test call.

Enabling a rule calls the model of each evaluator once (`evaluator_preflight_failed`, 422), as recorded.
"""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from typing import Any

from starlette.responses import Response

from langfuse_embedded.clock import iso
from langfuse_embedded.http.access import ErrorStyle
from langfuse_embedded.http.errors import Conflict, InvalidRequest, NotFound, Unprocessable
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.pagination import PAGE_PARAMETERS, Page
from langfuse_embedded.http.queries import positive_page_limit
from langfuse_embedded.http.schema import (
    Array,
    Boolean,
    Enum,
    Literal,
    Number,
    Object,
    Schema,
    Tagged,
    Undefined,
    Union,
)
from langfuse_embedded.judge.connections import NotCallable, paused_message, preflight_error, target_of
from langfuse_embedded.judge.filters import COLUMNS
from langfuse_embedded.judge.prompts import (
    EXPERIMENT_SOURCES,
    SOURCES,
    MappingProblem,
    check_mapping,
    variables_of,
)
from langfuse_embedded.store.evaluation_rules import Mapping, Rule, RuleValues
from langfuse_embedded.store.evaluators import Evaluator

from .call import Call
from .evaluation_rules import create, found_rule, require_room, update
from .operations import Operation
from .shapes.evaluation import (
    EXPERIMENT_ROOT,
    TEXT,
    conditions,
    mapping_entry,
    refuse_filter,
    unknown_values,
)
from .unstable_evaluators import refused

_OBSERVATION, _EXPERIMENT = "observation", "experiment"
_SOURCES = {_OBSERVATION: SOURCES, _EXPERIMENT: EXPERIMENT_SOURCES}
_JUDGE = "llm_as_judge"
_OBSERVATION_COLUMNS = [one for one in COLUMNS if one not in ("isExperimentItemRootSpan", "datasetId")]
_COLUMNS = {_OBSERVATION: _OBSERVATION_COLUMNS, _EXPERIMENT: [*_OBSERVATION_COLUMNS, "datasetId"]}
_REFERENCE = Object({"name": TEXT, "type": Enum(_JUDGE, "code").default(_JUDGE)})
_BASE = {"name": TEXT, "enabled": Boolean(), "sampling": Number(gt=0, le=1)}


def _targeted(target: str) -> dict[str, Schema]:
    mapping = Array(mapping_entry(*_SOURCES[target]))
    return {
        "evaluators": Array(
            Object({"evaluator": _REFERENCE, "mapping": mapping.optional()}), min=1, max=100
        ).optional(),
        "target": Literal(target),
        "filter": conditions(_COLUMNS[target], with_presence=False),
        "mapping": mapping.optional(),
    }


def _creation(target: str) -> Schema:
    fields = _targeted(target)
    return Object(
        {
            **_BASE,
            "sampling": _BASE["sampling"].default(1),
            "evaluator": _REFERENCE.optional(),
            **fields,
            "filter": fields["filter"].default(list),
        }
    )


_CHANGED = {
    **{name: one.optional() for name, one in _BASE.items()},
    "evaluator": Object({"name": TEXT}).optional(),
}
_CREATE = (
    Tagged("target", {target: _creation(target) for target in _SOURCES})
    .refine(
        lambda body: ("evaluator" in body) is not ("evaluators" in body),
        "Provide exactly one of evaluator or evaluators.",
        ["evaluators"],
    )
    .refine(
        lambda body: "evaluators" not in body or "mapping" not in body,
        "`mapping` is the deprecated single-evaluator alias and cannot be combined with `evaluators`. "
        "Set the mapping on the matching entry in `evaluators` instead.",
        ["mapping"],
    )
)
_UNTARGETED = Object(
    {
        **_CHANGED,
        "evaluators": _targeted(_OBSERVATION)["evaluators"],
        **{name: Undefined() for name in ("target", "filter", "mapping")},
    }
)


def _change(target: str) -> Schema:
    fields = {name: one if name == "target" else one.optional() for name, one in _targeted(target).items()}
    return Object({**_CHANGED, **fields})


_UPDATE = (
    Union(*map(_change, _SOURCES), _UNTARGETED)
    .refine(bool, "Request body cannot be empty. At least one field must be provided for update.")
    .refine(
        lambda body: "evaluators" not in body or not ("evaluator" in body or "mapping" in body),
        "`evaluators` replaces the whole assignment set and cannot be combined with the deprecated "
        "`evaluator` or `mapping` fields.",
        ["evaluators"],
    )
)
_LIST = Object({**PAGE_PARAMETERS, "limit": positive_page_limit()})


async def list_rules(call: Call) -> Response:
    """List rules, newest first."""
    page = Page.of(call.query(_LIST))
    found, total = call.engine.evaluation_rules.page(call.project_id, page.limit, page.offset)
    return json_response({"data": [_shown(call, one) for one in found], "meta": page.meta(total)})


async def create_rule(call: Call) -> Response:
    """Store a rule; an enabled one is tested with a call of each model, and judges what comes from now on."""
    body = await call.json(_CREATE)
    if existing := call.engine.evaluation_rules.by_name(call.project_id, body["name"]):
        error = Conflict(
            f'An evaluation rule named "{body["name"]}" already exists in this project. Use PATCH '
            f"/api/public/unstable/evaluation-rules/{existing.id} to update it instead of creating a "
            "duplicate."
        )
        error.code, error.details = "name_conflict", {"field": "name"}
        raise error
    if body["enabled"]:
        require_room(call)
    target = body["target"]
    _require_filter(call, target, body["filter"])
    entries = body.get("evaluators") or [
        {"evaluator": body["evaluator"], **({"mapping": body["mapping"]} if "mapping" in body else {})}
    ]
    assigned = [_assigned(call, target, entry) for entry in entries]
    _require_unique(assigned)
    if body["enabled"]:
        await _require_callable(call, [evaluator for evaluator, _ in assigned])
    values = RuleValues(body["name"], body["enabled"], body["sampling"], _stored(target, body["filter"]))
    rule = create(call, values, [(evaluator.id, mapping) for evaluator, mapping in assigned])
    return json_response(_shown(call, rule))


async def get_rule(call: Call) -> Response:
    """Return one rule."""
    return json_response(_shown(call, found_rule(call)))


async def update_rule(call: Call) -> Response:
    """Change the given fields; where the rule is enabled then, each model is tested with a call."""
    body = await call.json(_UPDATE)
    rule = found_rule(call)
    target = body.get("target", _target(rule))
    conditions_ = body.get("filter", _shown_filter(rule))
    if "filter" in body:
        _require_filter(call, target, conditions_)
    current = [
        (evaluator, one.mapping)
        for one in rule.assignments
        if (evaluator := call.engine.evaluators.get(call.project_id, one.evaluator_id))
    ]
    assigned = None
    if "evaluators" in body:
        assigned = [_assigned(call, target, entry) for entry in body["evaluators"]]
    elif "evaluator" in body or "mapping" in body:
        assigned = [_patched_first(call, target, body, current), *current[1:]]
    if assigned is not None:
        _require_unique(assigned)
    after = current if assigned is None else assigned
    enabled = body.get("enabled", rule.values.enabled)
    if enabled:
        for evaluator, mapping in after:
            _require_mapping(target, evaluator, mapping)
        await _require_callable(call, [evaluator for evaluator, _ in after])
    values = RuleValues(
        body.get("name", rule.values.name),
        enabled and bool(after),
        body.get("sampling", rule.values.sampling),
        _stored(target, conditions_),
    )
    stored = None if assigned is None else [(evaluator.id, mapping) for evaluator, mapping in assigned]
    return json_response(_shown(call, update(call, rule, values, stored)))


async def delete_rule(call: Call) -> Response:
    """Delete a rule; its evaluators and scores stay."""
    rule = found_rule(call)
    with call.engine.state.transaction():
        call.engine.evaluation_rules.delete(rule)
    return json_response({"message": "Evaluation rule successfully deleted"})


def _assigned(call: Call, target: str, entry: AnyMapping[str, Any]) -> tuple[Evaluator, Mapping | None]:
    reference = entry["evaluator"]
    evaluator = None
    if reference.get("type", _JUDGE) == _JUDGE:
        evaluator = call.engine.evaluators.by_name(call.project_id, reference["name"])
    if evaluator is None:
        raise NotFound("Latest evaluator version not found within authorized project")
    mapping = entry.get("mapping")
    _require_mapping(target, evaluator, mapping)
    return evaluator, mapping


def _patched_first(
    call: Call, target: str, body: AnyMapping[str, Any], current: list[tuple[Evaluator, Mapping | None]]
) -> tuple[Evaluator, Mapping | None]:
    if not current and "evaluator" not in body:
        error = InvalidRequest(
            "This evaluation rule has no evaluator assignments, so there is no mapping to update. Provide "
            "`evaluators` to attach one."
        )
        error.code, error.details = "invalid_body", {"field": "mapping"}
        raise error
    reference = body.get("evaluator") or {"name": current[0][0].name}
    kept = current[0][1] if current else None
    entry = {"evaluator": reference, "mapping": body.get("mapping", kept)}
    return _assigned(call, target, entry)


def _require_mapping(target: str, evaluator: Evaluator, mapping: Mapping | None) -> None:
    definition = evaluator.version.definition
    effective = definition["mapping"] if mapping is None else mapping
    try:
        check_mapping(effective or [], variables_of(definition["prompt"]), _SOURCES[target], target)
    except MappingProblem as problem:
        raise refused(problem) from None


def _require_unique(assigned: list[tuple[Evaluator, Mapping | None]]) -> None:
    if len({evaluator.id for evaluator, _ in assigned}) != len(assigned):
        raise Conflict("An evaluator can only be attached once to an evaluation rule.")


async def _require_callable(call: Call, evaluators: list[Evaluator]) -> None:
    engine = call.engine
    for evaluator in evaluators:
        definition = evaluator.version.definition
        try:
            target = target_of(call.project_id, definition, engine.llm_connections, engine.secrets)
        except NotCallable as error:
            text = (
                f'No valid LLM model found for evaluator "{evaluator.name}". {error}. Configure an LLM '
                "connection for this project under Settings \u2192 LLM Connections "
                f"(/project/{call.project_id}/settings/llm-connections) before creating llm_as_judge "
                "evaluators."
            )
        else:
            text = await preflight_error(engine.model_caller, evaluator.name, target, definition)
        if text:
            refusal = Unprocessable(text)
            model: AnyMapping[str, Any] = definition["model"] or {"provider": None, "model": None}
            refusal.code = "evaluator_preflight_failed"
            refusal.details = {"evaluatorName": evaluator.name, **model}
            raise refusal


def _require_filter(call: Call, target: str, filter_: list[dict[str, Any]]) -> None:
    for place, condition in enumerate(filter_):
        column, field = condition["column"], f"filter[{place}].value"
        if wrong := unknown_values(condition):
            raise refuse_filter(
                f'Filter column "{column}" contains unsupported value(s): {", ".join(wrong)}',
                field,
                column,
                invalidValues=wrong,
            )
        if column == "datasetId":
            datasets = call.engine.datasets
            wrong = [one for one in condition["value"] if datasets.by_id(call.project_id, one) is None]
            if wrong:
                raise refuse_filter(
                    'Filter column "datasetId" contains dataset id(s) that do not exist in this project: '
                    f"{', '.join(wrong)}",
                    field,
                    column,
                    invalidValues=wrong,
                )


def _stored(target: str, filter_: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [EXPERIMENT_ROOT, *filter_] if target == _EXPERIMENT else filter_


def _target(rule: Rule) -> str:
    return _EXPERIMENT if EXPERIMENT_ROOT in rule.values.filter else _OBSERVATION


def _shown_filter(rule: Rule) -> list[dict[str, Any]]:
    return [condition for condition in rule.values.filter if condition != EXPERIMENT_ROOT]


def _shown(call: Call, rule: Rule) -> dict[str, Any]:
    known = call.engine.evaluators.named([one.evaluator_id for one in rule.assignments])
    evaluators = [known[one.evaluator_id] for one in rule.assignments]
    references = [{"id": one.id, "name": one.name, "type": _JUDGE} for one in evaluators]
    reason = next((one.paused_reason for one in evaluators if one.paused_reason), None)
    status = "inactive" if not rule.values.enabled else "paused" if reason else "active"
    mapping: Mapping = []
    if evaluators:
        own = rule.assignments[0].mapping
        mapping = (evaluators[0].version.definition["mapping"] if own is None else own) or []
    return {
        "id": rule.id,
        "name": rule.values.name,
        "evaluator": references[0] if references else None,
        "evaluators": [
            {"evaluator": reference, "mapping": one.mapping}
            for reference, one in zip(references, rule.assignments, strict=True)
        ],
        "enabled": rule.values.enabled,
        "status": status,
        "pausedReason": reason,
        "pausedMessage": paused_message(reason) if reason else None,
        "sampling": rule.values.sampling,
        "target": _target(rule),
        "filter": _shown_filter(rule),
        "mapping": mapping,
        "createdAt": iso(rule.created_at),
        "updatedAt": iso(rule.updated_at),
    }


_RULES = "/api/public/unstable/evaluation-rules"
_RULE = f"{_RULES}/{{evaluationRuleId}}"
_STYLE = ErrorStyle.UNSTABLE

OPERATIONS = [
    Operation("POST", _RULES, create_rule, "unstable_evaluationRules_create", errors=_STYLE),
    Operation("GET", _RULES, list_rules, "unstable_evaluationRules_list", errors=_STYLE),
    Operation("GET", _RULE, get_rule, "unstable_evaluationRules_get", errors=_STYLE),
    Operation("PATCH", _RULE, update_rule, "unstable_evaluationRules_update", errors=_STYLE),
    Operation("DELETE", _RULE, delete_rule, "unstable_evaluationRules_delete", errors=_STYLE),
]
