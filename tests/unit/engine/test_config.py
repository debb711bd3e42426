"""The engine reads the server's own variables, and refuses what cannot work before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from langfuse_embedded.config import EngineConfig, InitialProject, InitialUser, config_from_environment
from langfuse_embedded.errors import ConfigError

FULL = {
    "LANGFUSE_INIT_ORG_ID": "acme",
    "LANGFUSE_INIT_ORG_NAME": "Acme",
    "LANGFUSE_INIT_PROJECT_ID": "kosmos",
    "LANGFUSE_INIT_PROJECT_NAME": "Kosmos",
    "LANGFUSE_INIT_PROJECT_PUBLIC_KEY": "pk-lf-test",
    "LANGFUSE_INIT_PROJECT_SECRET_KEY": "sk-lf-test",
    "LANGFUSE_INIT_USER_EMAIL": "Admin@acme.example",
    "LANGFUSE_INIT_USER_NAME": "Admin",
    "LANGFUSE_INIT_USER_PASSWORD": "long enough",
}


def read(**env: str) -> EngineConfig:
    return config_from_environment(env, data_dir=Path("data"))


def test_the_initial_project_is_read_from_the_servers_variables() -> None:
    assert read(**FULL).init == InitialProject(
        "acme",
        "Acme",
        "kosmos",
        "Kosmos",
        "pk-lf-test",
        "sk-lf-test",
        InitialUser("admin@acme.example", "Admin", "long enough"),
    )


def test_without_an_organization_nothing_else_counts() -> None:
    assert read(**{**FULL, "LANGFUSE_INIT_ORG_ID": ""}).init is None


def test_all_bad_values_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read(
            **{
                **FULL,
                "LANGFUSE_INIT_USER_PASSWORD": "short",
                "LANGFUSE_MIGRATION_V4_WRITE_MODE": "legacy",
                "INGEST_LAG_MS": "soon",
            }
        )
    text = str(caught.value)
    for name in ("LANGFUSE_INIT_USER_PASSWORD", "LANGFUSE_MIGRATION_V4_WRITE_MODE", "INGEST_LAG_MS"):
        assert name in text


def test_the_default_mode_hides_legacy_reads() -> None:
    assert read().events_only
    assert not read(LANGFUSE_MIGRATION_V4_WRITE_MODE="dual").events_only


def test_links_begin_with_the_public_url_without_its_last_slash() -> None:
    assert read(NEXTAUTH_URL="https://langfuse.acme.example/").public_url == "https://langfuse.acme.example"
