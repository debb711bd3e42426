"""Regular expressions as JavaScript reads them, as far as a library for Python does the same."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import regex


class InvalidPattern(ValueError):
    """It is not a regular expression in JavaScript."""


@lru_cache(maxsize=1024)
def javascript_pattern(pattern: str) -> regex.Pattern[str]:
    r"""Return a compiled pattern. Unlike Python's own library it knows `\p{L}` and `(?<name>...)`.

    Searching with it may take long: leave that to a process with limits.

    Raises:
        InvalidPattern: it is not one.
    """
    # Loaded for the first pattern: 10 ms that others need not pay.
    import regex

    try:
        return regex.compile(pattern)
    except (regex.error, OverflowError, RecursionError) as error:
        raise InvalidPattern(str(error)) from error
