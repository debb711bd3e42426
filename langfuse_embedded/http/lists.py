"""A query parameter that lists values, separated by commas."""

from __future__ import annotations

from typing import Any

from .schema import Array, Issues, Path, Schema, String


class CommaSeparated(Schema):
    """Text such as `a,b`, parsed to the list of its values; issues carry the place of the value.

    A parameter that is repeated (`?name=a&name=b`) counts as one list. With `upper`, values are put in upper
    case first.
    """

    def __init__(self, item: Schema, *, upper: bool = False) -> None:
        self.items, self.upper = Array(item), upper

    def run(self, value: Any, path: Path, issues: Issues) -> Any:
        texts = value if isinstance(value, list) else [value]
        local = Issues()
        parts = [part.strip() for text in texts for part in str(String().run(text, path, local)).split(",")]
        if local.found:
            issues.found.extend(local.found)
            issues.aborted = True
            return value
        return self.items.run([part.upper() if self.upper else part for part in parts if part], path, issues)
