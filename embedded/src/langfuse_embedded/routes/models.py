"""Models: the definitions that give generations a price; a project's own and the built-in ones."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from langfuse_embedded import ids
from langfuse_embedded.clock import iso, iso_or_none
from langfuse_embedded.http.access import Access
from langfuse_embedded.http.errors import Forbidden, InvalidRequest, NotFound
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.names import MAX_LENGTH as MAX_NAME
from langfuse_embedded.http.pagination import PAGE_PARAMETERS, Page
from langfuse_embedded.http.schema import (
    Anything,
    Array,
    Boolean,
    CoercedDate,
    Enum,
    Issues,
    Literal,
    Number,
    Object,
    Path,
    Record,
    Schema,
    String,
    Union,
)
from langfuse_embedded.javascript.patterns import is_safe
from langfuse_embedded.pricing.model import Model, Tier
from langfuse_embedded.pricing.patterns import MAX_LENGTH, InvalidPattern, bounded_javascript, bounded_pattern

from .call import Call
from .operations import Operation

_UNITS = ("TOKENS", "CHARACTERS", "MILLISECONDS", "SECONDS", "REQUESTS", "IMAGES")
_FLAT_PRICES = {"inputPrice": "input", "outputPrice": "output", "totalPrice": "total"}


# What is longer, or repeats parts, is compiled elsewhere (`_require_patterns`): others take milliseconds.
_SHORT_PATTERN = 200
_LONGEST_CONDITION = 200
_EMPTY = "Pattern cannot be empty"
_TOO_LONG = f"Pattern exceeds maximum length of {_LONGEST_CONDITION} characters"
_MAX_CONDITIONS = 100
_MAX_MODELS = 1_000
_BODY_LIMIT = 128 * 2**10
_TOO_MANY = (
    f"A project may have at most {_MAX_MODELS} models: each new name is compared with all of them. Delete "
    "those that are not needed"
)


def _is_short(pattern: str) -> bool:
    return len(pattern) <= _SHORT_PATTERN and "{" not in pattern


def _pattern_problem(text: str) -> str:
    """Return what the server's `validateRegexPattern` says of a pattern, nothing if all is well."""
    if len(text) > _LONGEST_CONDITION:
        return _TOO_LONG
    if not text:
        return _EMPTY
    try:
        if _is_short(text):
            bounded_javascript(text, any_case=False)
    except InvalidPattern as error:
        return f"Invalid regex syntax: {error}"
    if not is_safe(text):
        return "Pattern may cause catastrophic backtracking. Please simplify your regex."
    return ""


_PRICE = Number(ge=0)
_CONDITION = Union(
    Object(
        {
            "usageDetailPattern": String(
                min=1, max=_LONGEST_CONDITION, min_message=_EMPTY, max_message=_TOO_LONG
            ).refine(
                lambda text: not _pattern_problem(text),
                "Invalid regex pattern: must be valid regex and not cause catastrophic backtracking",
            ),
            "operator": Enum("gt", "gte", "lt", "lte", "eq", "neq"),
            "value": Number(ge=0),
            "caseSensitive": Boolean().default(False),
        }
    ),
    Object(
        {
            "source": Enum("model_parameters", "metadata"),
            "key": String(min=1, max=200, min_message="Key cannot be empty"),
            "operator": Literal("in"),
            "values": Array(String(min=1, min_message="Value cannot be empty"), min=1),
        }
    ),
)
_TIER = Object(
    {
        "name": String(
            min=1,
            max=100,
            trim=True,
            min_message="Name cannot be empty",
            max_message="Name exceeds maximum length of 100 characters",
        ),
        "isDefault": Boolean().default(False),
        "priority": Number(
            integer=True,
            ge=0,
            le=999,
            messages={
                "integer": "Priority must be an integer",
                "ge": "Priority must be non-negative",
                "le": "Priority cannot exceed 999",
            },
        ),
        "conditions": Array(_CONDITION),
        "prices": Record(Number(ge=0, messages={"ge": "Price must be non-negative"})),
    }
)


def _tiers_problem(tiers: list[dict[str, Any]]) -> str:
    """Return what is wrong with pricing tiers together, nothing if all is well."""
    defaults = [tier for tier in tiers if tier["isDefault"]]
    if not defaults:
        return "Exactly one pricing tier must have isDefault: true"
    if len(defaults) > 1:
        return f"Only one pricing tier can have isDefault: true, found {len(defaults)}"
    default = defaults[0]
    if default["priority"] != 0:
        return "Default pricing tier must have priority: 0"
    if default["conditions"]:
        return "Default pricing tier must have empty conditions array"
    for tier in tiers:
        if not (tier["isDefault"] or tier["conditions"]):
            return f'Non-default pricing tier "{tier["name"]}" must have at least one condition'
    if problem := _repetition(tiers):
        return problem
    if sum(len(tier["conditions"]) for tier in tiers) > _MAX_CONDITIONS:
        return f"The pricing tiers of a model may have at most {_MAX_CONDITIONS} conditions in all"
    if problem := next(filter(None, map(_patterns_problem, tiers)), ""):
        return problem
    for tier in tiers:
        if not tier["prices"]:
            return f'Pricing tier "{tier["name"]}" must have at least one price defined'
    return next(filter(None, (_keys_problem(tier, default) for tier in tiers)), "")


def _repetition(tiers: list[dict[str, Any]]) -> str:
    if len({tier["priority"] for tier in tiers}) != len(tiers):
        return "Pricing tier priorities must be unique within a model"
    if len({tier["name"] for tier in tiers}) != len(tiers):
        return "Pricing tier names must be unique"
    return ""


def _patterns_problem(tier: dict[str, Any]) -> str:
    patterns = [one["usageDetailPattern"] for one in tier["conditions"] if "usageDetailPattern" in one]
    problem = next(filter(None, map(_pattern_problem, patterns)), "")
    return f'Invalid regex pattern in tier "{tier["name"]}": {problem}' if problem else ""


def _keys_problem(tier: dict[str, Any], default: dict[str, Any]) -> str:
    if tier["prices"].keys() == default["prices"].keys():
        return ""
    expected, got = (", ".join(sorted(one["prices"])) for one in (default, tier))
    return (
        f'Pricing tier "{tier["name"]}" must have the same usage keys as the default tier. '
        f"Expected: [{expected}], Got: [{got}]"
    )


class _Priced(Schema):
    """A model with prices of one kind: flat ones, or tiers. An empty list of tiers is none."""

    def __init__(self, inner: Schema) -> None:
        self.inner = inner

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        local = Issues()
        body = self.inner.parse_at(value, path, local)
        if not local.aborted and isinstance(body, dict):
            where, problem = _prices_problem(body)
            if problem:
                local.stop((*path, *where), problem, code="custom")
        issues.found.extend(local.found)
        issues.aborted = issues.aborted or local.aborted
        return body


def _prices_problem(body: dict[str, Any]) -> tuple[Path, str]:
    flat = any(body.get(key) is not None for key in _FLAT_PRICES)
    tiers = body.get("pricingTiers")
    either = "Must provide either flat prices (inputPrice/outputPrice/totalPrice) OR pricingTiers"
    if flat and tiers:
        return (), f"{either}, not both"
    if not flat and not tiers:
        return (), either
    if tiers:
        return ("pricingTiers",), _tiers_problem(tiers)
    if (body.get("inputPrice") or body.get("outputPrice")) and body.get("totalPrice"):
        return ("totalPrice",), "If input and/or output price is set, total price must be null"
    return (), ""


_MODEL = _Priced(
    Object(
        {
            "modelName": String(max=MAX_NAME),
            "matchPattern": String(max=MAX_LENGTH),
            "startDate": CoercedDate().nullish(),
            "inputPrice": _PRICE.nullish(),
            "outputPrice": _PRICE.nullish(),
            "totalPrice": _PRICE.nullish(),
            "unit": Enum(*_UNITS),
            "tokenizerId": Enum("openai", "claude").nullish(),
            "tokenizerConfig": Anything(),
            "pricingTiers": Array(_TIER).nullish(),
        }
    )
)
_LIST = Object(PAGE_PARAMETERS)


async def create_model(call: Call) -> Response:
    """Create a model of the project."""
    body = await call.json(_MODEL, costly=True)
    await _require_patterns(call, body)
    model = _model_of(body, ids.cuid(), call.project_id)
    if call.engine.models.has_name(call.project_id, model.name):
        raise InvalidRequest(f"Model name '{model.name}' already exists in project")
    _require_room(call)
    call.engine.models.save(model)
    return _stored(call, model.id)


async def put_model(call: Call) -> Response:
    """Create or replace the project's model with this id."""
    body = await call.json(_MODEL, costly=True)
    await _require_patterns(call, body)
    model = _model_of(body, call.params["id"], call.project_id)
    if call.engine.models.get(call.project_id, model.id) is None:
        _require_room(call)
    if not call.engine.models.save(model):
        raise Forbidden("A model with this id exists that does not belong to this project.")
    return _stored(call, model.id)


async def list_models(call: Call) -> Response:
    """Return one page of the models that the project sees, by name."""
    page = Page.of(call.query(_LIST))
    await call.engine.price_list.ready(call.engine.models)
    models = call.engine.models
    found = models.page(call.project_id, page.limit, page.offset)
    meta = page.meta(models.count(call.project_id))
    return json_response({"data": [_shown(model) for model in found], "meta": meta})


async def get_model(call: Call) -> Response:
    """Return one model."""
    await call.engine.price_list.ready(call.engine.models)
    return _stored(call, call.params["id"])


async def delete_model(call: Call) -> Response:
    """Delete one of the project's models; events keep the costs that they have."""
    if not call.engine.models.delete(call.project_id, call.params["id"]):
        raise NotFound(
            "No model with this id found. Note: You cannot delete built-in models, override them with a model"
            " with the same name."
        )
    return json_response({"message": "Model successfully deleted"})


def _require_room(call: Call) -> None:
    """Refuse a model above the number that a project may have."""
    if call.engine.models.count(call.project_id, own=True) >= _MAX_MODELS:
        raise InvalidRequest(_TOO_MANY)


async def _require_patterns(call: Call, body: dict[str, Any]) -> None:
    """Refuse what is not a pattern, and what takes long to be read as one."""
    match_pattern = body["matchPattern"]
    costly = set() if _is_short(match_pattern) else {(match_pattern, "postgres")}
    if not costly:
        try:
            bounded_pattern(match_pattern)
        except InvalidPattern:
            raise InvalidRequest(_WRONG["postgres"]) from None
    costly |= {
        (condition["usageDetailPattern"], "javascript")
        for tier in body.get("pricingTiers") or ()
        for condition in tier["conditions"]
        if not _is_short(condition.get("usageDetailPattern", ""))
    }
    if not costly:
        return
    in_order = sorted(costly)
    errors = await call.engine.tasks.run(
        call.project_id, "pattern_errors", in_order, what="Reading the patterns of this model"
    )
    for (_, dialect), error in zip(in_order, errors, strict=True):
        if error:
            raise InvalidRequest(_WRONG[dialect])


_WRONG = {
    "postgres": "matchPattern is not a valid regex pattern (Postgres)",
    "javascript": "usageDetailPattern is not a valid regex pattern",
}


def _model_of(body: dict[str, Any], model_id: str, project_id: str) -> Model:
    return Model(
        id=model_id,
        project_id=project_id,
        name=body["modelName"],
        match_pattern=body["matchPattern"],
        tiers=_tiers_of(body, model_id),
        start_date=body.get("startDate"),
        unit=body["unit"],
        tokenizer_id=body.get("tokenizerId"),
        tokenizer_config=body.get("tokenizerConfig"),
    )


def _tiers_of(body: dict[str, Any], model_id: str) -> list[Tier]:
    tiers = body.get("pricingTiers")
    if not tiers:
        prices = {kind: body[key] for key, kind in _FLAT_PRICES.items() if body.get(key) is not None}
        tiers = [{"name": "Standard", "isDefault": True, "priority": 0, "conditions": [], "prices": prices}]
    return [
        Tier(
            id=f"{model_id}_tier_default" if tier["isDefault"] else ids.cuid(),
            name=tier["name"],
            isDefault=tier["isDefault"],
            priority=tier["priority"],
            conditions=tier["conditions"],
            prices=tier["prices"],
        )
        for tier in sorted(tiers, key=lambda tier: tier["priority"])
    ]


def _stored(call: Call, model_id: str) -> Response:
    model = call.engine.models.get(call.project_id, model_id)
    if model is None:
        raise NotFound("No model with this id found.")
    return json_response(_shown(model))


def _shown(model: Model) -> dict[str, Any]:
    prices = model.default_prices
    return {
        "id": model.id,
        "createdAt": iso(model.created_at),
        "modelName": model.name,
        "matchPattern": model.match_pattern,
        "startDate": iso_or_none(model.start_date),
        "tokenizerId": model.tokenizer_id,
        "tokenizerConfig": model.tokenizer_config,
        "unit": model.unit,
        **{key: prices.get(kind) for key, kind in _FLAT_PRICES.items()},
        "prices": {kind: {"price": price} for kind, price in prices.items()},
        "isLangfuseManaged": model.project_id is None,
        "pricingTiers": model.tiers,
    }


_ONE = "/api/public/models/{id}"
_ADMIN_TOO = Access.PROJECT_OR_ADMIN
OPERATIONS = [
    Operation(
        "POST", "/api/public/models", create_model, "models_create", _ADMIN_TOO, body_limit=_BODY_LIMIT
    ),
    Operation("GET", "/api/public/models", list_models, "models_list", _ADMIN_TOO),
    Operation("GET", _ONE, get_model, "models_get", _ADMIN_TOO),
    Operation("PUT", _ONE, put_model, "models_upsert", _ADMIN_TOO, body_limit=_BODY_LIMIT),
    Operation("DELETE", _ONE, delete_model, "models_delete", _ADMIN_TOO),
]
