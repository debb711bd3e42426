"""What clients may say of evaluators and rules, and what they are shown, in both generations of routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langfuse_embedded.http.cursors import decode_cursor, encode_cursor
from langfuse_embedded.http.errors import Forbidden, InvalidRequest
from langfuse_embedded.http.queries import Cursor, page_limit
from langfuse_embedded.http.schema import (
    Array,
    Boolean,
    Enum,
    Literal,
    Number,
    Object,
    Schema,
    String,
    Union,
)
from langfuse_embedded.judge.filters import COLUMNS, VALUES
from langfuse_embedded.store.evaluators import Output

TEXT = String(min=1)
MODEL = Object({"provider": TEXT, "model": TEXT})
EXPERIMENT_ROOT = {
    "column": "isExperimentItemRootSpan",
    "operator": "=",
    "value": True,
    "type": "boolean",
}
"""The condition that `target: experiment` stands for."""

_TEXT_OPERATORS = ("=", "contains", "does not contain", "starts with", "ends with")
_CODE_REFUSED = "Code evals are not enabled"


def mapping_entry(*sources: str) -> Schema:
    """Return the shape of one mapped variable."""
    return Object({"variable": TEXT, "source": Enum(*sources), "jsonPath": TEXT.optional()})


def conditions(columns: Iterable[str], *, with_presence: bool) -> Schema:
    """Return the shape of a rule's filter over some columns, `with_presence` also by `is set`."""
    presence = ("is set", "is not set") if with_presence else ()
    return Array(Union(*(_condition(column, COLUMNS[column], presence) for column in columns)))


def _condition(column: str, kind: str, presence: tuple[str, ...]) -> Schema:
    operator: Schema
    value: Schema
    if kind == "stringOptions":
        operator, value = Enum("any of", "none of"), Array(String()).refine(bool, "Invalid input")
    elif kind == "arrayOptions":
        operator, value = Enum("any of", "none of", "all of"), Array(String())
    elif kind == "number":
        operator, value = Enum("=", ">", "<", ">=", "<="), Number()
    elif kind == "boolean":
        operator, value = Enum("=", "<>"), Boolean()
    elif kind == "null":
        operator, value = Enum("is null", "is not null"), Literal("")
    else:
        operator = Enum(*_TEXT_OPERATORS, *(presence if kind == "stringObject" else ()))
        value = String()
    key = {"key": String()} if kind == "stringObject" else {}
    return Object(
        {"column": Literal(column), "operator": operator, "value": value, "type": Literal(kind), **key}
    )


def unknown_values(condition: Mapping[str, Any]) -> list[str]:
    """Return the values of a condition that its column can never have."""
    known = VALUES.get(condition["column"])
    return [value for value in condition["value"] if value not in known] if known else []


def require_unique(categories: Sequence[str], path: list[str | int]) -> list[dict[str, Any]]:
    """Return an issue for each category that is there already."""
    return [
        {"code": "custom", "message": "Categories must be unique", "path": [*path, place]}
        for place, name in enumerate(categories)
        if name in categories[:place]
    ]


def refuse_code() -> None:
    """Refuse an evaluator that is code, as a server does that has nothing to run code in."""
    raise Forbidden(_CODE_REFUSED)


class CursorList:
    """A list in pages by cursor: `limit` and `cursor` in the query, `meta.cursor` in the answer."""

    def __init__(self, place: Mapping[str, Schema]) -> None:
        self._names = tuple(place)
        self.query = Object(
            {
                "limit": page_limit(),
                "cursor": Cursor(Object(place), decode_cursor).optional(),
            }
        )

    def after(self, query: Mapping[str, Any]) -> Any:
        """Return where the page begins."""
        place = query.get("cursor")
        return tuple(place[name] for name in self._names) if place else None

    def page(self, found: list[Any], limit: int, place: Any, shown: Any) -> dict[str, Any]:
        """Return the answer for what was found, one more than `limit` where more follow."""
        meta = {}
        if len(found) > limit:
            found = found[:limit]
            meta["cursor"] = encode_cursor(
                dict(zip(self._names, place(found[-1]), strict=True)), urlsafe=True
            )
        return {"data": [shown(one) for one in found], "meta": meta}


BY_CREATION = CursorList({"createdAt": Number(integer=True), "id": String()})
BY_VERSION = CursorList({"version": Number(integer=True)})


def output_of(kind: str, reasoning: str | None, score: str | None, more: Mapping[str, Any]) -> Output:
    """Return the stored form of an output definition."""
    output: Output = {"dataType": kind, "reasoning": reasoning, "score": score}
    if kind == "NUMERIC":
        if more.get("minValue") is not None:
            output["minValue"] = more["minValue"]
        if more.get("maxValue") is not None:
            output["maxValue"] = more["maxValue"]
    elif kind == "CATEGORICAL":
        output["categories"] = more["categories"]
        output["multiple"] = more["shouldAllowMultipleMatches"]
    return output


def shown_bounds(output: Output) -> dict[str, Any]:
    """Return what belongs to the type of an output."""
    kind = output["dataType"]
    if kind == "CATEGORICAL":
        return {
            "categories": output["categories"],
            "shouldAllowMultipleMatches": output["multiple"],
        }
    bounds = (("minValue", output.get("minValue")), ("maxValue", output.get("maxValue")))
    return {name: value for name, value in bounds if value is not None}


def bounds_in_order(values: Mapping[str, Any]) -> bool:
    """Tell whether the least value is not above the greatest."""
    least, most = values.get("minValue"), values.get("maxValue")
    return least is None or most is None or bool(least <= most)


def refuse_filter(message: str, field: str, column: str, **more: Any) -> InvalidRequest:
    """Return the refusal of a condition whose values cannot be."""
    error = InvalidRequest(message)
    error.code = "invalid_filter_value"
    error.details = {"field": field, "column": column, **more}
    return error
