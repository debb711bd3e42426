"""The stack that tests of applications get: complete without `make up`, as strict. Needs no engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from testcontainers.compose import DockerCompose

from langfuse_testing.stack import LangfuseStack
from scripts.docker.policy import check

from .conftest import ROOT, Render


@pytest.fixture
def configured(render: Render, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The configurations that were started; nothing is."""
    render()  # skips where compose is not installed
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(DockerCompose, "start", lambda compose: seen.append(compose.get_config()))
    monkeypatch.setattr(DockerCompose, "stop", lambda _compose, **_: None)
    return seen


def test_nothing_is_missing_and_every_rule_is_kept(configured: list[dict[str, Any]]) -> None:
    with LangfuseStack(ROOT) as stack:
        [config] = configured
    assert check(config) == []
    web = config["services"]["langfuse-web"]
    assert stack.base_url == f"http://127.0.0.1:{web['ports'][0]['published']}"
    assert web["environment"]["LANGFUSE_INIT_PROJECT_PUBLIC_KEY"] == stack.keys.public_key
    assert config["name"] == stack.project
    assert {"postgres", "clickhouse", "valkey", "seaweedfs", "langfuse-worker"} < set(config["services"])


def test_variables_of_the_application_do_not_reach_it(
    configured: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://app:app@db.acme.example/app")
    monkeypatch.setenv("COMPOSE_PROFILES", "tls")
    monkeypatch.setenv("SMTP_CONNECTION_URL", "smtp://mail.acme.example")
    with LangfuseStack(ROOT):
        [config] = configured
    web = config["services"]["langfuse-web"]["environment"]
    assert "@postgres:5432/" in web["DATABASE_URL"]
    assert not web["SMTP_CONNECTION_URL"]
    assert "caddy" not in config["services"]


@pytest.mark.parametrize(
    ("files", "separator", "counts"),
    [
        ("{other}", ":", False),
        ("compose.prod.yaml", ":", False),
        ("compose.yaml:{other}", ":", False),
        ("rehearsal/compose.rehearsal.yaml", ":", False),
        ("compose.yaml:rehearsal/compose.rehearsal.yaml", ":", True),
        ("{root}/compose.yaml,rehearsal/compose.rehearsal.yaml", ",", True),
    ],
)
def test_files_of_the_application_that_compose_would_read_do_not_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: str, separator: str, counts: bool
) -> None:
    other = tmp_path / "compose.yaml"
    other.write_text("services: {app: {image: acme}}\n")
    monkeypatch.setenv("COMPOSE_FILE", files.format(other=other, root=ROOT))
    monkeypatch.setenv("COMPOSE_PATH_SEPARATOR", separator)
    monkeypatch.setenv("COMPOSE_ENV_FILES", str(tmp_path / "app.env"))
    command = LangfuseStack(ROOT)._compose.compose_command_property
    hidden = {command[place + 1] for place, word in enumerate(command) if word == "-u"}
    assert "COMPOSE_ENV_FILES" in hidden
    assert ("COMPOSE_FILE" not in hidden) is counts


def test_two_stacks_share_no_name_no_port_and_no_secret(configured: list[dict[str, Any]]) -> None:
    with LangfuseStack(ROOT), LangfuseStack(ROOT):
        first, second = configured
    webs = [config["services"]["langfuse-web"] for config in (first, second)]
    assert first["name"] != second["name"]
    assert webs[0]["ports"][0]["published"] != webs[1]["ports"][0]["published"]
    assert webs[0]["environment"]["SALT"] != webs[1]["environment"]["SALT"]


def test_settings_of_the_caller_win(configured: list[dict[str, Any]]) -> None:
    with LangfuseStack(ROOT, {"LANGFUSE_VERSION": "4.60.0"}):
        [config] = configured
    assert config["services"]["langfuse-web"]["image"].endswith(":4.60.0")
