"""Filters take the columns and types that the server's filters take, and refuse others in its words.

`server_filters.json` has what `createFilterFromFilterState` of 4.16.0 said of every column and type
(`packages/shared/src/server/queries/clickhouse-sql/factory.ts`), with the tables in `tableMappings` and
`tableDefinitions`. It knows no type of the columns called `any`: there ClickHouse refuses what does not fit,
with a 500.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from langfuse_embedded.http.filters import Condition
from langfuse_embedded.store import observation_columns, scores, traces
from langfuse_embedded.store.observation_filters import (
    FilterError,
    Where,
    compile_conditions,
    with_unmentioned,
)

_SERVER = json.loads(Path(__file__).with_name("server_filters.json").read_text("ascii"))
_TABLES = {
    "traces": traces.FILTER_COLUMNS,
    "observations": observation_columns.LEGACY_COLUMNS,
    "scores": scores.FILTER_COLUMNS,
    "v2/observations": observation_columns.COLUMNS,
}
_CONDITIONS: dict[str, tuple[str, Any, str | None]] = {
    "string": ("=", "a", None),
    "datetime": (">", 0, None),
    "number": (">", 1, None),
    "stringOptions": ("any of", ["a"], None),
    "categoryOptions": ("any of", ["a"], "k"),
    "arrayOptions": ("any of", ["a"], None),
    "stringObject": ("=", "a", "k"),
    "numberObject": (">", 1, "k"),
    "booleanObject": ("=", True, "k"),
    "boolean": ("=", True, None),
    "null": ("is null", "", None),
}
# The server takes it for the column and its store refuses the comparison of a list with a text.
_NOT_COMPARED = {("arrayOptions", "stringOptions"), ("categoryOptions", "stringOptions")}


def _said(column: str, kind: str, table: str) -> str:
    operator, value, key = _CONDITIONS[kind]
    try:
        compile_conditions([Condition(column, kind, operator, value, key)], Where(), _TABLES[table])
    except FilterError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("table", sorted(_TABLES))
def test_columns_and_types_are_those_of_the_server(table: str) -> None:
    differences = []
    for column, known in _SERVER[table].items():
        for kind in _CONDITIONS:
            said = _said(column, kind, table)
            if known == "unknown":
                expected = f"Column {column} does not match a UI / CH table mapping."
            elif known == "any":
                continue
            elif kind not in known["types"]:
                expected = (
                    f"Invalid filter type '{kind}' for column '{column}'."
                    f" Expected filter type '{known['expected']}'."
                )
            elif (known["expected"], kind) in _NOT_COMPARED or column in (
                "input",
                "Input",
                "output",
                "Output",
            ):
                continue
            else:
                expected = ""
            if said != expected:
                differences.append((column, kind, said, expected))
    assert differences == []


@pytest.mark.parametrize("table", sorted(_TABLES))
def test_every_column_of_the_server_is_known_and_no_other(table: str) -> None:
    known = {column for column, types in _SERVER[table].items() if types != "unknown"}
    assert _TABLES[table].keys() == known, known ^ _TABLES[table].keys()


def test_the_old_name_of_scores_is_that_of_their_type() -> None:
    for kind in ("categoryOptions", "numberObject", "booleanObject"):
        assert _said("scores", kind, "traces") == ""
    assert _said("Scores", "string", "traces") == (
        "Invalid filter type 'string' for legacy score column 'Scores'. "
        "Expected one of 'categoryOptions', 'numberObject', or 'booleanObject'."
    )


def test_a_parameter_is_left_out_where_the_filter_has_its_column_by_any_name() -> None:
    plain = [Condition("userId", "string", "=", "u"), Condition("name", "string", "=", "n")]
    for name in ("name", "Name", "traceName", "Trace Name"):
        given = [Condition(name, "string", "contains", "x")]
        assert with_unmentioned(given, plain, _TABLES["traces"]) == [*given, plain[0]]
