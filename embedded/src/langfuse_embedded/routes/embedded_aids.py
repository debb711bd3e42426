"""What the embedded engine alone has: faults and reset where a setting allows them, judges, told alerts."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from langfuse_embedded.alert_board import SEVERITIES, STATES
from langfuse_embedded.clock import now_ms
from langfuse_embedded.faults import FaultsUnreadable, parse_faults
from langfuse_embedded.http.errors import Forbidden, InvalidRequest, NotFound
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.schema import Array, Enum, Number, Object, String
from langfuse_embedded.judge.connections import PREFLIGHT, PREFLIGHT_ATTEMPTS, NotCallable, target_at
from langfuse_embedded.judge.failures import CallFailed
from langfuse_embedded.judge.jobs import summary
from langfuse_embedded.store.evaluators import Output
from langfuse_embedded.store.llm_connections import DefaultModel
from langfuse_embedded.store.project_reset import reset_state

from .call import Call
from .operations import Operation

_FAULTS = Object({"faults": String()})
_DEFAULT = "/api/embedded/judge/default-model"
_PARAMETERS = {name: Number().optional() for name in ("max_tokens", "temperature", "top_p")}
_DEFAULT_MODEL = Object(
    {
        "provider": String(min=1),
        "model": String(min=1),
        "modelParams": Object(_PARAMETERS, strict=True).nullish(),
    },
    strict=True,
)
_TEXT = String(max=1000)
_ALERTS = Object(
    {
        "alerts": Array(
            Object(
                {
                    "name": String(min=1, max=1000),
                    "state": Enum(*STATES),
                    "severity": Enum(*SEVERITIES),
                    "condition": _TEXT,
                    "window": _TEXT,
                    "group": _TEXT.default(""),
                    "value": Number().nullish(),
                    "runbook": _TEXT.default(""),
                    "description": _TEXT.default(""),
                },
                strict=True,
            ),
            max=500,
        )
    },
    strict=True,
)
_TEST_ANSWER: Output = {"dataType": "NUMERIC", "reasoning": None, "score": None, "minValue": 1, "maxValue": 5}


async def show_faults(call: Call) -> Response:
    """Return how many requests were hit, by kind of fault, since the list was put into force."""
    _require_faults(call)
    return json_response({"injected": call.engine.faults.injected})


async def replace_faults(call: Call) -> Response:
    """Put the list of faults in the body into force, for all projects."""
    _require_faults(call)
    body = await call.json(_FAULTS)
    try:
        call.engine.faults.replace(parse_faults(body["faults"]))
    except FaultsUnreadable as error:
        raise InvalidRequest(str(error)) from error
    return json_response({"injected": {}})


async def reset_project(call: Call) -> Response:
    """Delete all that the project of the key holds; the project, its keys and its members stay."""
    if not call.engine.config.allow_reset:
        raise NotFound("Start the embedded engine with EMBEDDED_ALLOW_RESET=true to reset projects")
    await call.engine.writer.submit("reset_project", {"project": call.project_id})
    with call.engine.state.transaction():
        media = reset_state(call.engine.state.db, call.project_id)
    for media_id in media:
        call.engine.media.files.remove(call.project_id, media_id)
    call.engine.alerts.forget(call.project_id)
    return json_response({"message": "Project reset"})


def _require_faults(call: Call) -> None:
    if call.engine.config.faults is None:
        raise NotFound("Start the embedded engine with EMBEDDED_FAULTS=none to inject faults while it runs")


async def replace_alerts(call: Call) -> Response:
    """Take what alerts say about the project now: its overview shows it, until the engine stops."""
    body = await call.json(_ALERTS)
    call.engine.alerts.tell(call.project_id, body["alerts"], now_ms())
    return json_response({"success": True})


async def show_judge(call: Call) -> Response:
    """Return what the judges of the project have to do, and what they did and cost on this day (UTC)."""
    engine, project = call.engine, call.project_id
    found = await call.read(lambda: summary(engine.config.data_dir, project, now_ms()))
    paused = engine.evaluators.paused(project)
    budget = engine.judge.budget_usd or None
    return json_response({"running": engine.judge.running, **found, "budgetUsd": budget, "paused": paused})


async def show_default_model(call: Call) -> Response:
    """Return the model of evaluators that name none. On the server only its pages show and set it."""
    found = call.engine.llm_connections.default_model(call.project_id)
    if found is None:
        raise NotFound("No default model")
    return json_response(_shown_model(found))


async def set_default_model(call: Call) -> Response:
    """Set that model, once it has answered a test question; evaluators that waited for one go on.

    As `upsertDefaultModel` of the server (packages/shared/src/server/services/DefaultEvaluationModelService).
    """
    body = await call.json(_DEFAULT_MODEL)
    engine, provider = call.engine, body["provider"]
    connection = engine.llm_connections.by_provider(call.project_id, provider)
    if connection is None:
        raise NotFound(f"API key for provider {provider} in project {call.project_id} not found")
    chosen = DefaultModel(connection, body["model"], body.get("modelParams") or {})
    refused = "Model configuration not valid for evaluation."
    try:
        target = target_at(
            connection, chosen.model, chosen.parameters, engine.llm_connections, engine.secrets
        )
        question = [{"role": "user", "content": PREFLIGHT}]
        await engine.model_caller.ask(target, question, _TEST_ANSWER, attempts=PREFLIGHT_ATTEMPTS)
    except (NotCallable, CallFailed) as error:
        raise Forbidden(f"{refused} {error}") from None
    with engine.state.transaction():
        if engine.llm_connections.by_id(call.project_id, connection.id) is None:
            raise NotFound(f"API key for provider {provider} in project {call.project_id} not found")
        engine.llm_connections.set_default_model(call.project_id, chosen)
        engine.evaluators.resume_users_of_default(call.project_id)
    return json_response(_shown_model(chosen))


async def delete_default_model(call: Call) -> Response:
    """Leave the project without that model; evaluators that name none are paused."""
    with call.engine.state.transaction():
        call.engine.llm_connections.delete_default_model(call.project_id)
        call.engine.evaluators.pause_users_of_default(call.project_id)
    return json_response({"success": True})


def _shown_model(chosen: DefaultModel) -> dict[str, Any]:
    return {
        "provider": chosen.connection.provider,
        "adapter": chosen.connection.values.adapter,
        "model": chosen.model,
        "modelParams": chosen.parameters,
    }


OPERATIONS = [
    Operation("GET", _DEFAULT, show_default_model),
    Operation("PUT", _DEFAULT, set_default_model),
    Operation("DELETE", _DEFAULT, delete_default_model),
    Operation("GET", "/api/embedded/judge", show_judge),
    Operation("PUT", "/api/embedded/alerts", replace_alerts),
    Operation("GET", "/api/embedded/faults", show_faults),
    Operation("PUT", "/api/embedded/faults", replace_faults),
    Operation("POST", "/api/embedded/reset", reset_project),
]
