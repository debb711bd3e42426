"""Write JSON answers as JavaScript does, whatever is in them: no stored value may make an answer fail."""

from __future__ import annotations

import re
from typing import Any

import orjson

from langfuse_embedded.lenient_json import without_surrogates

from .values import MAX_DEPTH, as_double, number_text

# A text, or a number that JavaScript writes in another way (the group), after what stands before a number.
_TEXT_OR_NUMBER = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|(?<=[:,\[])(-?\d++(?:\.0(?=[,}\]])|(?:\.\d++)?e[+-]?\d++))', re.DOTALL
)
_WHOLE = re.compile(rb"\.0[,}\]]")


def dumps(data: Any) -> bytes:
    """Return the JSON text of an answer, in UTF-8.

    Whole numbers have no decimals. Numbers beyond 64 bits are those of a double. NaN, infinity, and lists and
    objects deeper than `MAX_DEPTH` are null; lone surrogates are U+FFFD.
    """
    try:
        body = orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        body = orjson.dumps(_writable(without_surrogates(data), 0), option=orjson.OPT_NON_STR_KEYS)
        return _with_numbers_of_javascript(b"[" + body + b"]")[1:-1]
    # Few answers have such a number. One search by a pattern takes a third of three for texts.
    if _WHOLE.search(body):
        return _with_numbers_of_javascript(body)
    return body


def _with_numbers_of_javascript(body: bytes) -> bytes:
    """Return a list or an object with its numbers written anew; what looks like one in a text stays."""
    return _TEXT_OR_NUMBER.sub(_written, body)


def _written(found: re.Match[bytes]) -> bytes:
    number = found[1]
    if number is None:
        return found[0]
    if number.endswith(b".0") and number != b"-0.0":
        return number[:-2]
    return number_text(float(number)).encode()


def _writable(value: Any, depth: int) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -(2**63) <= value < 2**64 else as_double(value)
    if isinstance(value, list | tuple):
        return [_writable(item, depth + 1) for item in value] if depth < MAX_DEPTH else None
    if isinstance(value, dict):
        if depth >= MAX_DEPTH:
            return None
        return {key: _writable(item, depth + 1) for key, item in value.items()}
    return value
