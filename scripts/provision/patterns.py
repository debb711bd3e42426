"""Whether a text is a regular expression as the server's PostgreSQL reads it."""

from __future__ import annotations

import re

_OPTIONS = re.compile(r"\A(?:\*\*\*:)?\(\?([a-z]+)\)")
_KNOWN_OPTIONS = frozenset("bceimnpqstwx")
_CLASS = re.compile(r"\[:(\w+):\]")
_CLASSES = frozenset(
    "alnum alpha blank cntrl digit graph lower print punct space upper word xdigit".split()  # noqa: SIM905
)


def check_pattern(pattern: str) -> str:
    """Return what is wrong with a pattern, or an empty string.

    PostgreSQL's leading options and POSIX classes are known; the rest is read as Python does, which refuses
    the same unbalanced brackets, empty repeats and reversed ranges.
    """
    if pattern.startswith("***="):
        return ""
    options = _OPTIONS.match(pattern)
    if options:
        unknown = sorted(set(options[1]) - _KNOWN_OPTIONS)
        if unknown:
            return f"unknown option {unknown[0]!r}"
        if "q" in options[1]:
            return ""
    body = pattern[options.end() :] if options else pattern.removeprefix("***:")
    for found in _CLASS.findall(body):
        if found not in _CLASSES:
            return f"unknown character class {found!r}"
    try:
        re.compile(_CLASS.sub("a", body))
    except (re.error, OverflowError, RecursionError) as error:
        return str(error)
    return ""
