"""A search for a text ends at its deadline and leaves its connection usable."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from langfuse_embedded.store.database import migrate, open_database
from langfuse_embedded.store.observation_query import ObservationReader
from langfuse_embedded.store.trace_overview import (
    OverviewQuery,
    SearchTooSlow,
    find_overview,
    session_figures,
)
from langfuse_embedded.viewer.text_search import with_text

TRACES = 5000


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """An `events.db` of many traces with one observation each."""
    path = tmp_path / "events.db"
    opened = open_database(path)
    migrate(opened, "events", path)
    columns = opened.execute("pragma table_info(observations)").fetchall()
    required = {
        column["name"]: 0 if column["type"] == "INTEGER" else ""
        for column in columns
        if column["notnull"] and not column["pk"]
    }
    names = ", ".join(required)
    opened.execute("begin")
    opened.executemany(
        f"insert into observations ({names}) values ({', '.join('?' * len(required))})",  # noqa: S608  names come from the schema
        [
            list(
                {**required, "project": 1, "trace_id": f"t{n}", "span_id": f"s{n}", "start_time": n}.values()
            )
            for n in range(TRACES)
        ],
    )
    opened.execute("commit")
    yield opened
    opened.close()


def test_a_search_is_given_up_at_its_deadline(connection: sqlite3.Connection) -> None:
    ObservationReader(connection)
    keys = [f"t{n}" for n in range(TRACES)]
    with pytest.raises(SearchTooSlow, match="shorter range of time"):
        with_text(connection, 1, keys, "nowhere", 10, seconds=0)
    assert with_text(connection, 1, keys, "nowhere", 10, seconds=60) == []


def test_a_broken_store_is_not_called_slow(connection: sqlite3.Connection) -> None:
    connection.execute("drop table observations")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        find_overview(connection, OverviewQuery(project=1, session_id="", limit=10), seconds=60)


def test_a_session_without_observations_has_no_figures(connection: sqlite3.Connection) -> None:
    assert session_figures(connection, 1, "nowhere") is None
    assert session_figures(connection, 1, "") is None
