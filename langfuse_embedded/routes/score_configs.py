"""Score configs: names, ranges and categories that scores may refer to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from langfuse_embedded import ids
from langfuse_embedded.clock import iso, now_ms
from langfuse_embedded.http.call import Call, json_response
from langfuse_embedded.http.errors import NotFound
from langfuse_embedded.http.operations import Operation
from langfuse_embedded.http.pagination import PAGE_PARAMETERS, Page
from langfuse_embedded.http.schema import Array, Boolean, Literal, Number, Object, Schema, String, Tagged
from langfuse_embedded.store.score_configs import ScoreConfig

_BOOLEAN_CATEGORIES = [{"label": "True", "value": 1}, {"label": "False", "value": 0}]

_NAME = String(
    min=1,
    max=35,
    patterns=(
        (
            r"^[a-zA-Z0-9\s.()_-]*$",
            "Name can only contain letters, numbers, underscores, spaces, periods, parentheses, and hyphens",
        ),
    ),
)


def _duplicate(key: str) -> Callable[[list[dict[str, Any]]], Any]:
    def find(categories: list[dict[str, Any]]) -> Any:
        values = [category[key] for category in categories]
        return next((value for at, value in enumerate(values) if value in values[:at]), None)

    return find


def _no_duplicates(categories: Schema, key: str) -> Schema:
    find = _duplicate(key)
    return categories.refine(
        lambda found: find(found) is None,
        lambda found: f"Duplicate category {key}: {find(found)}, category {key}s must be unique",
    )


_CATEGORIES = _no_duplicates(
    _no_duplicates(Array(Object({"label": String(min=1), "value": Number()}), min=1), "label"), "value"
)


def _in_order(body: dict[str, Any]) -> bool:
    low, high = body.get("minValue"), body.get("maxValue")
    return low is None or high is None or high > low


_COMMON = {"name": _NAME, "isArchived": Boolean().nullish(), "description": String().nullish()}
_CREATE = Tagged(
    "dataType",
    {
        "NUMERIC": Object(
            {
                **_COMMON,
                "dataType": Literal("NUMERIC"),
                "minValue": Number().nullish(),
                "maxValue": Number().nullish(),
            }
        ).refine(_in_order, "Maximum value must be greater than Minimum value"),
        "CATEGORICAL": Object({**_COMMON, "dataType": Literal("CATEGORICAL"), "categories": _CATEGORIES}),
        "BOOLEAN": Object({**_COMMON, "dataType": Literal("BOOLEAN")}),
        "TEXT": Object({**_COMMON, "dataType": Literal("TEXT")}),
    },
)
_UPDATE = Object(
    {
        "isArchived": Boolean().nullish(),
        "name": _NAME.nullish(),
        "categories": _CATEGORIES.nullish(),
        "minValue": Number().nullish(),
        "maxValue": Number().nullish(),
        "description": String().nullish(),
    }
)
_LIST = Object(PAGE_PARAMETERS)


async def create_score_config(call: Call) -> Response:
    """Create a config; the categories of a boolean one are given."""
    body = await call.json(_CREATE)
    moment = now_ms()
    config = _with(ScoreConfig(ids.uuid4(), call.project_id, "", body["dataType"], moment, moment), body)
    if config.data_type == "BOOLEAN":
        config = replace(config, categories=_BOOLEAN_CATEGORIES)
    call.engine.score_configs.save(config)
    return json_response(_shown(config))


async def list_score_configs(call: Call) -> Response:
    """Return one page of the configs, newest first."""
    page = Page.of(call.query(_LIST))
    configs = call.engine.score_configs
    found = configs.page(call.project_id, page.limit, page.offset)
    meta = page.meta(configs.count(call.project_id))
    return json_response({"data": [_shown(config) for config in found], "meta": meta})


async def get_score_config(call: Call) -> Response:
    """Return one config."""
    return json_response(_shown(_find(call)))


async def update_score_config(call: Call) -> Response:
    """Change what the body names; the result must be as valid as a new config."""
    body = await call.json(_UPDATE)
    config = _find(call)
    changed = replace(_with(config, body), updated_at=now_ms())
    _CREATE.parse(_as_body(changed))
    call.engine.score_configs.save(changed)
    return json_response(_shown(changed))


def _find(call: Call) -> ScoreConfig:
    config = call.engine.score_configs.get(call.project_id, call.params["configId"])
    if config is None:
        raise NotFound("Score config not found within authorized project")
    return config


def _with(config: ScoreConfig, body: dict[str, Any]) -> ScoreConfig:
    """Return the config with the values of a body; null and what its data type has no use for is left out."""
    names = {"name": "name", "isArchived": "is_archived", "description": "description"}
    if config.data_type == "NUMERIC":
        names |= {"minValue": "min_value", "maxValue": "max_value"}
    if config.data_type == "CATEGORICAL":
        names["categories"] = "categories"
    given = {field: body[key] for key, field in names.items() if body.get(key) is not None}
    return replace(config, **given)


def _as_body(config: ScoreConfig) -> dict[str, Any]:
    return {
        "name": config.name,
        "dataType": config.data_type,
        "minValue": config.min_value,
        "maxValue": config.max_value,
        "categories": config.categories,
    }


def _shown(config: ScoreConfig) -> dict[str, Any]:
    return {
        "id": config.id,
        "name": config.name,
        "isArchived": config.is_archived,
        "description": config.description,
        "createdAt": iso(config.created_at),
        "updatedAt": iso(config.updated_at),
        "projectId": config.project_id,
        "dataType": config.data_type,
        "maxValue": config.max_value,
        "minValue": config.min_value,
        "categories": config.categories,
    }


_ONE = "/api/public/score-configs/{configId}"
OPERATIONS = [
    Operation("POST", "/api/public/score-configs", create_score_config, "scoreConfigs_create"),
    Operation("GET", "/api/public/score-configs", list_score_configs, "scoreConfigs_get"),
    Operation("GET", _ONE, get_score_config, "scoreConfigs_get-by-id"),
    Operation("PATCH", _ONE, update_score_config, "scoreConfigs_update"),
]
