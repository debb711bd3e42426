"""Schemas of datasets are accepted, and values refused, in the words of the server's validator."""

from __future__ import annotations

from typing import Any

import pytest

from langfuse_embedded.json_schemas import MAX_LENGTH, errors_of, is_valid_schema

TEXT = {"type": "string"}
OBJECT = {"type": "object", "properties": {"q": TEXT}, "required": ["q"]}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        OBJECT,
        {**OBJECT, "$schema": "http://json-schema.org/draft-07/schema#", "title": "t", "examples": [1]},
        {"type": ["string", "null"]},
        {"type": "string", "nullable": True},
        {"type": "string", "format": "no such format"},
        {"type": "array", "items": [TEXT], "minItems": 1, "maxItems": 1},
        {"type": "array", "items": [TEXT], "minItems": 1, "additionalItems": False},
        {"allOf": [{"type": "object", "properties": {"q": TEXT}}, {"type": "object", "required": ["q"]}]},
        {"$ref": "#/$defs/a", "$defs": {"a": OBJECT}},
        {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}},
        {"type": "object", "propertyNames": {"pattern": "^q"}},
        {"type": "number", "anyOf": [{"type": "integer"}]},
        {"definitions": {"unused": {"nonsense": 1}}, "type": "string"},
        {"enum": [1, True, "1", [1], {"a": 1}]},
        {"type": "object", "properties": {"q": TEXT}, "patternProperties": {"^x": TEXT}},
        {"type": "object", "properties": {"q": TEXT}, "patternProperties": {"^q": {}, "q$": True}},
        {"type": "string", "pattern": "^\\p{L}+$"},
        {"type": "string", "pattern": "(?<year>[0-9]{4})"},
        {"type": "integer", "anyOf": [{}, {"type": "string"}]},
        {"type": "string", "format": "date", "formatMinimum": "2026-01-01"},
        {"type": ["null", "string"], "nullable": True},
    ],
)
def test_a_schema_that_strict_mode_allows_is_accepted(schema: dict[str, Any]) -> None:
    assert is_valid_schema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nope"},
        {"type": "object", "required": ["q"]},
        {"properties": {"q": TEXT}},
        {"minLength": 3},
        {"type": "string", "minimum": 1},
        {"type": ["string", "number"]},
        {"type": "array", "items": [TEXT]},
        {"type": "array", "items": TEXT, "additionalItems": False},
        {"allOf": [{"type": "object", "required": ["q"]}, {"type": "object", "properties": {"q": TEXT}}]},
        {"type": "integer", "anyOf": [{"type": "number"}]},
        {"if": TEXT},
        {"then": TEXT},
        {"nullable": True},
        {"unknown": 1},
        {"id": "x", "type": "string"},
        {"type": "object", "dependentRequired": {"a": ["b"]}},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "string"},
        {"$ref": "#/$defs/missing"},
        {"$ref": "https://acme.example/schema"},
        {"type": "string", "pattern": "(("},
        {"type": "string", "description": "x" * MAX_LENGTH},
        {"enum": []},
        {"enum": [1, 1]},
        {"enum": [1, 1.0]},
        {"enum": [{"a": 1}, {"a": 1}]},
        {"type": "object", "properties": {"q": {"enum": ["a", "a"]}}},
        {"type": "object", "properties": {"q": TEXT}, "patternProperties": {"^q": TEXT}},
        {"type": "object", "properties": {"q": TEXT}, "patternProperties": {"^x": TEXT, "q$": {}}},
        {"type": "object", "patternProperties": {"(": TEXT}},
        {"format": "date"},
        {"type": "boolean", "format": "date"},
        {"type": "string", "formatMinimum": "2026-01-01"},
        {"type": "string", "format": "date", "formatMinimum": 1},
        {"type": "string", "nullable": 1},
        {"type": "null", "nullable": False},
        {"type": "integer", "anyOf": [{"type": "string"}]},
        {"anyOf": [{"nonsense": 1}, {}]},
    ],
)
def test_a_schema_that_strict_mode_refuses_is_refused(schema: dict[str, Any]) -> None:
    assert not is_valid_schema(schema)


@pytest.mark.parametrize(
    ("schema", "value", "found"),
    [
        (OBJECT, {"q": "x"}, []),
        (OBJECT, {"q": 1}, [("/q", "must be string")]),
        (OBJECT, {}, [("/", "must have required property 'q'")]),
        (
            {**OBJECT, "additionalProperties": False},
            {"q": 1, "z": 1},
            [("/", "must NOT have additional properties")],
        ),
        ({"type": "string", "nullable": True}, None, []),
        ({"type": "string", "minLength": 2}, "a", [("/", "must NOT have fewer than 2 characters")]),
        ({"type": "number", "exclusiveMaximum": 1}, 1, [("/", "must be < 1")]),
        ({"enum": ["a"]}, "b", [("/", "must be equal to one of the allowed values")]),
        (
            {"anyOf": [TEXT, {"type": "number"}]},
            [],
            [("/", "must be string"), ("/", "must be number"), ("/", "must match a schema in anyOf")],
        ),
        (
            {"type": "array", "uniqueItems": True},
            [2, 1, 1],
            [("/", "must NOT have duplicate items (items ## 1 and 2 are identical)")],
        ),
        (
            {"type": "object", "properties": {"a/b": {"type": "array", "items": TEXT}}},
            {"a/b": ["x", 1]},
            [("/a~1b/1", "must be string")],
        ),
        ({"type": "string", "pattern": "^\\p{L}+$"}, "Noël", []),
        ({"type": "string", "pattern": "^\\p{L}+$"}, "1", [("/", 'must match pattern "^\\p{L}+$"')]),
        (
            {"type": "object", "patternProperties": {"^\\p{L}$": TEXT}, "additionalProperties": False},
            {"é": "x"},
            [],
        ),
        (
            {"type": "object", "patternProperties": {"^\\p{L}$": TEXT}, "additionalProperties": TEXT},
            {"é": 1, "1": "x"},
            [("/é", "must be string")],
        ),
        (
            {"type": "object", "patternProperties": {"^x": TEXT}, "additionalProperties": False},
            {"y": "x"},
            [("/", "must NOT have additional properties")],
        ),
        (
            {"type": "object", "dependencies": {"q": ["z"]}},
            {"q": 1},
            [("/", "must have property z when property q is present")],
        ),
    ],
)
def test_the_first_error_is_worded_as_the_server_does(
    schema: dict[str, Any], value: Any, found: list[tuple[str, str]]
) -> None:
    assert [(error.path, error.message) for error in errors_of(schema, value)] == found


def test_a_schema_without_end_is_an_error_of_the_value() -> None:
    (error,) = errors_of({"$ref": "#"}, {"a": 1})
    assert error.keyword == "$ref"
