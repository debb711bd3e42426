"""An OpenAPI description of the `v2` routes for evaluators and rules, from the types of the official client.

No release of the server publishes one yet: the client of SDK 5 is what describes these routes.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from langfuse.api.evaluation_errors import PublicApiError
from langfuse.api.evaluation_rules import (
    CreateEvaluationRuleRequest,
    DeletedEvaluationRule,
    EvaluationRule,
    EvaluationRulesPage,
    UpdateEvaluationRuleRequest,
)
from langfuse.api.evaluation_rules.raw_client import RawEvaluationRulesClient
from langfuse.api.evaluators import (
    CreateEvaluatorRequest,
    DeletedEvaluator,
    Evaluator,
    EvaluatorsPage,
    EvaluatorVersionsPage,
    UpdateEvaluatorRequest,
)
from langfuse.api.evaluators.raw_client import RawEvaluatorsClient
from pydantic import TypeAdapter

_REFERENCES = "#/components/schemas/{model}"
_EVALUATORS, _RULES = "/api/public/v2/evaluators", "/api/public/v2/evaluation-rules"
_OPERATIONS: list[tuple[str, str, str, Any, Any, Any]] = [
    # operation, method, path, the client's method, its request, its answer
    ("evaluators_create", "post", "", RawEvaluatorsClient.create, CreateEvaluatorRequest, Evaluator),
    ("evaluators_list", "get", "", RawEvaluatorsClient.list, None, EvaluatorsPage),
    ("evaluators_get", "get", "/{evaluatorId}", RawEvaluatorsClient.get, None, Evaluator),
    (
        "evaluators_update",
        "patch",
        "/{evaluatorId}",
        RawEvaluatorsClient.update,
        UpdateEvaluatorRequest,
        Evaluator,
    ),
    ("evaluators_delete", "delete", "/{evaluatorId}", RawEvaluatorsClient.delete, None, DeletedEvaluator),
    (
        "evaluators_listVersions",
        "get",
        "/{evaluatorId}/versions",
        RawEvaluatorsClient.list_versions,
        None,
        EvaluatorVersionsPage,
    ),
    (
        "evaluationRules_create",
        "post",
        "",
        RawEvaluationRulesClient.create,
        CreateEvaluationRuleRequest,
        EvaluationRule,
    ),
    ("evaluationRules_list", "get", "", RawEvaluationRulesClient.list, None, EvaluationRulesPage),
    ("evaluationRules_get", "get", "/{evaluationRuleId}", RawEvaluationRulesClient.get, None, EvaluationRule),
    (
        "evaluationRules_update",
        "patch",
        "/{evaluationRuleId}",
        RawEvaluationRulesClient.update,
        UpdateEvaluationRuleRequest,
        EvaluationRule,
    ),
    (
        "evaluationRules_delete",
        "delete",
        "/{evaluationRuleId}",
        RawEvaluationRulesClient.delete,
        None,
        DeletedEvaluationRule,
    ),
]


def description_of_client() -> dict[str, Any]:
    """Return the description: what the client sends, and what it reads for each status that it knows."""
    schemas: dict[str, Any] = {}

    def schema(of: Any) -> Any:
        found = _with_names_of_json(TypeAdapter(of).json_schema(ref_template=_REFERENCES))
        schemas.update(found.pop("$defs", {}))
        return found

    paths: dict[str, Any] = {}
    for operation_id, method, path, of_client, request, answer in _OPERATIONS:
        base = _EVALUATORS if operation_id.startswith("evaluators") else _RULES
        refused = sorted(set(re.findall(r"status_code == (\d+)", inspect.getsource(of_client))))
        operation: dict[str, Any] = {
            "operationId": operation_id,
            "parameters": [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in re.findall(r"{(\w+)}", path)
            ],
            "responses": {
                "2XX": _content(schema(answer)),
                **{status: _content(schema(PublicApiError)) for status in refused},
            },
        }
        if answer in (EvaluatorsPage, EvaluatorVersionsPage, EvaluationRulesPage):
            operation["parameters"] += [
                {"name": "limit", "in": "query", "schema": {"type": "integer"}},
                {"name": "cursor", "in": "query", "schema": {"type": "string"}},
            ]
        if request is not None:
            operation["requestBody"] = {"required": True, **_content(schema(request))}
        paths.setdefault(base + path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "the client of SDK 5", "version": "5"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _content(schema: Any) -> dict[str, Any]:
    return {"description": "", "content": {"application/json": {"schema": schema}}}


def _with_names_of_json(schema: Any) -> Any:
    """Return a schema with the names of fields as they are sent: `modelConfig`, not `model_config_`."""
    if isinstance(schema, list):
        return [_with_names_of_json(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _with_names_of_json(one) for key, one in schema.items()}
    if isinstance(schema.get("properties"), dict):
        found["properties"] = {_sent(name): one for name, one in found["properties"].items()}
        found["required"] = [_sent(name) for name in schema.get("required", ())]
    return found


def _sent(name: str) -> str:
    return re.sub(r"_(\w)", lambda part: part[1].upper(), name.rstrip("_"))
