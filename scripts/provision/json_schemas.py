"""JSON Schemas of datasets: what the server would refuse, said before anything is sent.

The server compiles them with Ajv in strict mode (draft 7): https://ajv.js.org/strict-mode.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .model_base import JsonObject

MAX_LENGTH = 10_000
_DRAFTS = ("http://json-schema.org/draft-07/schema", "http://json-schema.org/draft-07/schema#")
_SCHEMAS_BY_NAME = ("properties", "patternProperties", "definitions", "$defs")
_SCHEMAS = (
    *("items", "additionalItems", "additionalProperties", "contains", "propertyNames", "not", "if", "then"),
    *("else", "anyOf", "oneOf", "allOf"),
)


def schema_problem(schema: JsonObject) -> str:
    """Return why the server would refuse a schema, or an empty string."""
    from jsonschema import Draft7Validator
    from jsonschema.exceptions import SchemaError

    if len(json.dumps(schema, ensure_ascii=False, separators=(",", ":"))) > MAX_LENGTH:
        return f"it is longer than {MAX_LENGTH} characters"
    if schema.get("$schema", _DRAFTS[0]) not in _DRAFTS:
        return "its $schema is not draft 7"
    try:
        Draft7Validator.check_schema(schema)
    except SchemaError as error:
        return error.message
    return next(_strict(schema, frozenset()), "")


def value_problem(schema: JsonObject, value: Any) -> str:
    """Return why a value does not fit a schema, or an empty string."""
    from jsonschema import Draft7Validator

    error = next(Draft7Validator(schema).iter_errors(value), None)
    return error.message if error else ""


def _strict(schema: Any, declared: frozenset[str]) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        return
    declared = declared | frozenset(schema.get("properties", {}))
    for name in schema.get("required", ()):
        if name not in declared:
            yield f"the required property {name!r} is not declared under properties"
    for keyword in _SCHEMAS_BY_NAME:
        for inner in schema.get(keyword, {}).values():
            yield from _strict(inner, frozenset())
    for keyword in _SCHEMAS:
        value = schema.get(keyword)
        # Branches speak of the same object, for which properties may be declared outside.
        same = (
            declared if keyword in {"anyOf", "oneOf", "allOf", "not", "if", "then", "else"} else frozenset()
        )
        for inner in value if isinstance(value, list) else [value]:
            yield from _strict(inner, same)
