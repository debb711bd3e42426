"""Write JSON answers as JavaScript does, whatever is in them: no stored value may make an answer fail."""

from __future__ import annotations

import re
from typing import Any

import orjson

from langfuse_embedded.lenient_json import without_surrogates

from .values import MAX_DEPTH, as_double, number_text

# Whole floats, as orjson writes them.
_WHOLE_FLOAT = re.compile(rb"\.0(?=[,}\]])")
# A number that JavaScript writes in another way, after what stands before a number.
_NUMBER = re.compile(rb"[:,\[](-?\d++(?:\.0(?=[,}\]])|(?:\.\d++)?e[+-]?\d++))")
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_WHOLE_TEXTS = re.compile(rb'(?:[^"]++|' + _TEXT.pattern + rb")*+", re.DOTALL)


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
    # Few answers have such a number, and to look for one is cheap.
    if b".0" in body and _WHOLE_FLOAT.search(body):
        return _with_numbers_of_javascript(body)
    return body


def _with_numbers_of_javascript(body: bytes) -> bytes:
    """Return a list or an object with its numbers written anew; what looks like one in a text stays."""
    parts: list[bytes] = []
    copied = 0
    outside = place = 0
    while match := _NUMBER.search(body, place):
        begin, end = match.span(1)
        outside = _end_of_texts(body, outside, begin)
        if outside == begin:
            parts += body[copied:begin], number_text(float(match[1])).encode()
            copied = outside = place = end
        elif text := _TEXT.match(body, outside):
            outside = place = text.end()
    return b"".join([*parts, body[copied:]])


def _end_of_texts(body: bytes, begin: int, end: int) -> int:
    """Return `end` if it is in no text, else where the text begins; `begin` is in none."""
    whole = _WHOLE_TEXTS.match(body, begin, end)
    return whole.end() if whole else begin


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
