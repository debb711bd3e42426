"""JSON documents as they are in text columns."""

from __future__ import annotations

from typing import Any

import orjson


def dump(value: Any) -> str:
    """Return compact JSON text, as JavaScript's `JSON.stringify` writes it."""
    return orjson.dumps(value).decode()


def load(text: str) -> Any:
    """Return the value of a JSON text."""
    return orjson.loads(text)


def dump_or_none(value: Any) -> str | None:
    """Return JSON text, or ``None`` for null, which the column then keeps as SQL null."""
    return None if value is None else dump(value)


def load_or_none(text: str | None) -> Any:
    """Return the value of a JSON text, or ``None`` for SQL null."""
    return None if text is None else load(text)
