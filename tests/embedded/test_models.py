"""Models over HTTP: what can be defined, what is listed, and what generations then cost."""

from __future__ import annotations

import secrets
from typing import Any

import httpx
import pytest

from .harness import RunningEngine

URL = "/api/public/models"


def _definition(**changes: Any) -> dict[str, Any]:
    name = f"hermes-{secrets.token_hex(4)}"
    body = {"modelName": name, "matchPattern": f"(?i)^{name}$", "unit": "TOKENS"}
    return {**body, "inputPrice": 0.001, "outputPrice": 0.002, **changes}


def _tier(name: str, priority: int, **changes: Any) -> dict[str, Any]:
    conditions = [{"usageDetailPattern": "^input", "operator": "gte", "value": 1000}] if priority else []
    return {
        "name": name,
        "isDefault": not priority,
        "priority": priority,
        "conditions": conditions,
        "prices": {"input": 0.001 * (priority + 1)},
        **changes,
    }


def _messages(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 400, answer.text
    return [issue["message"] for issue in answer.json()["error"]]


def test_a_model_with_flat_prices_gets_one_standard_tier(client: httpx.Client) -> None:
    body = _definition(startDate="2026-01-01T00:00:00.000Z")
    created = client.post(URL, json=body)
    assert created.status_code == 200, created.text
    model = created.json()
    assert model["modelName"] == body["modelName"]
    assert (model["inputPrice"], model["outputPrice"], model["totalPrice"]) == (0.001, 0.002, None)
    assert model["prices"] == {"input": {"price": 0.001}, "output": {"price": 0.002}}
    assert model["isLangfuseManaged"] is False
    assert model["startDate"] == "2026-01-01T00:00:00.000Z"
    [tier] = model["pricingTiers"]
    assert (tier["name"], tier["isDefault"], tier["priority"]) == ("Standard", True, 0)
    assert tier["prices"] == {"input": 0.001, "output": 0.002}
    assert client.get(f"{URL}/{model['id']}").json() == model


def test_tiers_are_listed_by_priority_and_the_default_one_gives_the_flat_prices(client: httpx.Client) -> None:
    tiers = [_tier("Big", 1), _tier("Standard", 0)]
    body = _definition(pricingTiers=tiers, inputPrice=None, outputPrice=None)
    model = client.post(URL, json=body).json()
    assert [tier["name"] for tier in model["pricingTiers"]] == ["Standard", "Big"]
    assert model["pricingTiers"][1]["conditions"][0]["caseSensitive"] is False
    assert model["inputPrice"] == 0.001


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"totalPrice": 2}, "If input and/or output price is set, total price must be null"),
        (
            {"inputPrice": None, "outputPrice": None},
            "Must provide either flat prices (inputPrice/outputPrice/totalPrice) OR pricingTiers",
        ),
        (
            {"pricingTiers": [_tier("Standard", 0)]},
            "Must provide either flat prices (inputPrice/outputPrice/totalPrice) OR pricingTiers",
        ),
        ({"inputPrice": -1}, "Too small: expected number to be >=0"),
        ({"unit": "BANANAS"}, 'Invalid option: expected one of "TOKENS"|"CHARACTERS"'),
    ],
)
def test_a_definition_that_contradicts_itself_is_refused(
    client: httpx.Client, changes: dict[str, Any], message: str
) -> None:
    assert _messages(client.post(URL, json=_definition(**changes)))[0].startswith(message)


def test_a_model_has_no_more_conditions_than_are_looked_at(client: httpx.Client) -> None:
    one = {"usageDetailPattern": "^input", "operator": "gte", "value": 1000}
    tiers = [_tier("Standard", 0), _tier("A", 1, conditions=[one] * 100)]
    flat = {"inputPrice": None, "outputPrice": None}
    assert client.post(URL, json=_definition(**flat, pricingTiers=tiers)).status_code == 200
    tiers.append(_tier("B", 2, conditions=[one]))
    refused = client.post(URL, json=_definition(**flat, modelName="more", pricingTiers=tiers))
    assert _messages(refused) == ["The pricing tiers of a model may have at most 100 conditions in all"]


def test_a_pattern_that_repeats_large_parts_is_read_elsewhere_and_refused(client: httpx.Client) -> None:
    pattern = r"(?:\d{9999}|\w{9999})" * 80
    refused = client.post(URL, json=_definition(matchPattern=pattern))
    assert refused.status_code in {400, 422}, refused.text
    assert client.post(URL, json=_definition(matchPattern=r"^hermes-\d{1,4}$")).status_code == 200


@pytest.mark.parametrize(
    "tiers",
    [
        [_tier("Big", 1)],
        [_tier("Standard", 0), _tier("Other", 0)],
        [_tier("Standard", 0), _tier("Standard", 1)],
        [_tier("Standard", 0), _tier("A", 1), _tier("B", 1)],
        [_tier("Standard", 0), _tier("A", 1, conditions=[])],
        [_tier("Standard", 0, prices={})],
        [{**_tier("Standard", 0), "priority": 3}],
        [],
    ],
)
def test_tiers_need_one_default_and_unique_names_and_priorities(
    client: httpx.Client, tiers: list[dict[str, Any]]
) -> None:
    body = _definition(pricingTiers=tiers, inputPrice=None, outputPrice=None)
    assert _messages(client.post(URL, json=body))


def test_a_broken_pattern_is_refused(client: httpx.Client) -> None:
    answer = client.post(URL, json=_definition(matchPattern="(unclosed"))
    assert answer.status_code == 400
    assert answer.json() == {
        "message": "matchPattern is not a valid regex pattern (Postgres)",
        "error": "InvalidRequestError",
    }


def test_put_creates_a_model_with_a_given_id_and_then_replaces_it(client: httpx.Client) -> None:
    url = f"{URL}/hermes-{secrets.token_hex(4)}"
    first = client.put(url, json=_definition(inputPrice=1)).json()
    second = client.put(url, json=_definition(inputPrice=2)).json()
    assert (first["id"], first["inputPrice"]) == (url.rsplit("/", 1)[1], 1)
    assert (second["id"], second["inputPrice"], second["createdAt"]) == (first["id"], 2, first["createdAt"])


def test_built_in_models_are_listed_and_cannot_be_changed(client: httpx.Client) -> None:
    page = client.get(URL, params={"limit": 100}).json()
    builtin = [model for model in page["data"] if model["isLangfuseManaged"]]
    assert page["meta"]["totalItems"] > 100
    assert [model["modelName"] for model in page["data"]] == sorted(m["modelName"] for m in page["data"])
    url = f"{URL}/{builtin[0]['id']}"
    assert client.delete(url).status_code == 404
    assert client.put(url, json=_definition()).status_code == 403
    assert client.get(url).json() == builtin[0]


def test_a_deleted_model_is_gone_and_an_unknown_one_is_not_found(client: httpx.Client) -> None:
    url = f"{URL}/{client.post(URL, json=_definition()).json()['id']}"
    assert client.delete(url).json() == {"message": "Model successfully deleted"}
    for answer in (client.delete(url), client.get(url)):
        assert answer.status_code == 404
        assert answer.json()["error"] == "LangfuseNotFoundError"


def test_a_project_sees_no_models_of_another(engine: RunningEngine, client: httpx.Client) -> None:
    model = client.post(URL, json=_definition()).json()
    with engine.client_for(engine.provision("zeus-models")) as other:
        url = f"{URL}/{model['id']}"
        assert other.get(url).status_code == 404
        assert other.delete(url).status_code == 404
        assert other.put(url, json=_definition()).status_code == 403
        assert other.get(URL).json()["meta"]["totalItems"] < client.get(URL).json()["meta"]["totalItems"]
    assert client.get(f"{URL}/{model['id']}").json() == model


def test_a_generation_is_priced_by_the_model_that_was_just_defined(client: httpx.Client) -> None:
    body = _definition(inputPrice=0.5, outputPrice=0.25)
    model = client.post(URL, json=body).json()
    [observation] = _generations(client, body["modelName"], {"input": 4, "output": 2})
    assert observation["internalModelId"] == model["id"]
    assert observation["costDetails"] == {"input": 2, "output": 0.5, "total": 2.5}
    assert observation["usagePricingTierName"] == "Standard"
    assert (observation["inputPrice"], observation["totalPrice"]) == ("0.5", None)
    client.put(f"{URL}/{model['id']}", json={**body, "inputPrice": 1})
    [later] = _generations(client, body["modelName"], {"input": 4})
    assert later["costDetails"] == {"input": 4, "total": 4}
    client.delete(f"{URL}/{model['id']}")
    [unpriced] = _generations(client, body["modelName"], {"input": 4})
    assert unpriced["costDetails"] == {}


def test_a_generation_of_a_known_model_is_priced_from_the_first_request_on(client: httpx.Client) -> None:
    [observation] = _generations(client, "gpt-4o-mini", {"input": 1000, "output": 500})
    assert observation["costDetails"] == {"input": 0.00015, "output": 0.0003, "total": 0.00045}


def _generations(client: httpx.Client, model: str, usage: dict[str, int]) -> list[dict[str, Any]]:
    trace_id = secrets.token_hex(16)
    values = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": model,
    }
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]
    attributes += [
        {"key": f"gen_ai.usage.{key}_tokens", "value": {"intValue": str(units)}}
        for key, units in usage.items()
    ]
    span = {
        "traceId": trace_id,
        "spanId": secrets.token_hex(8),
        "name": "call",
        "startTimeUnixNano": "1768471200000000000",
        "endTimeUnixNano": "1768471201000000000",
        "attributes": attributes,
    }
    export = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "test"}, "spans": [span]}]}]}
    assert client.post("/api/public/otel/v1/traces", json=export).status_code == 200
    answer = client.get(
        "/api/public/v2/observations",
        params={"traceId": trace_id, "fields": "core,basic,model,usage"},
    )
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found
