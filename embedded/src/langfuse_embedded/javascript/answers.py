"""Write JSON answers as JavaScript does, whatever is in them: no stored value may make an answer fail."""

from __future__ import annotations

import re
from typing import Any

import orjson

from langfuse_embedded.lenient_json import without_surrogates

from .values import MAX_DEPTH, as_double, number_text

_WHOLE_FLOATS = (b".0,", b".0}", b".0]")
# A text, to be passed over, or a number that JavaScript writes in another way.
_TEXT_OR_NUMBER = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?e[+-]?\d+|-?\d+\.0(?=[,}\]]|\Z)', re.DOTALL)


def dumps(data: Any) -> bytes:
    """Return the JSON text of an answer, in UTF-8.

    Whole numbers have no decimals. Numbers beyond 64 bits are those of a double, what is no number is null,
    lone surrogates are U+FFFD, and lists and objects deeper than `MAX_DEPTH` are null.
    """
    odd = False
    try:
        body = orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        odd = True
        body = orjson.dumps(_writable(without_surrogates(data), 0), option=orjson.OPT_NON_STR_KEYS)
    # Few answers have such a number, and to look for one is cheap.
    if odd or any(part in body for part in _WHOLE_FLOATS):
        return _TEXT_OR_NUMBER.sub(_as_javascript, body)
    return body


def _as_javascript(match: re.Match[bytes]) -> bytes:
    found = match[0]
    return found if found.startswith(b'"') else number_text(float(found)).encode()


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
