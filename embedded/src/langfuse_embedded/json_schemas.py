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
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from langfuse_embedded.javascript.patterns import InvalidPattern, javascript_pattern

MAX_LENGTH = 10_000
"""Largest schema, in characters of its JSON text."""

_DRAFTS = ("http://json-schema.org/draft-07/schema", "http://json-schema.org/draft-07/schema#")
_META_SCHEMA = {name: value for name, value in Draft7Validator.META_SCHEMA.items() if name != "$id"}
_META_SCHEMA["properties"] = {
    **_META_SCHEMA["properties"],
    # Draft 7 leaves these two to the reader; Ajv's own copy of it does not.
    "enum": {"type": "array", "items": True, "minItems": 1, "uniqueItems": True},
    # Whether a pattern is one is asked of JavaScript's rules.
    "pattern": {"type": "string"},
}
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
_TYPES_OF_KEYWORD: dict[str, tuple[str, ...]] = {
    keyword: (kind,) for kind, keywords in _TYPED.items() for keyword in keywords
}
_LIMITS_OF_FORMAT = ("formatMaximum", "formatMinimum", "formatExclusiveMaximum", "formatExclusiveMinimum")
_TYPES_OF_KEYWORD |= {"format": ("number", "string"), **dict.fromkeys(_LIMITS_OF_FORMAT, ("string",))}
# fmt: off
_ANNOTATIONS = (
    "$id", "$schema", "$comment", "$defs", "$vocabulary", "definitions", "title", "description", "default",
    "deprecated", "readOnly", "writeOnly", "examples", "contentMediaType", "contentEncoding", "contentSchema",
    "nullable",
)
_UNTYPED = ("$ref", "type", "enum", "const", "not", "anyOf", "oneOf", "allOf", "if", "then", "else")
_RULES = {*_UNTYPED, *_TYPES_OF_KEYWORD}
_KNOWN = {*_ANNOTATIONS, *_RULES}
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
        Draft7Validator(_META_SCHEMA).validate(schema)
        _Strict(schema).check(schema, (), set())
    except (ValidationError, _Refused, InvalidPattern, RecursionError):
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


def _pattern(validator: Any, pattern: str, instance: Any, _: dict[str, Any]) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not javascript_pattern(pattern).search(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, by_pattern: dict[str, Any], instance: Any, _: dict[str, Any]
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    for pattern, part in by_pattern.items():
        for name, value in instance.items():
            if javascript_pattern(pattern).search(name):
                yield from validator.descend(value, part, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, allowed: Any, instance: Any, schema: dict[str, Any]
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    patterns = [javascript_pattern(pattern) for pattern in schema.get("patternProperties", ())]
    for name, value in instance.items():
        if name in schema.get("properties", ()) or any(one.search(name) for one in patterns):
            continue
        if validator.is_type(allowed, "object"):
            yield from validator.descend(value, allowed, path=name)
        elif allowed is False:
            yield ValidationError(f"{name!r} is not allowed")


# `nullable` is OpenAPI's, and Ajv knows it.
_Validator: type[Any] = extend(  # type: ignore[no-untyped-call]
    Draft7Validator,
    {
        "type": _type_or_null,
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
    },
)


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
        _check_keywords(schema)
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
            self._check_nullable(schema["nullable"], types)
            if schema["nullable"] and "null" not in types:
                types.append("null")
        if len(types) > 2 or (len(types) == 2 and "null" not in types):
            raise _Refused("union type")
        for kind in types:
            if context and kind not in context and not (kind == "integer" and "number" in context):
                raise _Refused(f'type "{kind}" not allowed by context')
        allowed = tuple(types) or context
        numbers = ("number",) if "integer" in allowed else ()
        for keyword in schema.keys() & _TYPES_OF_KEYWORD.keys():
            kinds = _TYPES_OF_KEYWORD[keyword]
            if not {*allowed, *numbers}.intersection(kinds):
                raise _Refused(f'missing type "{",".join(kinds)}" for keyword "{keyword}"')
        return allowed

    def _check_nullable(self, nullable: Any, types: list[str]) -> None:
        if not isinstance(nullable, bool):
            raise _Refused("nullable value must be boolean")
        if not types:
            raise _Refused('"nullable" cannot be used without "type"')
        if not nullable and "null" in types:
            raise _Refused('"null" contradicts "nullable": false')

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
            raise _Refused(f"{reference} is not a schema")
        if id(target) not in self._visited:
            self._visited.add(id(target))
            self.check(target, (), set())

    def _same_value(self, schema: dict[str, Any]) -> Iterator[Any]:
        for keyword in ("not", "if", "then", "else"):
            if keyword in schema:
                yield schema[keyword]
        # Ajv looks for the first of several that accepts anything. Where there is one, it knows enough.
        several = schema.get("anyOf", ())
        for part in several:
            _check_keywords(part)
            if _accepts_anything(part):
                break
        else:
            yield from several
        for keyword in ("oneOf", "allOf"):
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
        self._check_patterns(schema)

    def _check_patterns(self, schema: dict[str, Any]) -> None:
        if "pattern" in schema:
            javascript_pattern(schema["pattern"])
        by_pattern = schema.get("patternProperties", {})
        if all(map(_accepts_anything, by_pattern.values())):
            return
        for pattern in by_pattern:
            compiled = javascript_pattern(pattern)
            for name in schema.get("properties", {}):
                if compiled.search(name):
                    raise _Refused(f"property {name} matches pattern {pattern}")


def _check_keywords(schema: dict[str, Any] | bool) -> None:
    if isinstance(schema, bool):
        return
    if unknown := schema.keys() - _KNOWN:
        raise _Refused(f"unknown keyword {min(unknown)}")
    for limit in schema.keys() & _LIMITS_OF_FORMAT:
        if "format" not in schema or not isinstance(schema[limit], str):
            raise _Refused(f"{limit} needs a format, and a text")


def _accepts_anything(schema: Any) -> bool:
    return schema is True or (isinstance(schema, dict) and not schema.keys() & _RULES)


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
