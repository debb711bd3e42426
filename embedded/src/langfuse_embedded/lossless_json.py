"""JSON without loss: a number that a double cannot hold stays text, as the server keeps it."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from langfuse_embedded.javascript.values import whole

# A double holds any number of 15 significant digits: only longer runs of digits need a second look.
_LONG_NUMBER = re.compile(r"\d[\d.]{15}")
# What JSON can begin with. Most values are words: asking first is cheaper than failing.
_FIRST = frozenset('{["-0123456789tfn \t\r\n')


def parse_lossless(text: str) -> Any:
    """Return the value of a JSON document, or `text` itself when it is none."""
    if not text or text[0] not in _FIRST:
        return text
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    if _LONG_NUMBER.search(text):
        return json.loads(text, parse_int=_number, parse_float=_number)
    return value


def _number(text: str) -> int | float | str:
    number = float(text)
    if _digits(text) != _digits(repr(number)):
        return text
    return whole(number)


def _digits(text: str) -> str:
    return re.split("[eE]", text)[0].replace("-", "").replace(".", "").strip("0")
