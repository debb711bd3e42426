"""The shape of any JSON value, where a key must have one."""

from __future__ import annotations

from .base import Anything, Schema
from .structures import Array, Record, Union
from .values import Boolean, Number, String


def json_value() -> Schema:
    """Return the shape of any JSON but null, with the issues of the server's `jsonSchema`."""
    return Union(Array(Anything()), Record(Anything()), Union(String(), Number(), Boolean()))
