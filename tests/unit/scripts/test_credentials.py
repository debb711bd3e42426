"""Keys of projects: made once, pending until a server accepts them, private on disk."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from scripts.core.errors import UsageError
from scripts.provision.credentials import CredentialsStore, key_in, project_in
from scripts.provision.stack import FixedKey, NamedKey, Project

URL = "http://localhost:3000"
KOSMOS = Project(id="kosmos", name="kosmos")
ZEUS = Project(id="zeus", name="zeus", key=FixedKey(public="pk-lf-test-zeus", secret_from="ZEUS_SECRET"))


def test_a_pending_key_is_found_again_and_is_not_verified(tmp_path: Path) -> None:
    store = CredentialsStore(tmp_path)
    made = store.load(KOSMOS, URL, {})
    assert not made.verified
    assert list(tmp_path.iterdir()) == []
    store.keep_pending(made)
    assert store.load(KOSMOS, URL, {}) == made
    assert list(tmp_path.glob("*.env")) == []


def test_a_verified_key_stands_in_a_private_file_with_the_names_of_the_sdk(tmp_path: Path) -> None:
    store = CredentialsStore(tmp_path / "credentials")
    made = store.load(KOSMOS, URL, {})
    store.keep_pending(made)
    assert store.keep_verified(made) is True
    path = store.path("kosmos")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["kosmos.env"]
    assert path.read_text() == (
        f"LANGFUSE_BASE_URL={URL}\n"
        f"LANGFUSE_HOST={URL}\n"
        f"LANGFUSE_PUBLIC_KEY={made.public_key}\n"
        f"LANGFUSE_SECRET_KEY={made.secret_key}\n"
        "LANGFUSE_PROJECT_ID=kosmos\n"
    )
    assert store.load(KOSMOS, URL, {}).verified


def test_writing_the_same_credentials_again_changes_nothing(tmp_path: Path) -> None:
    store = CredentialsStore(tmp_path)
    made = store.load(KOSMOS, URL, {})
    assert store.keep_verified(made) is True
    assert store.keep_verified(store.load(KOSMOS, URL, {})) is False


def test_a_new_url_keeps_the_key_and_changes_the_file(tmp_path: Path) -> None:
    store = CredentialsStore(tmp_path)
    made = store.load(KOSMOS, URL, {})
    store.keep_verified(made)
    moved = store.load(KOSMOS, "https://langfuse.acme.example", {})
    assert (moved.public_key, moved.secret_key) == (made.public_key, made.secret_key)
    assert store.keep_verified(moved) is True
    assert "LANGFUSE_BASE_URL=https://langfuse.acme.example\n" in store.path("kosmos").read_text()


def test_a_project_may_be_called_as_the_server_allows(tmp_path: Path) -> None:
    project = Project(id="Acme.One", name="Acme One", keys=[NamedKey(), NamedKey(name="ci")])
    store = CredentialsStore(tmp_path)
    made = [store.load(project, URL, {}, key) for key in project.all_keys]
    for one in made:
        store.keep_verified(one)
    assert [one.stem for one in made] == ["Acme.One", "keys/Acme.One.ci"]
    assert [(project_in(one.stem), key_in(one.stem)) for one in made] == [
        ("Acme.One", "default"), ("Acme.One", "ci")
    ]  # fmt: skip
    assert store.projects() == ["Acme.One"]
    assert {one.project_id for one in store.others(())} == {"Acme.One"}


def test_a_fixed_key_takes_its_secret_from_the_environment(tmp_path: Path) -> None:
    keys = CredentialsStore(tmp_path).load(ZEUS, URL, {"ZEUS_SECRET": "sk-lf-test-zeus"})
    assert (keys.public_key, keys.secret_key, keys.verified) == ("pk-lf-test-zeus", "sk-lf-test-zeus", False)


def test_a_fixed_key_without_its_secret_is_refused_with_the_variable(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes its secret part from ZEUS_SECRET, which is not set"):
        CredentialsStore(tmp_path).load(ZEUS, URL, {})


def test_a_fixed_key_that_differs_from_the_kept_one_is_not_verified(tmp_path: Path) -> None:
    store = CredentialsStore(tmp_path)
    store.keep_verified(store.load(ZEUS, URL, {"ZEUS_SECRET": "sk-lf-test-old"}))
    assert store.load(ZEUS, URL, {"ZEUS_SECRET": "sk-lf-test-old"}).verified
    assert not store.load(ZEUS, URL, {"ZEUS_SECRET": "sk-lf-test-new"}).verified


def test_the_secret_is_not_in_the_representation(tmp_path: Path) -> None:
    keys = CredentialsStore(tmp_path).load(KOSMOS, URL, {})
    assert keys.secret_key not in repr(keys)
