"""Score configs: names, ranges and categories that scores may refer to."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from langfuse_embedded import ids
from langfuse_embedded.clock import iso, now_ms
from langfuse_embedded.http.errors import InvalidData, InvalidRequest, NotFound
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.pagination import PAGE_PARAMETERS, Page
from langfuse_embedded.http.schema import (
    MISSING,
    Array,
    Boolean,
    Issues,
    Literal,
    Number,
    Object,
    Path,
    Schema,
    String,
    Tagged,
    Undefined,
    json_value,
)
from langfuse_embedded.javascript.values import number_text
from langfuse_embedded.store.score_configs import ScoreConfig

from .call import Call
from .operations import Operation

_BOOLEAN_CATEGORIES = [{"label": "True", "value": 1}, {"label": "False", "value": 0}]


class _Name(Schema):
    """Letters and numbers of any script, and a few signs."""

    text = String(min=1, max=35)

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        self.text.parse_at(value, path, issues)
        if isinstance(value, str) and not (value and all(map(_is_in_names, value))):
            issues.add_mismatch(path, "Name contains invalid characters", r"/^[\p{L}\p{N}_ .()-]+$/u")
        return value


def _is_in_names(char: str) -> bool:
    return unicodedata.category(char)[0] in "LN" or char in "_ .()-"


_NAME = _Name()
_RANGE = {"maxValue": Number().nullish(), "minValue": Number().nullish()}
_NO_RANGE = {"maxValue": Undefined().nullish(), "minValue": Undefined().nullish()}
_NO_CATEGORIES = {"categories": Undefined().nullish()}
_SHAPES = "Category must be an array of objects with label value pairs, where labels and values are unique."
# Each score is compared with them.
_MAX_CATEGORIES = 1_000
_CATEGORY_LIST = Array(Object({"label": String(min=1), "value": Number()}))


def _duplicate(categories: list[dict[str, Any]]) -> str:
    """Return what to say of the first label or value that is there twice, nothing if none is."""
    if len(categories) > _MAX_CATEGORIES:
        return f"A score config may have at most {_MAX_CATEGORIES} categories"
    known: dict[str, set[Any]] = {"label": set(), "value": set()}
    for category in categories:
        for key, before in known.items():
            if category[key] in before:
                shown = number_text(category[key]) if key == "value" else category[key]
                return f"Duplicate category {key}: {shown}, category {key}s must be unique"
            before.add(category[key])
    return ""


_JSON = json_value()


class _Categories(Schema):
    """Categories that are all different; whatever else is wrong with them is said in one sentence."""

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        if value is MISSING or value is None:
            _JSON.parse_at(value, path, issues)
            return value
        local = Issues()
        categories = _CATEGORY_LIST.parse_at(value, (), local)
        problem = _SHAPES if local.found else _duplicate(categories)
        if problem:
            issues.stop(path, problem, code="custom")
        return categories


def _in_order(body: dict[str, Any]) -> bool:
    low, high = body.get("minValue"), body.get("maxValue")
    return body["dataType"] != "NUMERIC" or low is None or high is None or high > low


def _typed(common: dict[str, Schema], categories: Schema, boolean: dict[str, Schema]) -> Schema:
    """Return the shape of a config: which fields there are is a matter of its data type."""
    text = {"dataType": Literal("TEXT"), **_NO_RANGE, **_NO_CATEGORIES}
    numeric = {"dataType": Literal("NUMERIC"), **_RANGE, **_NO_CATEGORIES}
    categorical = {"dataType": Literal("CATEGORICAL"), **_NO_RANGE, "categories": categories}
    shapes = {
        "NUMERIC": numeric,
        "CATEGORICAL": categorical,
        "BOOLEAN": {"dataType": Literal("BOOLEAN"), **boolean},
        "TEXT": text,
    }
    return Tagged("dataType", {name: Object({**common, **shape}) for name, shape in shapes.items()}).refine(
        _in_order, "Maximum value must be greater than Minimum value"
    )


_CREATE = _typed(
    {"name": _NAME, "description": String().nullish()}, _Categories(), {"categories": Undefined()}
)
# What is stored is judged by looser rules: a boolean config may have a range, which says nothing.
_WHOLE = _typed(
    {"name": String(min=1, max=35)},
    _CATEGORY_LIST.refine(lambda found: not _duplicate(found), _duplicate),
    {
        **_RANGE,
        "categories": Array(Object({"label": String(min=1), "value": Number()}))
        .refine(lambda found: len(found) == 2, "Boolean data type must have exactly 2 categories.")
        .refine(lambda found: len(found) != 2 or found == _BOOLEAN_CATEGORIES, "Invalid input"),
    },
)
_UPDATE = Object(
    {
        "isArchived": Boolean().optional(),
        "name": _NAME.optional(),
        "minValue": Number().optional(),
        "maxValue": Number().optional(),
        "categories": _Categories().optional(),
        "description": String().optional(),
    }
).refine(bool, "Request body cannot be empty. At least one field must be provided for update.")
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
    """Change what the body names; the result must be as valid as a stored config is.

    Raises:
        InvalidRequest: it would not be.
    """
    body = await call.json(_UPDATE)
    config = _find(call)
    changed = replace(_with(config, body), updated_at=now_ms())
    try:
        _WHOLE.parse(_as_body(changed))
    except InvalidData as error:
        raise InvalidRequest(", ".join(issue["message"] for issue in error.issues)) from None
    call.engine.score_configs.save(changed)
    return json_response(_shown(changed))


def _find(call: Call) -> ScoreConfig:
    config = call.engine.score_configs.get(call.project_id, call.params["configId"])
    if config is None:
        raise NotFound("Score config not found within authorized project")
    return config


_FIELDS = {
    "name": "name",
    "isArchived": "is_archived",
    "description": "description",
    "minValue": "min_value",
    "maxValue": "max_value",
    "categories": "categories",
}


def _with(config: ScoreConfig, body: dict[str, Any]) -> ScoreConfig:
    """Return the config with the values of a body; null leaves a value as it is."""
    return replace(config, **{_FIELDS[key]: value for key, value in body.items() if _is_set(key, value)})


def _is_set(key: str, value: Any) -> bool:
    return key in _FIELDS and value is not None


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
