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
        ({"name": "a/b"}, ["name"], "Name contains invalid characters"),
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
            "Invalid input",
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


_NUMERIC = {"dataType": "NUMERIC", "minValue": 0, "maxValue": 1}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"dataType": "NUMERIC", "categories": []}, 400),
        ({"dataType": "NUMERIC", "categories": None}, 200),
        ({"dataType": "TEXT", "minValue": 1}, 400),
        ({"dataType": "TEXT", "maxValue": None}, 200),
        ({"dataType": "BOOLEAN", "categories": [{"label": "True", "value": 1}]}, 400),
        ({"dataType": "BOOLEAN", "minValue": 0}, 200),
        ({"dataType": "CATEGORICAL", "categories": []}, 200),
        ({"dataType": "CATEGORICAL", "categories": None}, 400),
        ({"dataType": "CATEGORICAL", "categories": [], "minValue": 1}, 400),
        ({"dataType": "TEXT", "name": "Größe 大 ٣"}, 200),
        ({"dataType": "TEXT", "name": "a/b"}, 400),
        ({"dataType": "TEXT", "name": "a\nb"}, 400),
        ({"dataType": "TEXT", "foo": 1}, 200),
    ],
)
def test_which_fields_a_config_has_is_a_matter_of_its_data_type(
    client: httpx.Client, body: dict[str, Any], status: int
) -> None:
    name = _body()["name"]
    assert client.post(URL, json={"name": name, **body}).status_code == status


@pytest.mark.parametrize(
    ("config", "change", "message"),
    [
        (_NUMERIC, {}, "Invalid request data"),
        (_NUMERIC, {"foo": 1}, "Invalid request data"),
        (_NUMERIC, {"dataType": "TEXT"}, "Invalid request data"),
        (_NUMERIC, {"minValue": None}, "Invalid request data"),
        (_NUMERIC, {"minValue": 5}, "Maximum value must be greater than Minimum value"),
        (_NUMERIC, {"categories": []}, "Invalid input: expected undefined, received array"),
        ({"dataType": "TEXT"}, {"maxValue": 1}, "Invalid input: expected undefined, received number"),
        (
            {"dataType": "BOOLEAN"},
            {"categories": [{"label": "Yes", "value": 1}, {"label": "No", "value": 0}]},
            "Invalid input",
        ),
        ({"dataType": "BOOLEAN"}, {"categories": []}, "Boolean data type must have exactly 2 categories."),
    ],
)
def test_a_patch_must_say_something_that_fits_the_data_type(
    client: httpx.Client, config: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    created = client.post(URL, json={"name": _body()["name"], **config}).json()
    answer = client.patch(f"{URL}/{created['id']}", json=change)
    assert answer.status_code == 400
    assert message in answer.json()["message"]
    assert client.get(f"{URL}/{created['id']}").json() == created


def test_an_unknown_config_is_not_found(client: httpx.Client) -> None:
    for answer in (client.get(f"{URL}/nope"), client.patch(f"{URL}/nope", json={"description": "d"})):
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


def test_a_config_has_no_more_categories_than_scores_are_compared_with(client: httpx.Client) -> None:
    listed = [(f"c{number}", number) for number in range(1_001)]
    assert client.post(URL, json={"name": "most", **_categorical(*listed[:-1])}).status_code == 200
    refused = client.post(URL, json={"name": "more", **_categorical(*listed)})
    assert refused.status_code == 400
    assert "1000 categories" in refused.text
