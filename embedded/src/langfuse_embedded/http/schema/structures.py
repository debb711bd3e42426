"""Shapes made of shapes: lists, objects, unions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .base import MISSING, Issues, Length, Missing, Path, Schema, check_length, type_name, wrong_type


class Array(Schema):
    """A list of one shape, with optional limits on its length."""

    def __init__(
        self,
        item: Schema,
        min: int | None = None,  # noqa: A002  zod's own name
        max: int | None = None,  # noqa: A002
        *,
        min_message: str | None = None,
        max_message: str | None = None,
    ) -> None:
        self.item = item
        is_limited = min is not None or max is not None
        self.length = Length(min, max, min_message, max_message) if is_limited else None

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        result = value
        if isinstance(value, list):
            result = [self.item.parse_at(entry, (*path, index), issues) for index, entry in enumerate(value)]
        else:
            wrong_type("array", value, path, issues)
        if self.length is not None:
            check_length(value, path, issues, self.length)
        return result


class Record(Schema):
    """An object with any keys and values of one shape."""

    def __init__(self, value: Schema) -> None:
        self.value = value

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        if not isinstance(value, dict):
            wrong_type("record", value, path, issues)
            return value
        return {key: self.value.parse_at(entry, (*path, key), issues) for key, entry in value.items()}


class Object(Schema):
    """An object with known keys. Others are dropped, kept (`loose`) or refused (`strict`)."""

    def __init__(self, shape: Mapping[str, Schema], *, strict: bool = False, loose: bool = False) -> None:
        self.shape, self.strict, self.loose = dict(shape), strict, loose
        # Passed over when they are left out: most parameters of most requests.
        self._may_be_left_out = frozenset(key for key, one in shape.items() if one.stays_absent)

    def extend(self, shape: Mapping[str, Schema]) -> Object:
        """Return this shape with further keys."""
        return Object({**self.shape, **shape}, strict=self.strict, loose=self.loose)

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        if not isinstance(value, dict):
            wrong_type("object", value, path, issues)
            return value
        result: dict[str, Any] = {}
        for key, schema in self.shape.items():
            given = value.get(key, MISSING)
            if given is MISSING and key in self._may_be_left_out:
                continue
            parsed = schema.parse_at(given, (*path, key), issues)
            if parsed is not MISSING:
                result[key] = parsed
        unknown = [key for key in value if key not in self.shape]
        if unknown and self.strict:
            shown = ", ".join(f'"{key}"' for key in unknown)
            plural = "keys" if len(unknown) > 1 else "key"
            issues.stop(path, f"Unrecognized {plural}: {shown}", code="unrecognized_keys", keys=unknown)
        elif self.loose:
            result.update((key, value[key]) for key in unknown)
        return result


class Union(Schema):
    """The first shape that fits."""

    def __init__(self, *options: Schema, message: str = "Invalid input") -> None:
        self.options, self.message = options, message
        self.optional_key = any(option.optional_key for option in options)

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        attempts = []
        for option in self.options:
            local = Issues()
            result = option.parse_at(value, (), local)
            if not local.found:
                return result
            attempts.append((local, result))
        usable = [(local, result) for local, result in attempts if not local.aborted]
        if len(usable) == 1:
            local, result = usable[0]
            for issue in local.found:
                issues.found.append({**issue, "path": [*path, *issue["path"]]})
            return result
        issues.stop(path, self.message, code="invalid_union", errors=[local.found for local, _ in attempts])
        return value


class Tagged(Schema):
    """A union whose branch is named by one key (zod: discriminated union)."""

    def __init__(self, key: str, branches: Mapping[str | Missing, Schema]) -> None:
        self.key, self.branches = key, branches

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        if not isinstance(value, dict):
            issues.stop(
                path,
                f"Invalid input: expected object, received {type_name(value)}",
                code="invalid_type",
                expected="object",
            )
            return value
        tag = value.get(self.key, MISSING)
        branch = self.branches.get(tag) if isinstance(tag, str | Missing) else None
        if branch is None:
            issues.stop(
                (*path, self.key),
                "Invalid input",
                code="invalid_union",
                errors=[],
                note="No matching discriminator",
                discriminator=self.key,
            )
            return value
        return branch.parse_at(value, path, issues)


class Both(Schema):
    """Two object shapes that must both fit; the keys of both are in the result (zod: intersection)."""

    def __init__(self, left: Schema, right: Schema) -> None:
        self.left, self.right = left, right

    def parse_at(self, value: Any, path: Path, issues: Issues) -> Any:
        left = self.left.parse_at(value, path, issues)
        right = self.right.parse_at(value, path, issues)
        if isinstance(left, dict) and isinstance(right, dict):
            return {**left, **right}
        return right
