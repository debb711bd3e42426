"""Queries that take too long are interrupted; searches of long texts let other threads have their turn."""

from __future__ import annotations

import random
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from langfuse_embedded.store import deadline, observation_filters
from langfuse_embedded.store.database import open_database
from langfuse_embedded.store.deadline import Interrupter, QueryTooLong, limited
from langfuse_embedded.store.observation_filters import has_words

ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"


def test_a_statement_of_sqlite_that_does_not_end_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "QUERY_SECONDS", 0.1)
    with closing(sqlite3.connect(":memory:")) as db:
        with pytest.raises(QueryTooLong, match="takes longer than"), limited(db):
            db.execute(ENDLESS).fetchone()
        with limited(db):
            assert db.execute("select 1").fetchone() == (1,)
        with pytest.raises(sqlite3.OperationalError), limited(db):
            db.execute("select nothing from nowhere")


def test_a_statement_of_duckdb_that_does_not_end_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    import duckdb

    monkeypatch.setattr(deadline, "QUERY_SECONDS", 0.2)
    with closing(duckdb.connect()) as db, closing(Interrupter()) as deadlines:
        with pytest.raises(QueryTooLong), deadlines.limited(db):
            db.execute("select count(*) from range(10000000) a, range(10000000) b where a.range < b.range")
        with pytest.raises(duckdb.Error), deadlines.limited(db):
            db.execute("select nothing from nowhere")
        with deadlines.limited(db):
            assert db.execute("select 1").fetchall() == [(1,)]


@pytest.mark.parametrize("seed", range(20))
def test_words_are_found_in_windows_as_in_the_whole(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(observation_filters, "_WINDOW", 7)
    choose = random.Random(seed)
    for _ in range(300):
        text = "".join(choose.choice("ab _") for _ in range(choose.randint(0, 40)))
        words = "".join(choose.choice("ab ") for _ in range(choose.randint(1, 5)))
        letter = r"[^\W_]"
        before = f"(?<!{letter})" if words[:1].isalnum() else ""
        after = f"(?!{letter})" if words[-1:].isalnum() else ""
        whole = re.search(f"{before}{re.escape(words)}{after}", text) is not None
        assert has_words(text, words, any_case=False) == whole, (text, words)


@pytest.mark.parametrize("name", ["a#b", "a?mode=memory", "a%41b", "a b", "ä", "a'b", 'a"b', "a[1]*", "a\nb"])
def test_a_database_is_where_its_path_says(tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    directory.mkdir()
    with closing(open_database(directory / "state.db")) as db:
        db.execute("create table t (a)")
    assert {path.name for path in directory.iterdir()} >= {"state.db"}
    assert list(tmp_path.iterdir()) == [directory]
    with closing(open_database(directory / "state.db", readonly=True)) as db:
        assert db.execute("select count(*) from t").fetchone()[0] == 0
