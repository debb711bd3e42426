"""The smoke tests find the server and the keys, and never send a key to another server."""

from __future__ import annotations

from pathlib import Path

import pytest

from smoke_tests.helpers.target import TargetNotFoundError, discover, other_projects

KEYS = {"LANGFUSE_PUBLIC_KEY": "pk-lf-test-env", "LANGFUSE_SECRET_KEY": "sk-lf-test-env"}


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    """Credentials of two projects on one server, and of one elsewhere."""
    for project, url in (
        ("athena", "http://127.0.0.1:3100"),
        ("kosmos", "http://localhost:3100/"),
        ("zeus", "https://langfuse.example.com"),
    ):
        (tmp_path / f"{project}.env").write_text(
            f"# written by bootstrap\nLANGFUSE_BASE_URL={url}\n"
            f"export LANGFUSE_PUBLIC_KEY=pk-lf-test-{project}\nLANGFUSE_SECRET_KEY='sk-lf-test-{project}'\n"
        )
    return tmp_path


def test_the_environment_is_enough(tmp_path: Path) -> None:
    target = discover({"LANGFUSE_BASE_URL": "http://127.0.0.1:3100/", **KEYS}, tmp_path)
    assert (target.base_url, target.public_key) == ("http://127.0.0.1:3100", "pk-lf-test-env")
    assert target.secret_key == "sk-lf-test-env"
    assert target.origin == "environment"


def test_base_url_wins_over_langfuse_base_url(tmp_path: Path) -> None:
    urls = {"BASE_URL": "http://127.0.0.1:1", "LANGFUSE_BASE_URL": "http://127.0.0.1:2"}
    assert discover({**urls, **KEYS}, tmp_path).base_url == "http://127.0.0.1:1"


def test_without_an_environment_the_first_project_is_taken(credentials: Path) -> None:
    target = discover({}, credentials)
    assert (target.public_key, target.secret_key) == ("pk-lf-test-athena", "sk-lf-test-athena")
    assert target.base_url == "http://127.0.0.1:3100"
    assert target.origin == str(credentials / "athena.env")


def test_project_chooses_the_file(credentials: Path) -> None:
    assert discover({"PROJECT": "kosmos"}, credentials).public_key == "pk-lf-test-kosmos"


def test_an_unknown_project_is_refused_with_those_known(credentials: Path) -> None:
    with pytest.raises(TargetNotFoundError, match="known: athena, kosmos, zeus"):
        discover({"PROJECT": "hermes"}, credentials)


def test_nothing_at_hand_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(TargetNotFoundError, match="make up"):
        discover({}, tmp_path)


@pytest.mark.parametrize("missing", KEYS)
def test_half_a_pair_of_keys_is_refused(credentials: Path, missing: str) -> None:
    environ = {name: value for name, value in KEYS.items() if name != missing}
    with pytest.raises(TargetNotFoundError, match=f"{missing} is not"):
        discover(environ, credentials)


def test_a_file_without_a_key_is_named(credentials: Path) -> None:
    (credentials / "athena.env").write_text("LANGFUSE_BASE_URL=http://127.0.0.1:3100\n")
    with pytest.raises(
        TargetNotFoundError, match=r"athena.env lacks LANGFUSE_PUBLIC_KEY, LANGFUSE_SECRET_KEY"
    ):
        discover({}, credentials)


def test_a_stored_key_is_not_sent_to_another_server(credentials: Path) -> None:
    with pytest.raises(TargetNotFoundError, match="belong to"):
        discover({"BASE_URL": "https://other.example.com"}, credentials)


def test_a_stored_key_is_sent_to_another_server_when_the_project_is_named(credentials: Path) -> None:
    target = discover({"BASE_URL": "https://other.example.com", "PROJECT": "zeus"}, credentials)
    assert (target.base_url, target.public_key) == ("https://other.example.com", "pk-lf-test-zeus")


def test_localhost_is_the_server_of_a_key_for_the_loopback_address(credentials: Path) -> None:
    target = discover({"BASE_URL": "http://localhost:3100"}, credentials)
    assert (target.base_url, target.public_key) == ("http://localhost:3100", "pk-lf-test-athena")


def test_keys_of_the_environment_go_to_the_stored_url(credentials: Path) -> None:
    target = discover(KEYS, credentials)
    assert (target.base_url, target.public_key) == ("http://127.0.0.1:3100", "pk-lf-test-env")


def test_other_projects_are_those_on_the_same_server(credentials: Path) -> None:
    others = other_projects(discover({}, credentials), credentials)
    assert [other.public_key for other in others] == ["pk-lf-test-kosmos"]


def test_a_target_does_not_show_its_secret(credentials: Path) -> None:
    assert "sk-lf-test" not in repr(discover({}, credentials))
