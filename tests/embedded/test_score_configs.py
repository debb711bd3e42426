"""Score configs over HTTP."""

from __future__ import annotations

import secrets
from typing import Any

import httpx
import pytest

from .harness import RunningEngine

URL = "/api/public/score-configs"


def _body(**changes: Any) -> dict[str, Any]:
    return {"name": f"config {secrets.token_hex(4)}", "dataType": "NUMERIC", **changes}


def _categorical(*categories: tuple[str, int]) -> dict[str, Any]:
    listed = [{"label": label, "value": value} for label, value in categories]
    return {"dataType": "CATEGORICAL", "categories": listed}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"minValue": 0, "maxValue": 1}, {"minValue": 0, "maxValue": 1, "categories": None}),
        ({}, {"minValue": None, "maxValue": None, "categories": None}),
        (
            {"dataType": "CATEGORICAL", "categories": [{"label": "LOW", "value": 0}]},
            {"minValue": None, "maxValue": None, "categories": [{"label": "LOW", "value": 0}]},
        ),
        (
            {"dataType": "BOOLEAN"},
            {"categories": [{"label": "True", "value": 1}, {"label": "False", "value": 0}]},
        ),
        ({"dataType": "TEXT", "description": "why"}, {"categories": None, "description": "why"}),
    ],
)
def test_a_config_of_each_data_type_is_created_and_read_back(
    client: httpx.Client, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    body = _body(**changes)
    created = client.post(URL, json=body)
    assert created.status_code == 200, created.text
    config = created.json()
    assert config | {**expected, "name": body["name"], "isArchived": False} == config
    assert client.get(f"{URL}/{config['id']}").json() == config


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"dataType": "NOPE"}, ["dataType"], "Invalid input"),
        ({"minValue": 2, "maxValue": 1}, [], "Maximum value must be greater than Minimum value"),
        ({"name": ""}, ["name"], "Too small: expected string to have >=1 characters"),
        ({"name": "x" * 36}, ["name"], "Too big: expected string to have <=35 characters"),
        (
            _categorical(("A", 0), ("A", 1)),
            ["categories"],
            "Duplicate category label: A, category labels must be unique",
        ),
        (
            _categorical(("A", 0), ("B", 0)),
            ["categories"],
            "Duplicate category value: 0, category values must be unique",
        ),
        (
            {"dataType": "CATEGORICAL"},
            ["categories"],
            "Invalid input: expected array, received undefined",
        ),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(
    client: httpx.Client, changes: dict[str, Any], path: list[str], message: str
) -> None:
    answer = client.post(URL, json=_body(**changes))
    assert answer.status_code == 400
    assert [(issue["path"], issue["message"]) for issue in answer.json()["error"]] == [(path, message)]


def test_patch_changes_only_what_it_names(client: httpx.Client) -> None:
    config = client.post(URL, json=_body(minValue=0, maxValue=1)).json()
    url = f"{URL}/{config['id']}"
    changed = client.patch(url, json={"description": "patched", "isArchived": True, "maxValue": 5})
    assert changed.status_code == 200
    expected = {**config, "description": "patched", "isArchived": True, "maxValue": 5}
    assert {**changed.json(), "updatedAt": config["updatedAt"]} == expected
    assert client.get(url).json() == changed.json()


def test_patch_cannot_make_a_config_invalid(client: httpx.Client) -> None:
    config = client.post(URL, json=_body(minValue=0, maxValue=1)).json()
    answer = client.patch(f"{URL}/{config['id']}", json={"maxValue": -1})
    assert answer.status_code == 400
    assert client.get(f"{URL}/{config['id']}").json() == config


def test_an_unknown_config_is_not_found(client: httpx.Client) -> None:
    for answer in (client.get(f"{URL}/nope"), client.patch(f"{URL}/nope", json={})):
        assert answer.status_code == 404
        assert answer.json() == {
            "message": "Score config not found within authorized project",
            "error": "LangfuseNotFoundError",
        }


def test_configs_are_listed_newest_first_and_only_to_their_project(engine: RunningEngine) -> None:
    mine, theirs = engine.provision("athena-configs"), engine.provision("zeus-configs")
    with engine.client_for(mine) as client, engine.client_for(theirs) as other:
        names = [client.post(URL, json=_body()).json()["name"] for _ in range(3)]
        page = client.get(URL, params={"limit": 2}).json()
        assert [config["name"] for config in page["data"]] == names[:0:-1]
        assert page["meta"] == {"page": 1, "limit": 2, "totalItems": 3, "totalPages": 2}
        assert other.get(URL).json()["data"] == []
        assert other.get(f"{URL}/{page['data'][0]['id']}").status_code == 404
