"""Generations get the model, pricing tier and cost that a recorded server gave them."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.accepted_differences import require_accepted

_TOLERANCE = 1e-11
_BATCH = 100


def test_generations_are_priced_as_recorded(client: httpx.Client, reference_dir: Path) -> None:
    lines = (reference_dir / "vectors" / "pricing.jsonl").read_text("ascii").splitlines()
    setup, *cases = map(json.loads, lines)
    assert len(cases) >= 144
    own = _define_models(client, setup)
    observations = _send(client, cases)
    differences = {}
    for case in cases:
        difference = _difference(case["expected"], observations[case["name"]], own)
        if difference:
            differences[case["name"]] = difference
    require_accepted("pricing", differences)
    assert not [name for name in differences if name.startswith("custom/")]


def _define_models(client: httpx.Client, setup: dict[str, Any]) -> dict[str, str]:
    """Create the project's models; return their names by id."""
    own = {}
    for body, expected in zip(setup["request"]["bodies"], setup["expected"]["results"], strict=True):
        answer = client.post("/api/public/models", json=body)
        assert answer.status_code == expected["status"], (body, answer.text)
        if answer.status_code == 200:
            own[answer.json()["id"]] = body["modelName"]
        else:
            assert answer.json()["message"] == expected["error"]["message"]
    return own


def _send(client: httpx.Client, cases: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Send one generation a case; return the observations by the name of the case."""
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(cases), _BATCH):
        trace_id = secrets.token_hex(16)
        spans = [_span(trace_id, case) for case in cases[start : start + _BATCH]]
        export = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "langfuse-sdk"}, "spans": spans}]}]}
        assert client.post("/api/public/otel/v1/traces", json=export).status_code == 200
        query = {"traceId": trace_id, "fields": "core,basic,model,usage", "limit": 1000}
        page = client.get("/api/public/v2/observations", params=query).json()["data"]
        found |= {observation["name"]: observation for observation in page}
    return found


def _span(trace_id: str, case: dict[str, Any]) -> dict[str, Any]:
    request = case["request"]
    values = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": request["model"],
        "langfuse.observation.usage_details": request.get("usage_details"),
        "langfuse.observation.cost_details": request.get("cost_details"),
        "langfuse.observation.model.parameters": request.get("model_parameters"),
        "langfuse.observation.input": request.get("input"),
        "langfuse.observation.output": request.get("output"),
    }
    attributes = [
        {"key": key, "value": {"stringValue": value if isinstance(value, str) else json.dumps(value)}}
        for key, value in values.items()
        if value is not None
    ]
    return {
        "traceId": trace_id,
        "spanId": secrets.token_hex(8),
        "name": case["name"],
        "startTimeUnixNano": "1795233600000000000",
        "endTimeUnixNano": "1795233601000000000",
        "attributes": attributes,
    }


def _difference(expected: dict[str, Any], got: dict[str, Any], own: dict[str, str]) -> str:
    model = expected["matched_model"]
    if bool(model) != bool(got["internalModelId"]):
        return f"model: expected {model}, got {got['internalModelId']}"
    if model and model["custom"] and own.get(got["internalModelId"]) != model["modelName"]:
        return f"model: expected {model}, got {own.get(got['internalModelId'])}"
    if expected["pricing_tier"] != got["usagePricingTierName"]:
        return f"tier: expected {expected['pricing_tier']}, got {got['usagePricingTierName']}"
    if expected["usage_details"] != got["usageDetails"]:
        return f"usage: expected {expected['usage_details']}, got {got['usageDetails']}"
    if expected["cost_details"] != pytest.approx(got["costDetails"], abs=_TOLERANCE, rel=0):
        return f"cost: expected {expected['cost_details']}, got {got['costDetails']}"
    prices = ("inputPrice", "outputPrice", "totalPrice")
    if model and [expected["api"][key] for key in prices] != [got[key] for key in prices]:
        return f"prices: expected {expected['api']}, got {[got[key] for key in prices]}"
    return ""
