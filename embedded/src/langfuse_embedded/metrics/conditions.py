"""Conditions of a filter as DuckDB SQL. Values are always bound, never written into the text."""

from __future__ import annotations

from typing import Any

from langfuse_embedded.http.filters import Condition

from .checks import filtered_dimension
from .model import Dimension, View

_TEXT = {
    "=": "{field} = {value}",
    "contains": "contains({field}, {value})",
    "does not contain": "not contains({field}, {value})",
    "starts with": "starts_with({field}, {value})",
    "ends with": "ends_with({field}, {value})",
}
# An empty text to look for finds the rows without a text, except with "does not contain".
_FINDS_EMPTY = ("=", "contains", "starts with", "ends with")
_LISTS = {
    "any of": "list_has_any({field}, {value})",
    "none of": "not list_has_any({field}, {value})",
    "all of": "list_has_all({field}, {value})",
}


class Binder:
    """Collects values, and hands out the placeholders that stand for them."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def bind(self, value: Any) -> str:
        """Return a placeholder for a value."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f"${name}"

    def texts(self, values: list[str]) -> str:
        """Return a placeholder for a list of texts; it may be empty."""
        return f"{self.bind(values)}::varchar[]"


def condition_sql(condition: Condition, view: View, binder: Binder) -> str:
    """Return the SQL of one condition that has passed `check_conditions`."""
    dimension = filtered_dimension(condition.column, view)
    if dimension is None:
        if condition.column == "metadata":
            return _metadata(condition, view, binder)
        return _moment(condition, view.time, binder)
    if condition.type == "null":
        return _null(condition, dimension)
    if dimension.is_list:
        return _LISTS[condition.operator].format(field=dimension.sql, value=binder.texts(condition.value))
    if dimension.pair is not None:
        # A row fits when one of its keys does.
        some = _text(condition, Dimension("entry"), binder)
        return f"len(list_filter({dimension.sql}, lambda entry: {some})) > 0"
    if condition.type in ("string", "stringOptions"):
        return _text(condition, dimension, binder)
    return f"{dimension.sql} {condition.operator} {binder.bind(condition.value)}"


def _text(condition: Condition, dimension: Dimension, binder: Binder) -> str:
    empty_is_null = dimension.filter_sql is not None
    field = dimension.filter_sql or dimension.sql
    operator, value = condition.operator, condition.value
    if condition.type == "stringOptions":
        found = f"list_contains({binder.texts(value)}, {field})"
        if operator == "any of":
            return f"({found} or {field} is null)" if empty_is_null and "" in value else found
        # Rows without a text are in neither "none of" list.
        return f"(not {found} and {field} <> '')" if empty_is_null else f"not {found}"
    if empty_is_null and value == "" and operator in _FINDS_EMPTY:
        return f"({field} = '' or {field} is null)"
    found = _TEXT[operator].format(field=field, value=binder.bind(value))
    return f"({field} <> '' and {found})" if empty_is_null and operator == "does not contain" else found


def _null(condition: Condition, dimension: Dimension) -> str:
    if dimension.filter_sql is None:
        return f"{dimension.sql} {condition.operator}"
    field = dimension.filter_sql
    if condition.operator == "is null":
        return f"({field} = '' or {field} is null)"
    return f"({field} <> '' and {field} is not null)"


def _moment(condition: Condition, column: str, binder: Binder) -> str:
    if condition.type == "null":
        return f"{column} {condition.operator}"
    return f"{column} {condition.operator} {binder.bind(condition.value)}"


def _metadata(condition: Condition, view: View, binder: Binder) -> str:
    key = binder.bind(condition.key)
    # The first of two entries with one name wins, as on reading; a row without the name never fits.
    field = f"m.entries[list_position(m.names, {key})]"
    found = _TEXT[condition.operator].format(field=field, value=binder.bind(condition.value))
    return (
        f"exists (select 1 from {view.metadata} m where m.seq = {view.metadata_row} "
        f"and list_contains(m.names, {key}) and {found})"
    )
