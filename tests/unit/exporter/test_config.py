"""Where the exporter finds the stores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from scripts.core.console import Console
from scripts.engines.context import Context
from scripts.watch.exporter.config import STORE_SETTINGS, exporter_config
from tests.unit.scripts.fakes import FakeRunner, layout_in

REPOSITORY = Path(__file__).parents[3]
GIVEN = {
    "EXPORTER_LANGFUSE_URL": "http://langfuse-web:3000",
    "DATABASE_URL": "postgresql://langfuse:obviously-fake@postgres:5432/langfuse?sslmode=disable",
    "CLICKHOUSE_URL": "http://clickhouse:8123",
    "CLICKHOUSE_USER": "langfuse",
    "CLICKHOUSE_PASSWORD": "obviously-fake",
    "CLICKHOUSE_DB": "default",
    "S3_ENDPOINT": "http://seaweedfs:8333",
    "S3_REGION": "us-east-1",
    "S3_EVENTS_BUCKET": "langfuse-events",
    "S3_ACCESS_KEY_ID": "obviously-fake",
    "S3_SECRET_ACCESS_KEY": "obviously-fake",
    "S3_FORCE_PATH_STYLE": "true",
    "ADMIN_API_KEY": "ad" * 16,
}
"""What the container of the exporter has in its environment."""


def context_with(directory: Path, environment: Mapping[str, str], env_file: str = "") -> Context:
    layout = layout_in(directory)
    if env_file:
        layout.env_file.write_text(env_file)
    (directory / "config").mkdir()
    return Context(layout, environment, Console({}), FakeRunner())


def test_the_container_reaches_the_stores_that_its_environment_names(tmp_path: Path) -> None:
    """Settings of stores are taken from `.env` only, as a host's environment may hold an application's."""
    context = context_with(tmp_path, GIVEN)
    settings = context.lenient_settings()
    assert not settings.get("DATABASE_URL")
    assert not settings.get("CLICKHOUSE_URL")
    stores = exporter_config(context).stores
    assert stores is not None
    for name in GIVEN.keys() - {"EXPORTER_LANGFUSE_URL"}:
        assert stores[name] == GIVEN[name], name


@pytest.mark.parametrize("missing", STORE_SETTINGS)
def test_without_one_of_them_it_does_not_look(tmp_path: Path, missing: str) -> None:
    environment = {name: value for name, value in GIVEN.items() if name != missing}
    assert exporter_config(context_with(tmp_path, environment)).stores is None


def test_on_a_host_what_an_env_file_says_of_external_stores_is_not_taken(tmp_path: Path) -> None:
    """The addresses of `.env` hold inside of the networks of the stack."""
    lines = [f"{name}={GIVEN[name]}" for name in ("DATABASE_URL", "CLICKHOUSE_URL", "S3_ENDPOINT")]
    context = context_with(tmp_path, {"EXPORTER_LANGFUSE_URL": "http://127.0.0.1:3000"}, "\n".join(lines))
    assert exporter_config(context).stores is None


def test_compose_names_every_setting_that_the_stores_are_reached_with() -> None:
    document = yaml.safe_load((REPOSITORY / "compose.yaml").read_text(encoding="utf-8"))
    given = document["services"]["exporter"]["environment"]
    assert given.keys() >= GIVEN.keys()
