"""Shapes of names that several resources share."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .schema import JS_WHITESPACE, Schema, String

MAX_LENGTH = 1_000
"""Characters of a name. It has to fit into an address: what does not can never be read again.

The server has no limit of its own; its database refuses an index entry above 2,704 bytes with a 500.
"""

_HTML_TAG = re.compile(r"<[^<>]*>")


def has_no_html(text: str) -> bool:
    """Return whether a text is free of anything that looks like an HTML tag."""
    return not _HTML_TAG.search(text)


def folder_name(patterns: Sequence[tuple[str, str]] = ()) -> Schema:
    """Return the shape of a name with slashes for folders, trimmed; `patterns` are checked first."""
    return (
        String(
            min=1,
            max=MAX_LENGTH,
            min_message="Text cannot be empty",
            patterns=(
                *patterns,
                (r"^[^/]", "Name cannot start with a slash"),
                (r"^(?!.*\/\/)", "Name cannot contain consecutive slashes"),
                (r"^.*[^/]$", "Name cannot end with a slash"),
            ),
        )
        .refine(has_no_html, "Text cannot contain HTML tags")
        .transform(lambda name: name.strip(JS_WHITESPACE))
        .refine(bool, "Name cannot be empty")
    )


FOLDER_NAME = folder_name()
