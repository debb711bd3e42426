"""What SQL leaves out before a rule looks at a row is nothing that the rule matches."""

from __future__ import annotations

import sqlite3
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from langfuse_embedded.judge.filters import matches, sql_of

_Rows = list[tuple[Any, ...]]
_TEXT = st.sampled_from(["", "a", "A", "zeus", "é", "a'b", "1"])
_COLUMNS = {"name": "name", "traceName": "trace_name", "version": "version", "experimentId": "experiment_id"}
_ROWS = st.lists(st.tuples(*[st.none() | _TEXT] * len(_COLUMNS)), max_size=12)


def _condition(column: str) -> st.SearchStrategy[dict[str, Any]]:
    options = {"type": st.just("stringOptions"), "operator": st.sampled_from(["any of", "none of"])}
    text = {"type": st.just("string"), "operator": st.sampled_from(["=", "contains", "starts with"])}
    return st.fixed_dictionaries(
        {"column": st.just(column), "value": st.lists(_TEXT, max_size=60), **options}
    ) | st.fixed_dictionaries({"column": st.just(column), "value": _TEXT, **text})


def _kept(rows: _Rows, conditions: list[dict[str, Any]]) -> tuple[list[int], list[int]]:
    """Return the numbers of the rows that SQL keeps, and of those that match."""
    db = sqlite3.connect(":memory:")
    db.row_factory = sqlite3.Row
    db.execute(f"create table observations (seq integer primary key, {', '.join(_COLUMNS.values())})")
    marks = ", ".join("?" * len(_COLUMNS))
    db.executemany(f"insert into observations values (null, {marks})", rows)  # noqa: S608 - marks only
    sql, values = sql_of(conditions)
    kept = [row["seq"] for row in db.execute(f"select seq from observations where {sql}", values)]  # noqa: S608 - what is tested
    every = db.execute("select * from observations").fetchall()
    return kept, [row["seq"] for row in every if matches(conditions, row, dict)]


@given(_ROWS, st.lists(st.sampled_from([*_COLUMNS]).flatmap(_condition), max_size=4))
def test_every_row_that_matches_is_kept(rows: _Rows, conditions: list[dict[str, Any]]) -> None:
    kept, matching = _kept(rows, conditions)
    assert set(matching) <= set(kept)


def test_rows_with_other_names_are_left_out() -> None:
    rows = [(name, None, None, None) for name in ("zeus", "a", None)]
    wanted = {"column": "name", "type": "stringOptions", "operator": "any of", "value": ["zeus"]}
    assert _kept(rows, [wanted]) == ([1], [1])
