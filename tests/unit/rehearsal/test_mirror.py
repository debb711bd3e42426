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
from rehearsal.langfuse.audit import Caller
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


AUDIT_COLUMNS = ("api_key_id", "org_id", "project_id", "resource_type", "resource_id", "action")
AUDIT = (
    "select resource_type, resource_id, action, before, after, api_key_id, org_id, project_id from audit_logs"
)
CALLER = Caller("pk-lf-kosmos")


@pytest.fixture
def audited(tmp_path: Path, postgres: SqliteAsPostgres) -> Iterator[tuple[StateStore, Mirror]]:
    """An engine whose PostgreSQL knows a project with a key, and keeps an audit log."""
    for statement in (
        "create table projects (id, org_id)",
        "create table api_keys (id, project_id, public_key)",
        "insert into projects values ('kosmos', 'acme')",
        "insert into api_keys values ('key-1', 'kosmos', 'pk-lf-kosmos')",
        f"create table audit_logs (id, type, before, after, {', '.join(AUDIT_COLUMNS)})",
    ):
        postgres.execute(statement)
    with engine(tmp_path / "audited", postgres) as (state, mirror, _):
        yield state, mirror


def test_a_comment_is_kept_in_the_audit_log_with_its_text(
    audited: tuple[StateStore, Mirror], postgres: SqliteAsPostgres
) -> None:
    state, mirror = audited
    state.db.execute(
        "insert into comments values ('c1', 'kosmos', 'TRACE', 't1', 'call Hermes back', null, 1, 1)"
    )
    mirror.flush(CALLER)
    ((resource, id_, action, before, after, key, org, project),) = postgres.execute(AUDIT).fetchall()
    assert (resource, id_, action, before) == ("comment", "c1", "create", None)
    assert (key, org, project) == ("key-1", "acme", "kosmos")
    assert json.loads(after)["content"] == "call Hermes back"
    assert json.loads(after)["objectId"] == "t1"


def test_each_version_of_a_dataset_item_is_kept_with_the_one_before(
    audited: tuple[StateStore, Mirror], postgres: SqliteAsPostgres
) -> None:
    state, mirror = audited
    state.db.execute(
        "insert into datasets (id, project_id, name, created_at, updated_at)"
        " values ('d', 'kosmos', 'g', 1, 1)"
    )
    mirror.flush(CALLER)
    item = (
        "insert into dataset_items (project_id, id, valid_from, is_deleted, dataset_id, input, status,"
        " created_at, updated_at) values ('kosmos', 'i', ?, ?, 'd', ?, 'ACTIVE', 1, 1)"
    )
    for valid_from, deleted, text in ((1, 0, '{"q": "one"}'), (2, 0, '{"q": "two"}'), (3, 1, None)):
        state.db.execute("update dataset_items set valid_to = ? where valid_to is null", (valid_from,))
        state.db.execute(item, (valid_from, deleted, text))
        mirror.flush(CALLER)
    rows = postgres.execute(f"{AUDIT} where resource_type = 'datasetItem'").fetchall()
    seen = [
        (
            row[2],
            json.loads(row[3])["input"]["q"] if row[3] else None,
            json.loads(row[4])["input"]["q"] if row[4] else None,
        )
        for row in rows
    ]
    assert seen == [("create", None, "one"), ("update", "one", "two"), ("delete", "two", None)]


def test_what_nobody_asked_for_is_not_in_the_audit_log(
    audited: tuple[StateStore, Mirror], postgres: SqliteAsPostgres
) -> None:
    state, mirror = audited
    state.db.execute(PROMPT)
    mirror.flush()
    state.db.execute(PROMPT.replace("p1", "p2").replace(", 1, 'text'", ", 2, 'text'"))
    state.db.execute("update prompts set labels = '[\"old\"]' where id = 'p1'")
    mirror.flush(CALLER)
    assert [row[:3] for row in postgres.execute(AUDIT).fetchall()] == [("prompt", "p2", "create")]


def test_a_caller_is_known_by_the_public_key_and_an_admin_key_is_nobody() -> None:
    assert Caller.of("Basic cGstbGYta29zbW9zOnNrLWxmLXg=") == CALLER
    assert Caller.of("Bearer admin") is None
    assert Caller.of("") is None
