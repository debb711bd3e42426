"""The JSON filters of lists and metrics: one shape of conditions, parsed once, compiled by each store.

A filter is a list of conditions that must all hold: `[{"column": "name", "type": "string", "operator": "=",
"value": "llm-call"}]`. Which columns exist, and which types of conditions fit them, is for the caller to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .schema import (
    MISSING,
    Array,
    Boolean,
    CoercedDate,
    Enum,
    Literal,
    Number,
    Object,
    Schema,
    String,
    Tagged,
    Union,
)

_TEXT = ("=", "contains", "does not contain", "starts with", "ends with")
_NUMBER = ("=", ">", "<", ">=", "<=")
_FULL_TEXT = "matches"
MAX_CONDITIONS = 500
"""In one filter. SQLite takes a thousand terms in one statement; the cost of a row grows with them."""
_TOO_MANY = f"Too big: expected array to have <={MAX_CONDITIONS} items"
_EMPTY_OPTIONS = (
    "Value array must not be empty unless operator is 'all of' or 'none of' "
    "(which represent waiting for selection)"
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. `value` fits `type`: Unix milliseconds for `datetime`, a list for the options types."""

    column: str
    type: str
    operator: str
    value: Any
    key: str | None = None


def _condition(kind: str, operator: Schema, value: Schema, *, keyed: bool = False) -> Schema:
    return Object(
        {
            "column": String(),
            "operator": operator,
            "value": value,
            "type": Literal(kind),
            **({"key": String()} if keyed else {}),
        }
    )


def _position() -> Schema:
    def nth_has_place(condition: dict[str, Any]) -> bool:
        if not condition["key"].startswith("nth"):
            return True
        return bool(condition.get("value")) and condition["value"] >= 1

    return Object(
        {
            "type": Literal("positionInTrace"),
            "column": String(),
            "operator": Literal("="),
            "key": Enum("root", "first", "last", "nthFromEnd", "nthFromStart"),
            "value": Number().optional(),
        }
    ).refine(nth_has_place, "Position must be >= 1 for nth selection", ["value"])


def _one(text_operator: Schema) -> Schema:
    options = Array(String()).refine(bool, "Invalid input")
    array = _condition("arrayOptions", Enum("any of", "none of", "all of"), Array(String())).refine(
        lambda condition: condition["operator"] != "any of" or bool(condition["value"]), _EMPTY_OPTIONS
    )
    one = Tagged(
        "type",
        {
            "datetime": _condition("datetime", Enum(">", "<", ">=", "<="), CoercedDate()),
            "string": _condition("string", text_operator, String()),
            "number": _condition("number", Enum(*_NUMBER), Number()),
            "stringOptions": _condition("stringOptions", Enum("any of", "none of"), options),
            "categoryOptions": _condition(
                "categoryOptions", Enum("any of", "none of"), Array(String()), keyed=True
            ),
            "arrayOptions": array,
            "stringObject": _condition("stringObject", text_operator, String(), keyed=True),
            "numberObject": _condition("numberObject", Enum(*_NUMBER), Number(), keyed=True),
            "booleanObject": _condition("booleanObject", Enum("=", "<>"), Boolean(), keyed=True),
            "boolean": _condition("boolean", Enum("=", "<>"), Boolean()),
            "null": _condition("null", Enum("is null", "is not null"), Literal("")),
            "positionInTrace": _position(),
        },
    )
    return one.transform(
        lambda condition: Condition(
            condition["column"],
            condition["type"],
            condition["operator"],
            condition.get("value", MISSING),
            condition.get("key"),
        )
    )


def filter_of(condition: Schema) -> Schema:
    """Return the shape of a list of conditions, of which there may be `MAX_CONDITIONS`."""
    return Array(condition).super_refine(lambda found: [_TOO_MANY] if len(found) > MAX_CONDITIONS else [])


CONDITIONS = filter_of(_one(Enum(*_TEXT)))
"""A filter of metrics and of the legacy lists: a list of `Condition`."""

EVENT_CONDITION = _one(Union(Enum(*_TEXT), Literal(_FULL_TEXT)))
EVENT_CONDITIONS = filter_of(EVENT_CONDITION)
"""A filter of `GET v2/observations`, where texts can also be searched by words (`matches`)."""
