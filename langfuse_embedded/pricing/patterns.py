"""Regular expressions as PostgreSQL reads them, for Python: the server matches model names with `~`."""

from __future__ import annotations

import re

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
_LONGEST_SEARCH_S = 0.05
"""A pattern that is no trap needs microseconds for the name of a model."""

_CLASS = re.compile(r"\[:(\w+):\]")
# Word borders and the end of the text are spelled differently.
_ESCAPES = {"m": r"\b(?=\w)", "M": r"\b(?<=\w)", "y": r"\b", "Y": r"\B", "Z": r"\Z"}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class InvalidPattern(ValueError):
    """The text is no regular expression."""


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
    """A PostgreSQL pattern that a user wrote: matching it takes a limited time, whatever it says."""

    def __init__(self, pattern: str) -> None:
        """Raises: InvalidPattern."""
        # Loaded for the first project that has a model of its own: 10 ms that others need not pay.
        import regex

        compile_pattern(pattern)
        flags, body = _translated(pattern)
        try:
            self._pattern = regex.compile(body, flags)
        except regex.error as error:
            raise InvalidPattern(str(error)) from error

    def search(self, text: str) -> bool:
        """Return whether the pattern matches somewhere. Raises TimeoutError."""
        return self._pattern.search(text, timeout=_LONGEST_SEARCH_S) is not None


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
