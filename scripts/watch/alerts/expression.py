"""The language of conditions: `abs(avg - 0.9) > 0.05`, `share(>= 90%) < 60%`, `sum > daily_budget * 1.2`.

    condition   = both { "or" both }
    both        = comparison { "and" comparison }
    comparison  = "(" condition ")" | sum OPERATOR sum
    sum         = product { ("+" | "-") product }
    product     = factor { ("*" | "/") factor }
    factor      = NUMBER [UNIT] | VARIABLE | "-" factor | "(" sum ")" | "abs" "(" sum ")"
                | AGGREGATE [ "(" METRIC ")" ] | "share" "(" [METRIC] OPERATOR (NUMBER [UNIT] | TEXT) ")"

An aggregate without a metric is that of the alert's own. Units are `%`, `ms`, `s`, `min`, `h`.
Times are seconds.
A metric or a value with other characters than letters, digits, `_` and `.` is in quotes.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

PERCENTILES = ("p50", "p75", "p90", "p95", "p99")
AGGREGATES = ("avg", "sum", "min", "max", "count", *PERCENTILES, "projected")
UNITS = {"%": 0.01, "ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
OPERATORS = ("<", "<=", ">", ">=", "==", "!=")
_OTHER_NAMES = {"=": "==", "=<": "<=", "=>": ">=", "&&": "and", "||": "or", "<>": "!="}
_RESERVED = (*AGGREGATES, "share", "abs", "and", "or")


class ExpressionError(ValueError):
    """A condition that cannot be read; `column` counts from 1 within its text."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.column = column


@dataclass(frozen=True, slots=True)
class Number:
    """A number, its unit applied."""

    value: float


@dataclass(frozen=True, slots=True)
class Variable:
    """A name from the `variables` of the file."""

    name: str
    column: int


@dataclass(frozen=True, slots=True)
class Criterion:
    """What a share counts: values of which this holds."""

    operator: str
    value: float | str

    def __str__(self) -> str:
        return (
            f'{self.operator} "{self.value}"'
            if isinstance(self.value, str)
            else f"{self.operator} {self.value:g}"
        )


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A statistic of a metric over the alert's window; no metric: the alert's own."""

    function: str
    metric: str
    test: Criterion | None
    column: int


@dataclass(frozen=True, slots=True)
class Negative:
    """The negative of a value."""

    operand: Value


@dataclass(frozen=True, slots=True)
class Absolute:
    """The absolute value."""

    operand: Value


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`+`, `-`, `*` or `/` of two values."""

    operator: str
    left: Value
    right: Value


Value = Number | Variable | Aggregate | Negative | Absolute | Arithmetic


@dataclass(frozen=True, slots=True)
class Comparison:
    """`<`, `<=`, `>`, `>=`, `==` or `!=` of two values."""

    operator: str
    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class Logic:
    """`and` or `or` of two conditions."""

    operator: str
    left: Condition
    right: Condition


Condition = Comparison | Logic


def parse_condition(text: str) -> Condition:
    """Return the tree of a condition. Raises ExpressionError with the column of the fault."""
    return _Parser(text).whole()


def aggregates(node: Condition | Value) -> Iterator[Aggregate]:
    """Yield the aggregates of a tree from left to right."""
    match node:
        case Aggregate():
            yield node
        case Negative() | Absolute():
            yield from aggregates(node.operand)
        case Arithmetic() | Comparison() | Logic():
            yield from aggregates(node.left)
            yield from aggregates(node.right)


def comparisons(node: Condition) -> Iterator[Comparison]:
    """Yield the comparisons of a condition from left to right."""
    if isinstance(node, Comparison):
        yield node
    else:
        yield from comparisons(node.left)
        yield from comparisons(node.right)


def variables(node: Condition | Value) -> Iterator[Variable]:
    """Yield the variables of a tree from left to right."""
    match node:
        case Variable():
            yield node
        case Negative() | Absolute():
            yield from variables(node.operand)
        case Arithmetic() | Comparison() | Logic():
            yield from variables(node.left)
            yield from variables(node.right)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)
      | (?P<name>[A-Za-z_][A-Za-z0-9_.]*)
      | (?P<text>"[^"]*"|'[^']*')
      | (?P<sign><=|>=|==|!=|<>|=<|=>|&&|\|\||[-+*/()<>=%])""",
    re.VERBOSE,
)


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ExpressionError(f"{text[position]!r} has no meaning here", position + 1)
        kind, found = match.lastgroup or "", match.group()
        if kind == "sign" and found in _OTHER_NAMES:
            raise ExpressionError(
                f"{found!r} is not an operator; write {_OTHER_NAMES[found]!r}", position + 1
            )
        if kind != "space":
            yield _Token(kind, found, position + 1)
        position = match.end()
    yield _Token("end", "the end", len(text) + 1)


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def whole(self) -> Condition:
        condition = self._condition()
        if self._next.kind != "end":
            raise self._unexpected("and, or, or the end")
        return condition

    def _condition(self) -> Condition:
        left = self._both()
        while self._take("or"):
            left = Logic("or", left, self._both())
        return left

    def _both(self) -> Condition:
        left = self._comparison()
        while self._take("and"):
            left = Logic("and", left, self._comparison())
        return left

    def _comparison(self) -> Condition:
        if self._next.text == "(" and (inner := self._parenthesized()):
            return inner
        left = self._sum()
        operator = self._next
        if operator.text not in OPERATORS:
            raise self._unexpected(f"a comparison ({' '.join(OPERATORS)})")
        self._at += 1
        right = self._sum()
        if self._next.text in OPERATORS:
            raise ExpressionError("a second comparison; join two with 'and'", self._next.column)
        return Comparison(operator.text, left, right)

    def _parenthesized(self) -> Condition | None:
        """Return the condition in parentheses, or None where they hold a value: `(a + b) * 2 > 3`."""
        start = self._at
        depth = 0
        for end in range(start, len(self._tokens)):
            text = self._tokens[end].text
            depth += (text == "(") - (text == ")")
            if depth == 0:
                break
        follower = self._tokens[min(end + 1, len(self._tokens) - 1)]
        if follower.kind != "end" and follower.text not in ("and", "or", ")"):
            return None
        self._at += 1
        inner = self._condition()
        self._expect(")")
        return inner

    def _sum(self) -> Value:
        left = self._product()
        while self._next.text in ("+", "-"):
            operator = self._advance().text
            left = Arithmetic(operator, left, self._product())
        return left

    def _product(self) -> Value:
        left = self._factor()
        while self._next.text in ("*", "/"):
            operator = self._advance().text
            left = Arithmetic(operator, left, self._factor())
        return left

    def _factor(self) -> Value:
        token = self._advance()
        if token.kind == "number":
            return Number(self._with_unit(token))
        if token.text == "-":
            return Negative(self._factor())
        if token.text == "(":
            inner = self._sum()
            self._expect(")")
            return inner
        if token.kind != "name" or token.text in ("and", "or"):
            raise self._unexpected("a number, a variable or an aggregate such as avg", token)
        return self._named(token)

    def _named(self, token: _Token) -> Value:
        if token.text == "abs":
            self._expect("(")
            inner = self._sum()
            self._expect(")")
            return Absolute(inner)
        if token.text == "share":
            return self._share(token)
        if token.text in AGGREGATES:
            metric = ""
            if self._take("("):
                metric = self._metric()
                self._expect(")")
            return Aggregate(token.text, metric, None, token.column)
        if self._next.text == "(":
            near = difflib.get_close_matches(token.text, _RESERVED, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: abs, share, {', '.join(AGGREGATES)}"
            raise ExpressionError(f"{token.text} is not a function; {hint}", token.column)
        return Variable(token.text, token.column)

    def _share(self, token: _Token) -> Aggregate:
        self._expect("(")
        metric = "" if self._next.text in OPERATORS else self._metric()
        operator = self._advance()
        if operator.text not in OPERATORS:
            raise self._unexpected("a comparison, as in share(>= 0.9)", operator)
        value = self._advance()
        if value.kind == "text":
            if operator.text not in ("==", "!="):
                raise ExpressionError(f"a text compares with == or !=, not {operator.text}", operator.column)
            test = Criterion(operator.text, value.text[1:-1])
        else:
            sign = -1.0 if value.text == "-" else 1.0
            value = self._advance() if value.text == "-" else value
            if value.kind != "number":
                raise self._unexpected("a number or a text in quotes", value)
            test = Criterion(operator.text, sign * self._with_unit(value))
        self._expect(")")
        return Aggregate("share", metric, test, token.column)

    def _metric(self) -> str:
        token = self._advance()
        if token.kind not in ("name", "text"):
            raise self._unexpected("the name of a metric", token)
        return token.text.strip("\"'")

    def _with_unit(self, token: _Token) -> float:
        unit = self._next
        adjacent = unit.text in UNITS and unit.column == token.column + len(token.text)
        if adjacent or unit.text == "%":
            self._at += 1
            # 90 % is 0.9, not 0.9000000000000000x
            return float(token.text) / 100 if unit.text == "%" else float(token.text) * UNITS[unit.text]
        return float(token.text)

    def _advance(self) -> _Token:
        token = self._next
        if token.kind != "end":
            self._at += 1
        return token

    def _take(self, text: str) -> bool:
        found = self._next.text == text and self._next.kind != "text"
        self._at += found
        return found

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._unexpected(repr(text))

    def _unexpected(self, wanted: str, token: _Token | None = None) -> ExpressionError:
        token = token or self._next
        shown = token.text if token.kind == "end" else repr(token.text)
        return ExpressionError(f"expected {wanted}, found {shown}", token.column)
