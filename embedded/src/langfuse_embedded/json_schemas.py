"""JSON Schemas of datasets: which ones are accepted, and what is said of a value that does not fit.

The server compiles schemas with Ajv in strict mode (draft 7). What that refuses, such as a required property
that is not declared or a keyword that does not belong to the type, is refused here, and values that do not
fit are described in Ajv's words. https://ajv.js.org/strict-mode.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from jsonschema import Draft7Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend

MAX_LENGTH = 10_000
"""Largest schema, in characters of its JSON text."""

_DRAFTS = ("http://json-schema.org/draft-07/schema", "http://json-schema.org/draft-07/schema#")
_TYPED = {
    "number": ("multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"),
    "string": ("maxLength", "minLength", "pattern"),
    "array": ("items", "additionalItems", "maxItems", "minItems", "uniqueItems", "contains"),
    "object": (
        "maxProperties",
        "minProperties",
        "required",
        "properties",
        "patternProperties",
        "additionalProperties",
        "dependencies",
        "propertyNames",
    ),
}
_TYPE_OF_KEYWORD = {keyword: kind for kind, keywords in _TYPED.items() for keyword in keywords}
# fmt: off
_ANNOTATIONS = (
    "$id", "$schema", "$comment", "$defs", "$vocabulary", "definitions", "title", "description", "default",
    "deprecated", "readOnly", "writeOnly", "examples", "contentMediaType", "contentEncoding", "contentSchema",
    "nullable", "format",
)
_UNTYPED = ("$ref", "type", "enum", "const", "not", "anyOf", "oneOf", "allOf", "if", "then", "else")
_KNOWN = {*_ANNOTATIONS, *_UNTYPED, *_TYPE_OF_KEYWORD}
# The order in which Ajv looks at keywords: it reports the first that fails.
_ORDER = {
    keyword: place
    for place, keyword in enumerate((
        "type", "maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf",
        "maxLength", "minLength", "pattern",
        "const", "enum", "not", "anyOf", "oneOf", "allOf", "if",
        "maxItems", "minItems", "uniqueItems", "additionalItems", "items", "contains",
        "maxProperties", "minProperties", "required", "propertyNames", "additionalProperties", "dependencies",
        "properties", "patternProperties",
    ))
}
# fmt: on


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with a value: where (a JSON pointer, `/` for the whole), what, by which keyword."""

    path: str
    message: str
    keyword: str


def is_valid_schema(schema: Any) -> bool:
    """Return whether the server would accept a schema for a dataset."""
    try:
        if len(json.dumps(schema, ensure_ascii=False, separators=(",", ":"))) > MAX_LENGTH:
            return False
        if schema.get("$schema", _DRAFTS[0]) not in _DRAFTS:
            return False
        Draft7Validator.check_schema(schema)
        _Strict(schema).check(schema, (), set())
    except (SchemaError, _Refused, RecursionError):
        return False
    return True


def errors_of(schema: dict[str, Any], value: Any) -> list[FieldError]:
    """Return what Ajv reports for a value: the first failure, with those of its branches before it."""
    try:
        return _described(_first(_Validator(schema).iter_errors(value)))
    except RecursionError:
        return [FieldError("/", "schema refers to itself without end", "$ref")]


def _first(errors: Iterable[ValidationError]) -> ValidationError | None:
    return min(errors, key=_place, default=None)


def _described(error: ValidationError | None) -> list[FieldError]:
    if error is None:
        return []
    keyword = str(error.validator)
    inner: list[FieldError] = []
    if keyword in ("anyOf", "oneOf", "contains"):
        for branch in dict.fromkeys(part.schema_path[0] for part in error.context or ()):
            inner += _described(_first(part for part in error.context or () if part.schema_path[0] == branch))
    pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.absolute_path)
    if keyword == "None":
        return [FieldError(pointer or "/", "boolean schema is false", "false schema")]
    return [*inner, FieldError(pointer or "/", _message(error), keyword)]


def _place(error: ValidationError) -> tuple[int, ...]:
    # Compared from the outermost keyword in: an error inside a property belongs to `properties`.
    return tuple(_ORDER.get(part, len(_ORDER)) for part in error.absolute_schema_path if part in _ORDER)


def _type_or_null(
    validator: Any, types: Any, instance: Any, schema: dict[str, Any]
) -> Iterator[ValidationError]:
    if not (instance is None and schema.get("nullable") is True):
        yield from Draft7Validator.VALIDATORS["type"](validator, types, instance, schema) or ()


# `nullable` is OpenAPI's, and Ajv knows it.
_Validator: type[Any] = extend(Draft7Validator, {"type": _type_or_null})  # type: ignore[no-untyped-call]


_WORDED = {
    "minLength": "NOT have fewer than {0} characters",
    "maxLength": "NOT have more than {0} characters",
    "minItems": "NOT have fewer than {0} items",
    "maxItems": "NOT have more than {0} items",
    "minProperties": "NOT have fewer than {0} properties",
    "maxProperties": "NOT have more than {0} properties",
    "minimum": "be >= {0}",
    "maximum": "be <= {0}",
    "exclusiveMinimum": "be > {0}",
    "exclusiveMaximum": "be < {0}",
    "multipleOf": "be multiple of {0}",
    "pattern": 'match pattern "{0}"',
    "enum": "be equal to one of the allowed values",
    "const": "be equal to constant",
    "not": "NOT be valid",
    "anyOf": "match a schema in anyOf",
    "oneOf": "match exactly one schema in oneOf",
    "additionalProperties": "NOT have additional properties",
    "contains": "contain at least 1 valid item(s)",
}


def _message(error: ValidationError) -> str:
    keyword = str(error.validator)
    wanted: Any = error.validator_value
    value: Any = error.instance
    if keyword == "type":
        kinds = wanted if isinstance(wanted, list) else [wanted]
        return f"must be {','.join(kinds)}"
    if keyword == "required":
        missing = next(name for name in wanted if name not in value)
        return f"must have required property '{missing}'"
    if keyword in _WORDED:
        return f"must {_WORDED[keyword].format(wanted)}"
    if keyword == "uniqueItems":
        return _duplicates(value)
    if keyword == "dependencies":
        name, missing = next(
            (name, needed)
            for name, all_needed in wanted.items()
            if name in value and isinstance(all_needed, list)
            for needed in all_needed
            if needed not in value
        )
        return f"must have property {missing} when property {name} is present"
    if keyword == "additionalItems":
        return f"must NOT have more than {len(cast('Any', error.schema)['items'])} items"
    return f'must pass "{keyword}" keyword validation'


def _duplicates(items: Any) -> str:
    # Ajv compares from the end and names the earlier item first.
    for later in range(len(items) - 1, 0, -1):
        for earlier in range(later - 1, -1, -1):
            if items[later] == items[earlier]:
                return f"must NOT have duplicate items (items ## {earlier} and {later} are identical)"
    return "must NOT have duplicate items"


class _Refused(Exception):
    """Strict mode refuses the schema; the text says why."""


class _Strict:
    """Walks a schema as Ajv compiles it. `types` are those that the context allows; empty means any."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._visited: set[int] = set()

    def check(self, schema: Any, types: tuple[str, ...], declared: set[str]) -> None:
        """Refuse what strict mode refuses. `declared` collects the properties declared for the same value.

        Raises:
            _Refused: with the reason.
        """
        if isinstance(schema, bool):
            return
        if unknown := schema.keys() - _KNOWN:
            raise _Refused(f"unknown keyword {min(unknown)}")
        if "$ref" in schema:
            self._check_reference(schema["$ref"])
        types = self._check_types(schema, types)
        if ("if" in schema) != bool(schema.keys() & {"then", "else"}):
            raise _Refused("if without then and else, or the other way round")
        for part in self._same_value(schema):
            self.check(part, types, declared)
        self._check_array(schema)
        self._check_object(schema, declared)
        for part in _other_values(schema):
            self.check(part, (), set())
        if "propertyNames" in schema:
            self.check(schema["propertyNames"], ("string",), set())

    def _check_types(self, schema: dict[str, Any], context: tuple[str, ...]) -> tuple[str, ...]:
        given = schema.get("type", [])
        types = [given] if isinstance(given, str) else list(given)
        if "nullable" in schema:
            if not types:
                raise _Refused('"nullable" cannot be used without "type"')
            if schema["nullable"] is True and "null" not in types:
                types.append("null")
        if len(types) > 2 or (len(types) == 2 and "null" not in types):
            raise _Refused("union type")
        for kind in types:
            if context and kind not in context and not (kind == "integer" and "number" in context):
                raise _Refused(f'type "{kind}" not allowed by context')
        allowed = tuple(types) or context
        for keyword in schema.keys() & _TYPE_OF_KEYWORD.keys():
            kind = _TYPE_OF_KEYWORD[keyword]
            if kind not in allowed and not (kind == "number" and "integer" in allowed):
                raise _Refused(f'missing type "{kind}" for keyword "{keyword}"')
        return allowed

    def _check_reference(self, reference: str) -> None:
        target: Any = self._root
        if not reference.startswith("#"):
            raise _Refused(f"can't resolve reference {reference}")
        for escaped in filter(None, reference[1:].split("/")):
            part = escaped.replace("~1", "/").replace("~0", "~")
            if isinstance(target, list) and part.isdecimal() and int(part) < len(target):
                target = target[int(part)]
            elif isinstance(target, dict) and part in target:
                target = target[part]
            else:
                raise _Refused(f"can't resolve reference {reference}")
        if not isinstance(target, dict | bool):
            raise _Refused(f"{reference} is no schema")
        if id(target) not in self._visited:
            self._visited.add(id(target))
            self.check(target, (), set())

    def _same_value(self, schema: dict[str, Any]) -> Iterator[Any]:
        for keyword in ("not", "if", "then", "else"):
            if keyword in schema:
                yield schema[keyword]
        for keyword in ("anyOf", "oneOf", "allOf"):
            yield from schema.get(keyword, ())

    def _check_array(self, schema: dict[str, Any]) -> None:
        items = schema.get("items")
        if isinstance(items, list):
            count = len(items)
            full = schema.get("minItems") == count and (
                schema.get("maxItems") == count or schema.get("additionalItems") is False
            )
            if not full:
                raise _Refused('"items" is a tuple, but minItems or maxItems/additionalItems are not as long')
        elif "additionalItems" in schema:
            raise _Refused('"additionalItems" is ignored when "items" is not an array of schemas')

    def _check_object(self, schema: dict[str, Any], declared: set[str]) -> None:
        # Ajv looks at `required` before it notes the properties beside it, but knows those.
        for name in schema.get("required", ()):
            if name not in schema.get("properties", {}) and name not in declared:
                raise _Refused(f'required property "{name}" is not defined')
        declared.update(schema.get("properties", {}))


def _other_values(schema: dict[str, Any]) -> Iterator[Any]:
    for keyword in ("properties", "patternProperties"):
        yield from schema.get(keyword, {}).values()
    yield from (part for part in schema.get("dependencies", {}).values() if not isinstance(part, list))
    for keyword in ("additionalProperties", "additionalItems", "contains"):
        if keyword in schema:
            yield schema[keyword]
    items = schema.get("items")
    if items is not None:
        yield from items if isinstance(items, list) else [items]
