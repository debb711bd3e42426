"""What the engine keeps in its own database comes back from PostgreSQL as it was."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from langfuse_embedded.store.state import StateStore
from rehearsal.langfuse.mirror import Mirror

PROMPT = (
    "insert into prompts (id, project_id, name, version, type, prompt, config, labels, tags, created_by,"
    " created_at, updated_at) values ('p1', 'kosmos', 'greeting', 1, 'text', '\"Hi\"', '{}', '[]', '[]',"
    " 'API', 1767225600123, 1767225600123)"
)


class SqliteAsPostgres:
    """The statements of the mirror mean the same to both."""

    def __init__(self) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)

    @contextmanager
    def transaction(self) -> Iterator[SqliteAsPostgres]:
        yield self

    def execute(self, statement: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        return self.db.execute(statement.replace("%s", "?"), values)

    def run(self, statement: str) -> None:
        self.execute(statement)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        found = self.execute(statement).fetchall()
        return [tuple(json.loads(value) for value in row) for row in found]


@pytest.fixture
def postgres() -> Iterator[SqliteAsPostgres]:
    fake = SqliteAsPostgres()
    with closing(fake.db):
        yield fake


@contextmanager
def engine(directory: Path, postgres: SqliteAsPostgres) -> Iterator[tuple[StateStore, Mirror, int]]:
    """A start of the stand-in: an empty engine, filled from PostgreSQL."""
    directory.mkdir()
    state = StateStore(directory, "salt")
    with closing(state):
        mirror = Mirror(cast(Any, postgres), state)
        mirror.migrate()
        loaded = mirror.load()
        state.db.execute("insert or ignore into organizations values ('acme', 'Acme', 1)")
        state.db.execute(
            "insert or ignore into projects (id, organization_id, name, created_at)"
            " values ('kosmos', 'acme', 'Kosmos', 1)"
        )
        yield state, mirror, loaded


def prompts(state: StateStore) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in state.db.execute("select * from prompts")]


def test_rows_come_back_with_ids_and_times(tmp_path: Path, postgres: SqliteAsPostgres) -> None:
    with engine(tmp_path / "first", postgres) as (state, mirror, _):
        state.db.execute(PROMPT)
        mirror.flush()
        before = prompts(state)
    assert postgres.execute("select id, project_id from prompts").fetchall() == [('["p1"]', "kosmos")]
    with engine(tmp_path / "second", postgres) as (state, _, loaded):
        assert loaded == 1
        assert prompts(state) == before


def test_changes_and_deletions_follow(tmp_path: Path, postgres: SqliteAsPostgres) -> None:
    with engine(tmp_path / "first", postgres) as (state, mirror, _):
        state.db.execute(PROMPT)
        mirror.flush()
        state.db.execute("update prompts set labels = '[\"production\"]'")
        mirror.flush()
        assert "production" in postgres.execute("select rehearsal_row from prompts").fetchone()[0]
        state.db.execute("delete from prompts")
        mirror.flush()
    assert postgres.execute("select count(*) from prompts").fetchone() == (0,)


def test_a_row_that_is_deleted_with_another_one_goes_too(tmp_path: Path, postgres: SqliteAsPostgres) -> None:
    with engine(tmp_path / "first", postgres) as (state, mirror, _):
        state.db.execute(PROMPT)
        state.db.execute("insert into prompt_dependencies values ('p1', 'kosmos', 'other', 1, null)")
        mirror.flush()
        assert postgres.execute("select count(*) from prompt_dependencies").fetchone() == (1,)
        state.db.execute("delete from prompts")
        mirror.flush()
    assert postgres.execute("select count(*) from prompt_dependencies").fetchone() == (0,)


def test_what_could_not_be_written_is_written_the_next_time(
    tmp_path: Path, postgres: SqliteAsPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> Iterator[SqliteAsPostgres]:
        raise ConnectionError

    with engine(tmp_path / "first", postgres) as (state, mirror, _):
        state.db.execute(PROMPT)
        with monkeypatch.context() as patched:
            patched.setattr(postgres, "transaction", away)
            with pytest.raises(ConnectionError):
                mirror.flush()
        mirror.flush()
    assert postgres.execute("select count(*) from prompts").fetchone() == (1,)
