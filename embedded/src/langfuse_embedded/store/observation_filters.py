"""Conditions of a filter, compiled to SQL over `observations o` and `blocks b`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import orjson

from .hexid import pack
from .observation_columns import COLUMNS, FITTING, Column, Kind

# An underscore parts words, as it does in the server's index.
_LETTER = r"[^\W_]"
_TOKEN = re.compile(_LETTER)
_WINDOW = 1 << 18
_SCORES = {
    "numberObject": "scores_avg",
    "categoryOptions": "score_categories",
    "booleanObject": "score_booleans",
}
_OF_SCORES = frozenset((Kind.SCORE_NUMBERS, Kind.SCORE_CATEGORIES, Kind.SCORE_BOOLEANS))


class Condition(Protocol):
    """What is asked of a column (see `http.filters.Condition`)."""

    @property
    def column(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def operator(self) -> str: ...
    @property
    def value(self) -> Any: ...
    @property
    def key(self) -> str | None: ...


Asked = TypeVar("Asked", bound=Condition)


class FilterError(Exception):
    """A filter that cannot be served. The text is the server's."""


@dataclass(slots=True)
class Where:
    """A conjunction in SQL, with its values in order. `reads_bodies` tells that `blocks b` is needed."""

    terms: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    reads_bodies: bool = False

    def add(self, term: str, *values: Any) -> None:
        """Add one more term that must hold."""
        self.terms.append(term)
        self.values.extend(values)

    @property
    def sql(self) -> str:
        """The text behind `where`."""
        return " and ".join(self.terms)


def compile_conditions(
    conditions: list[Condition], where: Where, columns: Mapping[str, Column] = COLUMNS
) -> None:
    """Add the conditions on `columns` (by default those of observations) to `where`, the cheap ones first.

    Raises:
        FilterError: a column does not exist, a condition does not fit its column, or long texts are searched
            without a word to look for.
    """
    resolved = [(_column(one, columns), one) for one in conditions if one.type != "positionInTrace"]
    _check_long_texts(resolved)
    for column, condition in sorted(resolved, key=lambda pair: _reads_bodies(pair[0])):
        where.reads_bodies = where.reads_bodies or _reads_bodies(column)
        _compile(column, condition, where)


def _column(condition: Condition, columns: Mapping[str, Column]) -> Column:
    column = columns.get(_typed(condition))
    if column is None:
        raise FilterError(f"Column {condition.column} does not match a UI / CH table mapping.")
    if condition.type not in FITTING[column.kind]:
        raise FilterError(
            f"Invalid filter type '{condition.type}' for column '{condition.column}'."
            f" Expected filter type '{column.expected}'."
        )
    return column


def _typed(condition: Condition) -> str:
    """Return the name of a column; that of all scores is an old one for those of the condition's type."""
    if condition.column.lower() != "scores":
        return condition.column
    name = _SCORES.get(condition.type)
    if name is None:
        raise FilterError(
            f"Invalid filter type '{condition.type}' for legacy score column '{condition.column}'."
            " Expected one of 'categoryOptions', 'numberObject', or 'booleanObject'."
        )
    return name


def with_unmentioned(
    given: Sequence[Asked], plain: Sequence[Asked], columns: Mapping[str, Column]
) -> list[Asked]:
    """Return the conditions of a filter, and those of plain parameters on columns that it does not mention.

    So does the server (`deriveFilters`), by what a column is, not by the name that was used for it.
    """
    mentioned = {columns[one.column].sql for one in given if one.column in columns}
    return [*given, *(one for one in plain if columns[one.column].sql not in mentioned)]


def _reads_bodies(column: Column) -> bool:
    return column.kind in (Kind.LONG_TEXT, Kind.METADATA)


def _check_long_texts(resolved: list[tuple[Column, Condition]]) -> None:
    operators = [one.operator for column, one in resolved if column.kind is Kind.LONG_TEXT]
    if operators and not {"matches", "="}.intersection(operators):
        raise FilterError("Input/output filters require at least one `matches` or `=` operator.")
    for column, condition in resolved:
        if condition.operator != "matches":
            continue
        if not _reads_bodies(column):
            raise FilterError("`matches` is only supported for input, output, and metadata filters.")
        if not _TOKEN.search(condition.value):
            raise FilterError("`matches` requires at least one search token.")


def _compile(column: Column, condition: Condition, where: Where) -> None:
    operator, value, sql = condition.operator, condition.value, column.sql
    if column.kind in _OF_SCORES:
        _compile_scores(column, condition, where)
    elif condition.type == "null":
        where.add(f"{sql} {operator}", *([condition.key or ""] if column.kind is Kind.METADATA else []))
    elif column.kind is Kind.IDENTIFIER:
        _compile_identifier(sql, condition, where)
    elif condition.type in ("string", "stringObject"):
        keys = [condition.key] if column.kind is Kind.METADATA else []
        _compile_text(sql, operator, value, keys, where)
    elif condition.type == "stringOptions":
        negation = "" if operator == "any of" else "not "
        where.add(f"{sql} {negation}in ({_marks(value)})", *value)
    elif condition.type == "arrayOptions":
        _compile_array(sql, operator, value, where)
    else:
        where.add(f"{sql} {operator} ?", value)


def _compile_identifier(sql: str, condition: Condition, where: Where) -> None:
    operator, value = condition.operator, condition.value
    # A root has no parent, which the API calls an empty one.
    if operator == "=":
        where.add(f"{sql} = ?" if value else f"{sql} is null", *([pack(value)] if value else []))
    elif condition.type == "stringOptions":
        negation = "" if operator == "any of" else "not "
        # Plain where it can be, so that an index serves it.
        operand = sql if operator == "any of" and "" not in value else f"coalesce({sql}, '')"
        where.add(f"{operand} {negation}in ({_marks(value)})", *map(pack, value))
    else:
        text = f"iif(typeof({sql}) = 'blob', lower(hex({sql})), coalesce({sql}, ''))"
        _compile_text(text, operator, value, [], where)


def _compile_text(sql: str, operator: str, value: str, keys: list[Any], where: Where) -> None:
    if operator == "=":
        where.add(f"{sql} = ?", *keys, value)
    elif operator == "contains":
        where.add(f"instr({sql}, ?) > 0", *keys, value)
    elif operator == "does not contain":
        where.add(f"instr({sql}, ?) = 0", *keys, value)
    elif operator == "starts with":
        where.add(f"substr({sql}, 1, length(?)) = ?", *keys, value, value)
    elif operator == "ends with":
        where.add(f"(? = '' or substr({sql}, -length(?)) = ?)", value, *keys, value, value)
    else:
        # Words of long texts are found in any case, of metadata values in the given one.
        where.add(f"has_words({sql}, ?, ?)", *keys, value, not keys)


def _compile_scores(column: Column, condition: Condition, where: Where) -> None:
    operator, key, value, found = condition.operator, condition.key, condition.value, column.sql
    if condition.type == "null":
        # A list of scores, also one with nothing in it.
        where.add("false" if operator == "is null" else "true")
    elif column.kind is Kind.SCORE_NUMBERS:
        numbers = "s.data_type in ('NUMERIC', 'BOOLEAN')"
        where.add(
            f"exists (select 1 {found} and {numbers} and s.name = ? and s.value {operator} ?)", key, value
        )
    elif column.kind is Kind.SCORE_BOOLEANS:
        negation = "" if operator == "=" else "not "
        booleans = "s.data_type = 'BOOLEAN' and s.name = ? and (s.value = 1) = ?"
        where.add(f"{negation}exists (select 1 {found} and {booleans})", key, value)
    else:
        negation = "" if operator == "any of" else "not "
        pairs = [f"{key}:{one}" for one in value]
        texts = f"s.data_type = 'CATEGORICAL' and s.name || ':' || s.string_value in ({_marks(pairs)})"
        where.add(f"{negation}exists (select 1 {found} and {texts})", *pairs)


def _compile_array(sql: str, operator: str, value: list[str], where: Where) -> None:
    if not value:
        # "all of" and "none of" nothing: the server reads them as a selection still to be made.
        return
    wanted = orjson.dumps(sorted(set(value))).decode()
    found = f"from json_each({sql}) where value in (select value from json_each(?))"
    if operator == "any of":
        where.add(f"exists (select 1 {found})", wanted)
    elif operator == "none of":
        where.add(f"not exists (select 1 {found})", wanted)
    else:
        where.add(f"(select count(distinct value) {found}) = ?", wanted, len(set(value)))


def _marks(values: list[str]) -> str:
    return ", ".join("?" * len(values))


def has_words(text: str | None, words: str, any_case: bool) -> bool:
    """Return whether `words` are in `text` literally, beginning and ending where words do."""
    if text is None:
        return False
    pattern = re.escape(words)
    if words[:1].isalnum():
        pattern = f"(?<!{_LETTER}){pattern}"
    if words[-1:].isalnum():
        pattern += f"(?!{_LETTER})"
    compiled = re.compile(pattern, re.IGNORECASE if any_case else 0)
    # Between windows other threads have their turn: the search of a long text would hold them up for seconds.
    for begin in range(0, max(1, len(text)), _WINDOW):
        found = compiled.search(text, begin, begin + _WINDOW + len(words) + 1)
        # What begins behind the window may end where the view does: the next window sees what follows it.
        if found is not None and found.start() <= begin + _WINDOW:
            return True
    return False
