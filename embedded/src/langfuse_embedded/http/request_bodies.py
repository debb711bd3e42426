"""What a request body says, read as the server's framework reads it before any route does."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from typing import Any
from urllib.parse import parse_qsl

from langfuse_embedded.lenient_json import loads

_JSON = ("application/json", "application/ld+json")
_FORM = "application/x-www-form-urlencoded"
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# As the framework's parser: what has something else behind its type, such as a lone semicolon, is a text.
_PARAMETERS = re.compile(rf'(?:; *{_WORD} *= *(?:{_WORD}|"(?:[^"\\]|\\.)*") *)*')


def parse_body(body: bytes, content_type: str) -> Any:
    """Return the document of a JSON body, the fields of a form, and the text of everything else.

    An empty JSON body is an empty object. JSON without its content type is a text, which fits the shape of no
    route: a client that forgets the header is refused here as it is by the server.

    Raises:
        ValueError: the type is JSON and the body is not.
    """
    body = body.removeprefix(BOM_UTF8)
    name, semicolon, parameters = content_type.partition(";")
    kind = name.strip().lower() if _PARAMETERS.fullmatch(semicolon + parameters) else ""
    if kind in _JSON:
        return loads(body) if body else {}
    text = body.decode("utf-8", "replace")
    return _fields(text) if kind == _FORM else text


def _fields(text: str) -> dict[str, Any]:
    """Return the fields of a form; one that is there several times is a list."""
    fields: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        fields.setdefault(name, []).append(value)
    return {name: values if len(values) > 1 else values[0] for name, values in fields.items()}
