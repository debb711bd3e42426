"""Shapes of queries and bodies, with exactly the issues that the server reports.

The server validates with zod 4, and clients see its issues: their paths and messages are part of the
contract (`{"path": ["name"], "message": "Invalid input: expected string, received undefined"}`). The rules
that decide which issues appear together are zod's: a wrong type ends a field, several failed checks are all
reported, and a union with one branch that only failed checks reports that branch alone.
"""

from __future__ import annotations

from langfuse_embedded.javascript.values import WHITESPACE as JS_WHITESPACE

from .any_json import json_value
from .base import MISSING, Anything, Issues, Missing, Path, Schema, Unchanged
from .structures import Array, Both, Object, Record, Tagged, Union
from .values import (
    Boolean,
    CoercedDate,
    Datetime,
    Enum,
    Literal,
    Null,
    Number,
    String,
    Undefined,
    to_number,
)

__all__ = [
    "JS_WHITESPACE",
    "MISSING",
    "Anything",
    "Array",
    "Boolean",
    "Both",
    "CoercedDate",
    "Datetime",
    "Enum",
    "Issues",
    "Literal",
    "Missing",
    "Null",
    "Number",
    "Object",
    "Path",
    "Record",
    "Schema",
    "String",
    "Tagged",
    "Unchanged",
    "Undefined",
    "Union",
    "json_value",
    "to_number",
]
