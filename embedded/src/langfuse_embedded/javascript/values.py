"""Values as the reference server sees them: JavaScript's truth, texts, numbers and JSON.

The server's mapper is written in JavaScript, and what it stores shows it: `3.0` becomes `3`, an empty list is
true, `1e16` is written with all its digits, keys that look like array indices come first. These functions say
it once. None of them raises, whatever value JSON or protobuf can bring.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import orjson

from langfuse_embedded.lenient_json import loads_leniently

MAX_DEPTH = 200
"""Deeper values are cut: the JSON writer stops at 254 levels and Python's own stack soon after."""

WHITESPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What JavaScript's `trim` removes, and what its numbers may stand between."""

_EXACT = 2**53
_MAX_INDEX = 2**32 - 1


class InvalidJson(ValueError):
    """A text is not a JSON document."""


def truthy(value: object) -> bool:
    """Tell whether JavaScript takes a value for true: unlike in Python, empty lists and objects are."""
    return bool(value) or isinstance(value, (list, dict))


def first_truthy(values: dict[str, Any], keys: Iterable[str]) -> Any:
    """Return the first true value among `keys`, or ``None``."""
    for key in keys:
        value = values.get(key)
        if value or (value is not None and isinstance(value, (list, dict))):
            return value
    return None


def first_present(values: dict[str, Any], keys: Iterable[str]) -> Any:
    """Return the first value among `keys` that is not null, or ``None``."""
    for key in keys:
        value = values.get(key)
        if value is not None:
            return value
    return None


def as_double(value: int) -> float:
    """Return an integer as the double that JavaScript makes of it."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def whole(value: float) -> float:
    """Return a whole number as an integer, which JSON writes without decimals; any other as it is."""
    return int(value) if value.is_integer() and abs(value) <= _EXACT else value


def number_text(value: float) -> str:
    """Return a number as JavaScript writes it: shortest digits, exponent only below 1e-6 and from 1e21 on."""
    if isinstance(value, int):
        if -_EXACT <= value <= _EXACT:
            return str(value)
        value = as_double(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    if 1e-6 <= abs(value) < 1e21:
        text = format(Decimal(repr(value)), "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, _, exponent = repr(value).partition("e")
    sign = exponent[0] if exponent[0] in "+-" else "+"
    return f"{mantissa.removesuffix('.0')}e{sign}{exponent.lstrip('+-').lstrip('0')}"


def string(value: object, depth: int = 0) -> str:
    """Return what `String(value)` gives; lists nested deeper than `MAX_DEPTH` say nothing."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_text(value)
    if isinstance(value, list):
        items = value if depth < MAX_DEPTH else []
        return ",".join("" if item is None else string(item, depth + 1) for item in items)
    return "[object Object]"


def number(value: object) -> float | None:
    """Return what `Number(value)` gives; ``None`` stands for not a number."""
    if isinstance(value, int):
        return int(value) if -_EXACT <= value <= _EXACT else as_double(value)
    if value is None:
        return 0
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, list):
        return number(string(value)) if len(value) < 2 else None
    return _number_of_text(value) if isinstance(value, str) else None


def _number_of_text(text: str) -> float | None:
    text = text.strip(WHITESPACE)
    if not text:
        return 0
    if text in {"Infinity", "+Infinity", "-Infinity"}:
        return float(text)
    try:
        if text[:2].lower() in {"0x", "0o", "0b"}:
            return number(int(text, 0))
        # Python would also read `nan`, `inf`, `1_000`, and blanks that are none in JavaScript.
        if not text.isascii() or text != text.strip() or any(char in "_nN" for char in text):
            return None
        return int(text) if text.isdigit() and len(text) < 16 else float(text)
    except ValueError:
        return None


def whole_number(value: object) -> int | None:
    """Return what `parseInt(String(value), 10)` gives: the digits at the start, else ``None``."""
    text = string(value).strip(WHITESPACE)
    sign = -1 if text.startswith("-") else 1
    text = text.removeprefix("-" if sign < 0 else "+")
    end = 0
    while end < len(text) and end < 300 and "0" <= text[end] <= "9":
        end += 1
    return sign * int(text[:end]) if end else None


def is_index(key: str) -> bool:
    """Tell whether a key names an array slot; JavaScript lists such keys first, in ascending order."""
    return key.isascii() and key.isdigit() and (key[0] != "0" or key == "0") and int(key[:12]) < _MAX_INDEX


def in_key_order(values: dict[str, Any]) -> dict[str, Any]:
    """Return an object with its keys in the order in which JavaScript lists them."""
    if not any(key[:1].isdigit() and is_index(key) for key in values):
        return values
    indices = sorted((key for key in values if is_index(key)), key=int)
    return {key: values[key] for key in indices} | values


def dumps(value: Any) -> str:
    """Return a JSON text as `JSON.stringify` writes it."""
    return orjson.dumps(_plain(value, 0)).decode()


def _plain(value: Any, depth: int) -> Any:
    """Return a value that orjson writes as JavaScript would; levels beyond `MAX_DEPTH` become null."""
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -_EXACT <= value <= _EXACT else _plain_float(as_double(value))
    if isinstance(value, float):
        return _plain_float(value)
    if depth >= MAX_DEPTH:
        return None
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    return {key: _plain(item, depth + 1) for key, item in in_key_order(value).items()}


def _plain_float(value: float) -> Any:
    if not math.isfinite(value):
        return None
    if value.is_integer():
        return whole(value) if abs(value) <= _EXACT else orjson.Fragment(number_text(value))
    return value if abs(value) >= 1e-5 else orjson.Fragment(number_text(value))


def loads(value: object) -> Any:
    """Return what `JSON.parse(value)` gives; raise `InvalidJson` when it is not a document.

    Lone surrogates, which JSON texts can spell and UTF-8 cannot, become U+FFFD. A document nested deeper than
    `MAX_DEPTH` counts as no JSON: it stays the text that it is.
    """
    text = value if isinstance(value, str) else string(value)
    try:
        document = orjson.loads(text)
    except ValueError:
        document = _loads_leniently(text)
    if text.count("[") + text.count("{") > MAX_DEPTH and _too_deep(document):
        message = "nested too deeply"
        raise InvalidJson(message)
    return document


def _loads_leniently(text: str) -> Any:
    """Parse what JavaScript accepts and orjson does not: lone surrogates, and numbers beyond a double."""
    if "\\u" not in text and "\\U" not in text and not any(mark in text for mark in ("e", "E", "0" * 9)):
        message = "not a JSON document"
        raise InvalidJson(message)
    try:
        return loads_leniently(text)
    except ValueError as error:
        message = "not a JSON document"
        raise InvalidJson(message) from error


def _too_deep(document: Any) -> bool:
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for value in level
            if isinstance(value, (list, dict))
            for child in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return True


def loads_or_none(value: object) -> Any:
    """Return the document in a JSON text, lists and objects as they are, and ``None`` for anything else."""
    if isinstance(value, (list, dict)):
        return value
    if not isinstance(value, str):
        return None
    try:
        return loads(value)
    except InvalidJson:
        return None
