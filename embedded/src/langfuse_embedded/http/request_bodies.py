"""What a request body says, read as the server's framework reads it before any route does."""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import Any
from urllib.parse import parse_qsl

from langfuse_embedded.lenient_json import loads

_JSON = ("application/json", "application/ld+json")
_FORM = "application/x-www-form-urlencoded"


def parse_body(body: bytes, content_type: str) -> Any:
    """Return the document of a JSON body, the fields of a form, and the text of everything else.

    An empty JSON body is an empty object. JSON without its content type is a text, which fits the shape of no
    route: a client that forgets the header is refused here as it is by the server.

    Raises:
        ValueError: the type is JSON and the body is not.
    """
    body = body.removeprefix(BOM_UTF8)
    kind = content_type.partition(";")[0].strip().lower()
    if kind in _JSON:
        return loads(body) if body else {}
    text = body.decode("utf-8", "replace")
    return dict(parse_qsl(text, keep_blank_values=True)) if kind == _FORM else text
