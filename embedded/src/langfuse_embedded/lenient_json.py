"""JSON as JavaScript reads it: what the server takes, the engine must not lose for a stricter parser."""

from __future__ import annotations

import json
from typing import Any

import orjson


def loads(document: bytes | bytearray) -> Any:
    """Return the value of a JSON document; bytes that are no UTF-8 become U+FFFD.

    Raises:
        ValueError: it is not JSON in JavaScript either, or nests too deeply.
    """
    try:
        return orjson.loads(document)
    except orjson.JSONDecodeError:
        return loads_leniently(document.decode("utf-8", "replace"))


def loads_leniently(text: str) -> Any:
    """Return the value of a JSON text that orjson has refused.

    Lone surrogates, which JSON can spell and UTF-8 cannot, become U+FFFD; a number beyond a double is
    infinite.

    Raises:
        ValueError: it is not JSON in JavaScript either, or nests too deeply.
    """
    try:
        return without_surrogates(json.loads(text, parse_constant=_refuse, parse_int=_integer))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def without_surrogates(value: Any) -> Any:
    """Return a value whose texts can be written as UTF-8: lone surrogates become U+FFFD."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return value
    if isinstance(value, list):
        return [without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
    return value


def _integer(text: str) -> int | float:
    # As orjson: what 64 bits cannot hold is a float.
    return int(text) if len(text) < 19 else float(text)


def _refuse(name: str) -> None:
    """Refuse `NaN` and `Infinity`, which Python's parser takes and JSON does not have."""
    raise ValueError(name)
