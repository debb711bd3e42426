"""What Langfuse reads from its environment: names, kinds, limits and defaults, from its source.

`server_variables.csv` is generated from the source of one server version (`tests/server_variables.py`);
`server_variables_further.csv` adds what newer servers, Node.js and libraries read, with sources.
"""

from __future__ import annotations

import csv
import math
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from .kinds import Flaw

_ALIKE = 0.75
_FILES = ("server_variables.csv", "server_variables_further.csv")
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True, slots=True)
class ServerVariable:
    """One variable as the server takes it.

    Attributes:
        name: a prefix where it ends with `*`.
        kind: text, boolean (true or false), choice, number, url, list (commas) or date.
        values: what a boolean or a choice may be.
        limits: of a number: `whole`, and comparisons such as `>0` and `<=2048`.
        default: what the server takes when it is not set; empty where it has no default.
        required: the server does not start without it.
        read_by: web, worker, or shared for both.
        since: `after 4.16.0` where the described version does not read it yet, else empty.
        source: file and line of the described version, or a page.
    """

    name: str
    kind: str
    values: tuple[str, ...]
    limits: tuple[str, ...]
    default: str
    required: bool
    read_by: tuple[str, ...]
    since: str
    source: str

    def check(self, value: str) -> Flaw | None:
        """Return what the server would refuse in a non-empty value, or None."""
        if self.values and value not in self.values:
            return Flaw(f"{value!r} is not one of its values", f"use {' or '.join(self.values)}")
        if self.kind == "number":
            return self._check_number(value)
        if self.kind == "url" and not _is_url(value):
            return Flaw("is not a URL", "write it with its scheme, such as https://host:port")
        return None

    def _check_number(self, value: str) -> Flaw | None:
        bounds = [limit for limit in self.limits if limit != "whole"]
        wanted = f"use a {'whole ' if 'whole' in self.limits else ''}number"
        fix = f"{wanted} {' and '.join(bounds)}".rstrip()
        try:
            number = float(value)
        except ValueError:
            return Flaw(f"{value!r} is not a number", fix)
        if not math.isfinite(number):
            return Flaw(f"{value!r} is not a number", fix)
        if "whole" in self.limits and not number.is_integer():
            return Flaw(f"{value} is not a whole number", fix)
        for limit in bounds:
            sign = limit.rstrip("0123456789.-")
            if not _COMPARISONS[sign](number, float(limit.removeprefix(sign))):
                return Flaw(f"{value} is out of range", fix)
        return None


def _is_url(value: str) -> bool:
    """Return whether JavaScript's `new URL(value)` would take it; what it refuses stops the server."""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return False
    return (
        bool(parts.scheme) and (bool(parts.netloc) or bool(parts.path)) and not any(map(str.isspace, value))
    )


@cache
def server_variables() -> Mapping[str, ServerVariable]:
    """Return every known variable by name, prefixes with their `*`."""
    table = {}
    for file in _FILES:
        text = Path(__file__).with_name(file).read_text(encoding="utf-8")
        for row in csv.DictReader(line for line in text.splitlines() if not line.startswith("#")):
            table[row["name"]] = ServerVariable(
                name=row["name"],
                kind=row["kind"],
                values=tuple(filter(None, row["values"].split("|"))),
                limits=tuple(row["limits"].split()),
                default=row["default"],
                required=row["required"] == "yes",
                read_by=tuple(row["read_by"].split("|")),
                since=row.get("since") or "",
                source=row["source"],
            )
    return table


def server_variable(name: str) -> ServerVariable | None:
    """Return what the server knows under a name, or under the prefix that it begins with."""
    table = server_variables()
    if name in table:
        return table[name]
    prefixes = [one for one in table.values() if one.name.endswith("*")]
    return next((one for one in prefixes if name.startswith(one.name[:-1])), None)


def unknown_name_hint(name: str, settings: Collection[str]) -> str:
    """Return what someone should know about a name in `.env` that is not one of `settings`, or nothing.

    Without a hint the name is not a variable of Langfuse and like none: it may be of another program.
    """
    if server_variable(name):
        return "is a variable of Langfuse that .env does not pass on; move it to .env.langfuse"
    real = {one for one in server_variables() if not one.endswith("*")}
    meant = nearest_name(name, settings) or nearest_name(name, real)
    if not meant:
        return ""
    place = "" if meant in settings else " It is a variable of Langfuse: put it into .env.langfuse."
    return f"is not a known setting; did you mean {meant}?{place}"


def nearest_name(name: str, known: Collection[str]) -> str:
    """Return the known name that someone meant who wrote `name`, or an empty string.

    Words count, not letters: AUTH_GOOGLE_CLIENT_ID and AUTH_GITLAB_CLIENT_ID are alike, and never meant for
    one another. A suggestion differs in the letters of its words, in their order, or by one word.
    """
    if name in known:
        return name
    words = name.upper().replace("-", "_").split("_")
    best, best_likeness = "", 0.0
    for candidate in known:
        likeness = _likeness(words, candidate.split("_"))
        if likeness > best_likeness:
            best, best_likeness = candidate, likeness
    return best


def _likeness(written: list[str], meant: list[str]) -> float:
    """Return from 0 (different) to 1 how alike two names are, word by word."""
    if sorted(written) == sorted(meant):
        return 0.99
    joined = "".join(written), "".join(meant)
    if joined[0] == joined[1]:
        return 0.98
    if abs(len(written) - len(meant)) > 1:
        return 0.0
    if len(written) != len(meant):
        longer, shorter = sorted((written, meant), key=len, reverse=True)
        rest = [longer[:at] + longer[at + 1 :] for at in range(len(longer))]
        return 0.9 if len(shorter) > 1 and shorter in rest else 0.0
    worst = 1.0
    for one, other in zip(written, meant, strict=True):
        worst = min(worst, _word_likeness(one, other))
    return worst if worst >= _ALIKE else 0.0


def _word_likeness(one: str, other: str) -> float:
    if one == other:
        return 1.0
    if min(len(one), len(other)) >= 3 and (one.startswith(other) or other.startswith(one)):
        return 0.85
    return SequenceMatcher(None, one, other).ratio()
