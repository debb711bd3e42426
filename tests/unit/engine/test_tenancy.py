"""Provisioning follows the rules of LANGFUSE_INIT_*, and keys are kept as hashes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from langfuse_embedded.config import InitialProject, InitialUser
from langfuse_embedded.errors import DataDirectoryError, NewerData
from langfuse_embedded.store.state import StateStore
from langfuse_embedded.store.tenancy import Principal

KOSMOS = InitialProject(
    organization_id="acme",
    organization_name="Acme",
    project_id="kosmos",
    project_name="Kosmos",
    public_key="pk-lf-test-kosmos",
    secret_key="sk-lf-test-kosmos",
    user=InitialUser("admin@acme.example", "Admin", "long enough"),
)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateStore]:
    store = StateStore(tmp_path, salt="pepper")
    yield store
    store.close()


def test_everything_asked_for_is_created_once(state: StateStore) -> None:
    assert state.tenancy.provision(KOSMOS) == ["organization", "project", "apiKey", "user"]
    assert state.tenancy.provision(KOSMOS) == []


def test_the_secret_alone_decides_whom_a_key_stands_for(state: StateStore) -> None:
    state.tenancy.provision(KOSMOS)
    assert state.tenancy.key_by_secret("sk-lf-test-kosmos") == Principal("kosmos", "pk-lf-test-kosmos")
    assert state.tenancy.key_by_secret("sk-lf-test-other") is None


def test_no_secret_is_stored(state: StateStore) -> None:
    state.tenancy.provision(KOSMOS)
    stored = "\n".join(state.db.iterdump())
    assert "sk-lf-test-kosmos" not in stored
    assert "long enough" not in stored


def test_with_another_salt_a_key_is_known_by_its_public_part_and_then_hashed_anew(
    state: StateStore, tmp_path: Path
) -> None:
    state.tenancy.provision(KOSMOS)
    other = StateStore(tmp_path, salt="salt")
    assert other.tenancy.key_by_secret("sk-lf-test-kosmos") is None
    assert other.tenancy.key_by_secret("sk-lf-test-wrong", "pk-lf-test-kosmos") is None
    assert other.tenancy.key_by_secret("sk-lf-test-kosmos", "pk-lf-test-other") is None
    known = Principal("kosmos", "pk-lf-test-kosmos")
    assert other.tenancy.key_by_secret("sk-lf-test-kosmos", "pk-lf-test-kosmos") == known
    assert other.tenancy.key_by_secret("sk-lf-test-kosmos") == known
    other.close()


def test_a_key_of_a_database_of_before_outlives_another_salt_once_it_was_used(
    state: StateStore, tmp_path: Path
) -> None:
    state.tenancy.provision(KOSMOS)
    state.db.execute("update api_keys set slow_hash = null")
    assert state.tenancy.key_by_secret("sk-lf-test-kosmos") is not None
    other = StateStore(tmp_path, salt="salt")
    assert other.tenancy.key_by_secret("sk-lf-test-kosmos", "pk-lf-test-kosmos") is not None
    other.close()


def test_an_expired_key_is_not_hashed_anew(state: StateStore, tmp_path: Path) -> None:
    state.tenancy.provision(KOSMOS)
    state.db.execute("update api_keys set expires_at = 1")
    other = StateStore(tmp_path, salt="salt")
    assert other.tenancy.key_by_secret("sk-lf-test-kosmos", "pk-lf-test-kosmos") is None
    other.close()


def test_names_and_secrets_of_what_exists_are_left_alone(state: StateStore) -> None:
    state.tenancy.provision(KOSMOS)
    state.tenancy.provision(replace(KOSMOS, project_name="Renamed", secret_key="sk-lf-test-new"))
    project = state.tenancy.project("kosmos")
    assert project is not None
    assert project.name == "Kosmos"
    assert state.tenancy.key_by_secret("sk-lf-test-new") is None


def test_a_key_that_belongs_to_another_project_is_moved(state: StateStore) -> None:
    state.tenancy.provision(KOSMOS)
    moved = replace(KOSMOS, project_id="zeus", project_name="Zeus")
    assert state.tenancy.provision(moved) == ["project", "apiKey"]
    assert state.tenancy.key_by_secret("sk-lf-test-kosmos") == Principal("zeus", "pk-lf-test-kosmos")


def test_a_login_needs_the_right_password_in_any_case_of_the_address(state: StateStore) -> None:
    state.tenancy.provision(KOSMOS)
    login = state.tenancy.login("Admin@Acme.example")
    assert login.fits("long enough")
    user = login.user_id
    assert user is not None
    assert [project.id for project in state.tenancy.projects_of(user)] == ["kosmos"]
    assert not login.fits("wrong")
    assert not state.tenancy.login("nobody@acme.example").fits("long enough")


def test_a_change_by_another_process_is_noticed(state: StateStore, tmp_path: Path) -> None:
    before = state.version()
    other = StateStore(tmp_path, salt="pepper")
    other.tenancy.provision(KOSMOS)
    other.close()
    assert state.version() != before


def test_a_transaction_that_fails_leaves_nothing(state: StateStore) -> None:
    def fail() -> None:
        with state.transaction():
            state.db.execute("insert into organizations values ('hermes', 'Hermes', 0)")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert state.db.execute("select count(*) from organizations").fetchone()[0] == 0


def test_data_of_a_newer_version_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    store = StateStore(tmp_path, salt="")
    store.db.execute("pragma user_version=9999")
    store.close()
    with pytest.raises(NewerData, match="newer version"):
        StateStore(tmp_path, salt="")


def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(DataDirectoryError, match=r"state\.db: file is not a database\. The file is damaged"):
        StateStore(tmp_path, salt="")
