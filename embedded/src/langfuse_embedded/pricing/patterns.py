"""Regular expressions as PostgreSQL reads them, for Python: the server matches model names with `~`."""

from __future__ import annotations

import re
import time
from functools import lru_cache

_OPTIONS = re.compile(r"\A(?:\*\*\*:)?\(\?([a-z]+)\)")
_FLAGS = {
    "b": 0,
    "c": 0,
    "e": 0,
    "i": re.IGNORECASE,
    "m": re.MULTILINE,
    "n": re.MULTILINE,
    "p": 0,
    "q": 0,
    "s": re.DOTALL,
    "t": 0,
    "w": re.MULTILINE | re.DOTALL,
    "x": re.VERBOSE,
}
_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\s",
    "upper": "A-Z",
    "word": "\\w",
    "xdigit": "0-9a-fA-F",
}
MAX_LENGTH = 2_000
"""Characters of a pattern. The longest of the built-in models has 400; compiling takes 5 ms for these."""

_LONGEST_SEARCH_S = 0.05
"""A pattern that is not a trap needs microseconds for the name of a model."""
_LONGEST_SEARCHES_S = 1.0
"""For all searches together that took longer than `_NO_TRAP_S`."""
_NO_TRAP_S = 0.000_5
_LONGEST_TEXT = 10_000
"""Characters of a name that are looked at."""

_CLASS = re.compile(r"\[:(\w+):\]")
# Word borders and the end of the text are spelled differently.
_ESCAPES = {"m": r"\b(?=\w)", "M": r"\b(?<=\w)", "y": r"\b", "Y": r"\B", "Z": r"\Z"}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class InvalidPattern(ValueError):
    """The text is not a regular expression."""


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return a PostgreSQL pattern for use with `search`; leading options and POSIX classes work.

    Raises:
        InvalidPattern: PostgreSQL would refuse it, or Python cannot express it.
    """
    flags, body = _translated(pattern)
    try:
        return re.compile(body, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise InvalidPattern(str(error)) from error


class BoundedPattern:
    """A pattern that a user wrote: matching it takes a limited time, whatever it says.

    The time of all searches together is limited too: a trap that needs less than a single search may take
    would be sprung by each new name. A pattern that has used up its time is `spent` and never matches again.
    """

    def __init__(self, body: str, flags: int) -> None:
        """Raises: InvalidPattern."""
        if len(body) > MAX_LENGTH:
            raise InvalidPattern(f"longer than {MAX_LENGTH} characters")
        # Loaded for the first project that has a model of its own: 10 ms that others need not pay.
        import regex

        try:
            # Refuses what only the other of the two libraries knows.
            re.compile(body, flags)
            self._pattern = regex.compile(body, flags)
        except (re.error, regex.error, OverflowError, RecursionError) as error:
            raise InvalidPattern(str(error)) from error
        self._seconds_left = _LONGEST_SEARCHES_S
        self.spent = False

    @classmethod
    def postgres(cls, pattern: str) -> BoundedPattern:
        """Return a pattern as PostgreSQL reads it. Raises InvalidPattern."""
        flags, body = _translated(pattern)
        return cls(body, flags)

    def search(self, text: str) -> bool:
        """Return whether the pattern matches somewhere.

        Raises:
            TimeoutError: finding out takes too long, now or with what was asked before.
        """
        if self.spent:
            raise TimeoutError
        begin = time.perf_counter()
        try:
            return self._pattern.search(text[:_LONGEST_TEXT], timeout=_LONGEST_SEARCH_S) is not None
        except (TimeoutError, MemoryError, RuntimeError) as error:
            self.spent = True
            raise TimeoutError from error
        finally:
            took = time.perf_counter() - begin
            if took > _NO_TRAP_S:
                self._seconds_left -= took
                self.spent = self.spent or self._seconds_left <= 0


@lru_cache(maxsize=4096)
def bounded_pattern(pattern: str) -> BoundedPattern:
    """Return the same `BoundedPattern` for the same PostgreSQL pattern: its time is counted once.

    Raises:
        InvalidPattern: see `BoundedPattern`.
    """
    return BoundedPattern.postgres(pattern)


@lru_cache(maxsize=4096)
def bounded_javascript(pattern: str, *, any_case: bool) -> BoundedPattern:
    """Return the same `BoundedPattern` for the same JavaScript pattern.

    It is read as Python does: the two agree on what usage kinds need.

    Raises:
        InvalidPattern: see `BoundedPattern`.
    """
    return BoundedPattern(pattern, re.IGNORECASE if any_case else 0)


def _translated(pattern: str) -> tuple[int, str]:
    flags, body = _options(pattern)
    body = _CLASS.sub(_class, body)
    return flags, _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[0]), body)


def _options(pattern: str) -> tuple[int, str]:
    if pattern.startswith("***="):
        return 0, re.escape(pattern[4:])
    # A dot matches a line break, unless an option says otherwise.
    flags: int = re.DOTALL
    found = _OPTIONS.match(pattern)
    if found is None:
        return flags, pattern.removeprefix("***:")
    for letter in found[1]:
        if letter not in _FLAGS:
            raise InvalidPattern(f"invalid embedded option {letter!r}")
        if letter in "mnp":
            flags &= ~re.DOTALL
        flags |= _FLAGS[letter]
    body = pattern[found.end() :]
    return flags, re.escape(body) if "q" in found[1] else body


def _class(found: re.Match[str]) -> str:
    try:
        return _CLASSES[found[1]]
    except KeyError:
        raise InvalidPattern(f"invalid character class {found[1]!r}") from None
