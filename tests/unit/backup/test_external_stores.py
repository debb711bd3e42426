"""Backups of stacks with external stores: what is refused, and that a copy for verification is bundled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.core.console import Console
from scripts.data.backup.drivers.compose import ComposeDriver
from scripts.data.backup.errors import Refused
from scripts.data.backup.manifest import Contents, Manifest, StoredFile
from scripts.data.backup.restoring import refuse_external
from scripts.data.backup.verify import bundled_only
from scripts.docker.compose import Compose
from scripts.engines.compose import ComposeEngine
from scripts.engines.context import Context
from scripts.settings.envfile import parse_env
from scripts.settings.table import SETTINGS
from scripts.settings.values import load_settings
from tests.unit.scripts.fakes import FakeRunner, QuietProgress, Screen, layout_in
from tests.unit.stores.test_external import EXTERNAL

MANIFEST = Manifest(
    engine="compose",
    stack="acme",
    versions={"langfuse": "4.59.0"},
    fingerprints={},
    started="",
    ended="",
    consistency="",
    contents=Contents({}, {}, ()),
    files=(StoredFile("stores/clickhouse/.backup", 1, ""),),
)
OF_TABLES = replace(MANIFEST, files=(StoredFile("stores/clickhouse/tables.json", 1, ""),))
GIVEN = {"LANGFUSE_INIT_USER_PASSWORD": "test-password", "ADMIN_API_KEY": "ad" * 16}


def driver(directory: Path, text: str) -> ComposeDriver:
    layout, settings, runner = (
        layout_in(directory),
        load_settings(SETTINGS, parse_env(text), GIVEN),
        FakeRunner(),
    )
    engine = ComposeEngine(layout, settings, {}, runner, QuietProgress())
    return ComposeDriver(engine, Compose(layout, settings, {}, runner))


def test_a_backup_of_a_bundled_clickhouse_does_not_fit_an_external_one(tmp_path: Path) -> None:
    external = driver(tmp_path, EXTERNAL)
    assert "with BACKUP" in external.refusals(MANIFEST, ())[0]
    assert external.refusals(MANIFEST, ["postgres"]) == []
    assert external.refusals(OF_TABLES, ()) == []
    bundled = driver(tmp_path, "")
    assert (bundled.refusals(MANIFEST, ()), bundled.refusals(OF_TABLES, ())) == ([], [])
    assert bundled.places() == []


def test_keys_with_a_prefix_are_not_restored_around(tmp_path: Path) -> None:
    external = driver(tmp_path, EXTERNAL)
    external.services.layout.langfuse_file.write_text("REDIS_KEY_PREFIX=acme\n")
    assert external.refusals(OF_TABLES, ()) == ["REDIS_KEY_PREFIX of .env.langfuse is not supported here"]


def test_a_copy_for_verification_has_no_address_of_an_external_store() -> None:
    s3 = (
        "export S3_ENDPOINT=https://s3.acme.example\nS3_SECRET_ACCESS_KEY=theirs\nS3_FORCE_PATH_STYLE=false\n"
    )
    text = bundled_only(f"SALT=abc\n{EXTERNAL}{s3}# DATABASE_URL=commented\n")
    values = parse_env(text).values()
    assert "acme" not in text
    assert values.keys() == {
        *("SALT", "CLICKHOUSE_PASSWORD", "REDIS_AUTH", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"),
    }
    assert values["SALT"] == "abc"
    assert "theirs" not in text
    assert "obviously-fake" not in text
    load_settings(SETTINGS, parse_env(text.replace("SALT=abc\n", "")), GIVEN)


def test_an_env_file_without_external_stores_stays_as_it_is() -> None:
    text = "SALT=abc\nCLICKHOUSE_PASSWORD=mine\n"
    assert bundled_only(text) == text


def test_on_an_empty_host_the_external_stores_of_a_backup_are_not_filled_unasked(tmp_path: Path) -> None:
    layout, screen = layout_in(tmp_path), Screen()
    context = Context(layout, {}, Console({}, screen.out, screen.err), FakeRunner())
    stored = tmp_path / "env"
    stored.write_text(EXTERNAL)
    with pytest.raises(Refused, match=r"DATABASE_URL, CLICKHOUSE_URL, REDIS_HOST") as caught:
        refuse_external(context, load_settings(SETTINGS, parse_env(EXTERNAL), GIVEN), stored)
    copy = layout.stack_dir / "env-of-backup"
    assert copy.read_text() == EXTERNAL
    assert copy.stat().st_mode & 0o777 == 0o600
    assert "env-of-backup .env" in (caught.value.fix or "")
    refuse_external(context, load_settings(SETTINGS, parse_env(""), GIVEN), stored)
