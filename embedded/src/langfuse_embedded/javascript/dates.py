"""Dates as JavaScript's `new Date(value)` reads them: ISO 8601, and what V8 takes besides.

The rules for texts are those of V8's parser (`src/date/dateparser-inl.h`), for a server that runs in UTC: the
ISO form first; where a text is not of that form, numbers, names of months and zones in any order.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from .values import MAX_DEPTH, number, string

_MAX_MS = 8_640_000_000_000_000
"""The last millisecond of a JavaScript date, and with a minus sign the first."""

_MS_IN_DAY = 86_400_000
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAYS_IN_400_YEARS = 146_097
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ZONES = {"z": 0, "ut": 0, "utc": 0, "gmt": 0, "edt": -4, "est": -5, "cdt": -5, "cst": -6}
_ZONES |= {"mdt": -6, "mst": -7, "pdt": -7, "pst": -8}
_SIGNS = {"+": 1, "-": -1}
_PREFIX = 3
_LONGEST = 4096
_TOKEN = re.compile(
    r"(?P<number>[0-9]+)|(?P<symbol>[:+\-.)])|(?P<space>\s+)|(?P<open>\()|(?P<word>[^\W\d_]+|_+)|(?P<other>.)",
    re.DOTALL,
)


def milliseconds(value: Any) -> int | None:
    """Return the Unix milliseconds of `new Date(value)`, ``None`` for an invalid date."""
    if isinstance(value, list):
        value = string(value, MAX_DEPTH - 1)
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, dict):
        return None
    moment = number(value)
    if moment is None or math.isinf(moment) or math.isnan(moment):
        return None
    return _clipped(math.trunc(moment))


def _clipped(ms: int) -> int | None:
    return ms if abs(ms) <= _MAX_MS else None


class _Token(NamedTuple):
    kind: str
    text: str = ""

    @property
    def number(self) -> int:
        # More digits than V8 reads never make a valid part of a date.
        return int(self.text.lstrip("0")[:9] or "0")

    def is_fixed(self, length: int) -> bool:
        return self.kind == "number" and len(self.text) == length

    def is_symbol(self, symbol: str) -> bool:
        return self.kind == "symbol" and self.text == symbol

    @property
    def sign(self) -> int:
        return _SIGNS.get(self.text, 0) if self.kind == "symbol" else 0


_END = _Token("end")


class _Tokens:
    def __init__(self, text: str) -> None:
        self._tokens = [
            _Token(str(match.lastgroup), match[0].lower()) for match in _TOKEN.finditer(text[:_LONGEST])
        ]
        self._at = 0

    def peek(self) -> _Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else _END

    def next(self) -> _Token:
        token = self.peek()
        self._at += 1
        return token

    def skip(self, symbol: str) -> bool:
        if not self.peek().is_symbol(symbol):
            return False
        self._at += 1
        return True

    def skip_parentheses(self) -> None:
        depth = 1
        while depth and self.peek() is not _END:
            token = self.next()
            depth += (token.kind == "open") - token.is_symbol(")")


@dataclass(slots=True)
class _Day:
    parts: list[int] = field(default_factory=list)
    month: int | None = None
    is_iso: bool = False

    def add(self, value: int) -> bool:
        if len(self.parts) == 3:
            return False
        self.parts.append(value)
        return True

    def days(self) -> int | None:
        """Return the days since 1970."""
        if not self.parts:
            return None
        first, second, third = (*self.parts, 1, 1)[:3]
        is_year = not 1 <= first <= 31
        if self.month is not None:
            year, month, day = (first, self.month, second) if is_year else (second, self.month, first)
        elif self.is_iso or is_year:
            year, month, day = first, second, third
        else:
            year, month, day = third, first, second
        if not self.is_iso and 0 <= year <= 99:
            year += 2000 if year < 50 else 1900
        if not (1 <= month <= 12 and 1 <= day <= 31) or abs(year) > 999_999:
            return None
        # Days repeat every 400 years: the year is moved into the range of Python's dates.
        cycles, moved = divmod(year - 2000, 400)
        start = date(2000 + moved, month, 1).toordinal() - _EPOCH_DAY
        return start + day - 1 + cycles * _DAYS_IN_400_YEARS


@dataclass(slots=True)
class _Time:
    parts: list[int] = field(default_factory=list)
    half: int | None = None

    def add(self, value: int) -> bool:
        if len(self.parts) == 4:
            return False
        self.parts.append(value)
        return True

    def expects(self, value: int) -> bool:
        limit = {1: 60, 2: 60, 3: 1000}.get(len(self.parts))
        return limit is not None and value < limit

    def finish(self, value: int) -> None:
        self.add(value)
        self.parts += [0] * (4 - len(self.parts))

    def ms(self) -> int | None:
        hour, minute, second, ms = (*self.parts, 0, 0, 0, 0)[:4]
        if self.half is not None:
            if not 0 <= hour <= 12:
                return None
            hour = hour % 12 + self.half
        in_range = hour < 24 and minute < 60 and second < 60 and ms < 1000
        if not in_range and (hour, minute, second, ms) != (24, 0, 0, 0):
            return None
        return ((hour * 60 + minute) * 60 + second) * 1000 + ms


@dataclass(slots=True)
class _Zone:
    sign: int | None = None
    hour: int | None = None
    minute: int | None = None

    def set(self, hours: int) -> None:
        self.sign, self.hour, self.minute = -1 if hours < 0 else 1, abs(hours), 0

    @property
    def is_utc(self) -> bool:
        return self.hour == 0 and self.minute == 0

    def expects(self, value: int) -> bool:
        return self.hour is not None and self.minute is None and value < 60

    def ms(self) -> int:
        return (self.sign or 0) * ((self.hour or 0) * 60 + (self.minute or 0)) * 60_000


class _Invalid(Exception):
    """The text is not a date."""


def _of_text(text: str) -> int | None:
    parser = _Parser(text)
    try:
        parser.parse()
    except _Invalid:
        return None
    days, ms = parser.day.days(), parser.time.ms()
    if days is None or ms is None:
        return None
    return _clipped(days * _MS_IN_DAY + ms - parser.zone.ms())


def _require(condition: object) -> None:
    if not condition:
        raise _Invalid


class _Parser:
    """One text, read once: `parse`, then look at `day`, `time` and `zone`."""

    def __init__(self, text: str) -> None:
        self.tokens = _Tokens(text)
        self.day, self.time, self.zone = _Day(), _Time(), _Zone()
        self._has_number = False

    def parse(self) -> None:
        """Read the whole text.

        Raises:
            _Invalid: it is not a date.
        """
        token = self._iso()
        self._has_number = bool(self.day.parts)
        while token is not _END:
            self._legacy(token)
            token = self.tokens.next()

    def _iso(self) -> _Token:
        """Read as much as is ISO; return the first token that is not, the end if all of it is."""
        tokens = self.tokens
        if sign := tokens.peek().sign:
            token = tokens.next()
            if not tokens.peek().is_fixed(6) or (sign < 0 and tokens.peek().number == 0):
                return token
            self.day.add(sign * tokens.next().number)
        elif tokens.peek().is_fixed(4):
            self.day.add(tokens.next().number)
        else:
            return tokens.next()
        for last in (12, 31):
            if not tokens.skip("-"):
                break
            if not tokens.peek().is_fixed(2) or not 1 <= tokens.peek().number <= last:
                return tokens.next()
            self.day.add(tokens.next().number)
        if tokens.peek() == _Token("word", "t"):
            tokens.next()
            self._iso_time()
        elif tokens.peek() is not _END:
            return tokens.next()
        self.day.is_iso = True
        return _END

    def _iso_time(self) -> None:
        tokens = self.tokens
        self.time.add(self._two_digits(24))
        last = 0 if self.time.parts == [24] else 59
        _require(tokens.skip(":"))
        self.time.add(self._two_digits(last))
        if tokens.skip(":"):
            self.time.add(self._two_digits(last))
            if tokens.skip("."):
                _require(tokens.peek().kind == "number")
                self.time.add(_milliseconds(tokens.next()))
        if tokens.peek() == _Token("word", "z"):
            tokens.next()
            self.zone.set(0)
        elif sign := tokens.peek().sign:
            tokens.next()
            self.zone.sign = sign
            if tokens.peek().is_fixed(4):
                hour, minute = divmod(tokens.next().number, 100)
                _require(hour < 24 and minute < 60)
            else:
                hour = self._two_digits(23)
                _require(tokens.skip(":"))
                minute = self._two_digits(59)
            self.zone.hour, self.zone.minute = hour, minute
        _require(tokens.peek() is _END)

    def _two_digits(self, last: int) -> int:
        token = self.tokens.next()
        _require(token.is_fixed(2) and token.number <= last)
        return token.number

    def _legacy(self, token: _Token) -> None:
        if token.kind == "number":
            self._has_number = True
            self._legacy_number(token)
        elif token.kind == "word":
            self._legacy_word(token.text)
        elif token.sign and (self.zone.is_utc or self.time.parts):
            self._legacy_offset(token.sign)
        elif token.kind == "symbol" and token.text in "+-)" and self._has_number:
            raise _Invalid
        elif token.kind == "open":
            self.tokens.skip_parentheses()

    def _legacy_number(self, token: _Token) -> None:
        tokens, value = self.tokens, token.number
        if tokens.skip(":"):
            if tokens.skip(":"):
                _require(not self.time.parts)
                self.time.add(value)
                self.time.add(0)
            else:
                _require(self.time.add(value))
                tokens.skip(".")
        elif tokens.peek().is_symbol(".") and self.time.expects(value):
            tokens.next()
            self.time.add(value)
            _require(tokens.peek().kind == "number")
            self.time.finish(_milliseconds(tokens.next()))
        elif self.zone.expects(value):
            self.zone.minute = value
        elif self.time.expects(value):
            self.time.finish(value)
            after = tokens.peek()
            _require(after is _END or after.kind == "space" or after == _Token("word", "z") or after.sign)
        else:
            _require(self.day.add(value))
            tokens.skip("-")

    def _legacy_word(self, word: str) -> None:
        if word in ("am", "pm") and self.time.parts:
            self.time.half = 12 if word == "pm" else 0
        elif word[:_PREFIX] in _MONTHS:
            self.day.month = _MONTHS.index(word[:_PREFIX]) + 1
            self.tokens.skip("-")
        elif word in _ZONES and self._has_number:
            self.zone.set(_ZONES[word])
        else:
            _require(not self._has_number and self.tokens.peek().kind != "number")

    def _legacy_offset(self, sign: int) -> None:
        self.zone.sign = sign
        self._has_number = True
        token = self.tokens.next() if self.tokens.peek().kind == "number" else _Token("number", "")
        length = len(token.text)
        if self.tokens.skip(":"):
            self.zone.hour, self.zone.minute = token.number, None
        elif length in (1, 2):
            self.zone.hour, self.zone.minute = token.number, 0
        else:
            _require(length in (3, 4))
            self.zone.hour, self.zone.minute = divmod(token.number, 100)


def _milliseconds(token: _Token) -> int:
    """Return a fraction of a second; further digits are cut."""
    return int(token.text[:3].ljust(3, "0"))
