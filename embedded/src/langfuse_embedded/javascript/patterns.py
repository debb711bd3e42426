"""Regular expressions as JavaScript reads them, as far as a library for Python does the same."""

from __future__ import annotations

import re
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


_MOST_REPETITIONS = 25
# What is one unit of a pattern: a character, an escaped one, a class.
_UNIT = r"\\.|\[\^?(?:\\.|[^\]\\])*\]"
_PARTS = r"(?P<open>\()|(?P<close>\))|(?P<times>[*+?]|\{\d+(?:,\d*)?\})\??|" + _UNIT + "|."


def is_safe(pattern: str) -> bool:
    """Tell whether no repetition is inside of another, and there are at most 25, as `safe-regex2` asks.

    It cannot read what looks back, and calls it unsafe.
    """
    if "(?<=" in pattern or "(?<!" in pattern:
        return False
    repetitions = 0
    # Of each group that is open, and of the pattern: whether something is repeated in it.
    groups = [False]
    closed = False
    for part in re.finditer(_PARTS, pattern, re.DOTALL):
        kind = part.lastgroup
        was_closed, closed = closed, False
        if kind == "open":
            groups.append(False)
            # `(?:`, `(?=` and `(?<name>` begin with a sign that repeats nothing.
        elif kind == "close" and len(groups) > 1:
            inner = groups.pop()
            closed = inner
            groups[-1] = groups[-1] or inner
        elif kind == "times" and not _opens(pattern, part.start()):
            repetitions += 1
            # It does not look into a group that is repeated as seldom as possible.
            is_lazy = part.group().endswith("?") and len(part.group()) > 1
            if (was_closed and not is_lazy) or repetitions > _MOST_REPETITIONS:
                return False
            groups[-1] = True
    return True


def _opens(pattern: str, place: int) -> bool:
    return pattern[place - 1 : place] == "(" and pattern[place - 2 : place - 1] != "\\"
