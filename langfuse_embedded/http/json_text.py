"""A query parameter that carries JSON."""

from __future__ import annotations

from typing import Any

import orjson

from .errors import InvalidRequest
from .schema import MISSING, Issues, Path, Schema, String


class JsonText(Schema):
    """Text that is JSON of one shape, such as `?filter=[…]`; `name` is what the error message calls it."""

    def __init__(self, inner: Schema, name: str, *, empty_is_absent: bool = False) -> None:
        self.inner, self.name, self.empty_is_absent = inner, name, empty_is_absent

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        local = Issues()
        text = String().run(value, path, local)
        if local.found:
            issues.found.extend(local.found)
            issues.aborted = True
            return value
        if not text and self.empty_is_absent:
            return MISSING
        try:
            document = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise InvalidRequest(f"Invalid JSON in {self.name} parameter") from None
        return self.inner.run(document, path, issues)
