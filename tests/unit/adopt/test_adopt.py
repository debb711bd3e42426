"""What is found in an official compose stack, read by Docker Compose itself, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.core.console import Console
from scripts.core.errors import UsageError
from scripts.core.runner import Completed, SubprocessRunner
from scripts.data.adopt import command
from scripts.data.adopt.content import differences
from scripts.data.adopt.journal import Entry, journal_of
from scripts.data.adopt.proposal import Organization, proposal
from scripts.data.adopt.rules import Facts, notes, refusals
from scripts.data.adopt.source import GROUPS, Place, Source, read_source, unusable
from scripts.docker.other_compose import OtherCompose
from scripts.engines.base import GIB
from scripts.engines.context import Context
from scripts.provision.loading import parse_stack
from scripts.settings.envfile import write_values
from tests.unit.compose.conftest import without_compose
from tests.unit.scripts.fakes import FakeRunner, Screen, layout_in, settings_with

OFFICIAL = Path(__file__).parent / "official" / "docker-compose.yml"
HOSTILE = """a$b 'c' "d" # e=+/"""
KEY = "0123456789abcdef" * 4


def model_of(directory: Path, text: str = "", **env: str) -> dict[str, Any]:
    """Return what Docker Compose makes of the official file with `env` in `.env`."""
    if reason := without_compose():
        pytest.skip(f"{reason}: the file cannot be read as Docker Compose reads it")
    (directory / "docker-compose.yml").write_text(text or OFFICIAL.read_text())
    write_values(directory / ".env", env)
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory), "COMPOSE_PROJECT_NAME": "ours"}
    runner = SubprocessRunner(directory)
    return OtherCompose(layout_in(directory), settings_with(), environment, runner, directory).described()


def source_of(directory: Path, text: str = "", **env: str) -> Source:
    return read_source(model_of(directory, text, **{"ENCRYPTION_KEY": KEY, **env}), {})


def test_the_defaults_of_the_official_file_are_found(tmp_path: Path) -> None:
    source = source_of(tmp_path)
    assert source.database == "postgres"
    assert source.secrets == {"SALT": "mysalt", "ENCRYPTION_KEY": KEY, "NEXTAUTH_SECRET": "mysecret"}
    assert {group: source.place(group) for group in GROUPS} == {
        group: Place("langfuse", f"{group}/", "auto", "minio", "miniosecret") for group in GROUPS
    }
    assert source.redis_password == "myredissecret"
    assert source.carried() == {}
    assert [*unusable(source)] == []


def test_values_of_its_env_file_are_taken_as_they_are(tmp_path: Path) -> None:
    """Compose shows each dollar as two: with them keys would stop working."""
    source = source_of(
        tmp_path,
        SALT=HOSTILE,
        NEXTAUTH_SECRET="Zm9v+/b4ckZ2FyeQ==",
        REDIS_AUTH=HOSTILE,
        DATABASE_URL="postgresql://langfuse:p%40ss@postgres:5432/lang%24fuse?sslmode=disable",
        LANGFUSE_S3_MEDIA_UPLOAD_BUCKET="pictures",
        LANGFUSE_S3_MEDIA_UPLOAD_PREFIX="",
        SMTP_CONNECTION_URL="smtp://mail.acme.example:25",
    )
    assert source.secrets["SALT"] == HOSTILE == source.redis_password
    assert source.secrets["NEXTAUTH_SECRET"] == "Zm9v+/b4ckZ2FyeQ=="
    assert source.database == "lang$fuse"
    assert (source.place("media").bucket, source.place("media").prefix) == ("pictures", "media/")
    assert source.carried() == {"SMTP_CONNECTION_URL": "smtp://mail.acme.example:25"}
    assert [*unusable(source)] == []


def test_a_project_name_of_ours_does_not_reach_the_other_stack(tmp_path: Path) -> None:
    assert model_of(tmp_path)["name"] == tmp_path.name.lower().replace("[", "").replace("]", "")


def test_what_containers_were_started_with_counts_and_differences_are_named(tmp_path: Path) -> None:
    model = model_of(tmp_path, SALT="the new one")
    started = {name: {**model["services"][name]["environment"], "SALT": "the old one"}
               for name in ("langfuse-web", "langfuse-worker")}  # fmt: skip
    source = read_source(model, started)
    assert source.secrets["SALT"] == "the old one"
    assert source.changed == ("SALT",)
    assert any(
        "other values than the file has now" in note and "SALT" in note for note in notes(source, FACTS)
    )


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        ({"DATABASE_URL": "postgresql://u:p@db.acme.example/langfuse"}, "uses db.acme.example instead of"),
        ({"CLICKHOUSE_URL": "https://ch.acme.example:8443"}, "uses ch.acme.example instead of"),
        ({"REDIS_HOST": "cache.acme.example"}, "uses cache.acme.example instead of"),
        ({"LANGFUSE_S3_EVENT_UPLOAD_ENDPOINT": "https://s3.acme.example"}, "uses s3.acme.example instead of"),
        ({"DATABASE_URL": "postgresql://u:p@postgres/x?schema=lf"}, "in the schema lf"),
        ({"CLICKHOUSE_CLUSTER_ENABLED": "true"}, "CLICKHOUSE_CLUSTER_ENABLED is true"),
        ({"LANGFUSE_USE_AZURE_BLOB": "true"}, "LANGFUSE_USE_AZURE_BLOB is true"),
    ],
)
def test_a_stack_whose_stores_are_elsewhere_is_refused(
    tmp_path: Path, env: dict[str, str], reason: str
) -> None:
    (refusal,) = unusable(source_of(tmp_path, **env))
    assert reason in refusal.reason
    assert refusal.fix


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("  langfuse-web:\n", "  front:\n", "no service langfuse-web"),
        ("      SALT: ${SALT:-mysalt}\n", "      SALT: one\n      LANGFUSE_MIGRATION_V4_WRITE_MODE: dual\n",
         "LANGFUSE_MIGRATION_V4_WRITE_MODE is dual"),
        ("      <<: *worker\n", "      <<: *worker\n      SALT: another\n", "SALT differs between"),
        ("      <<: *worker\n", "      <<: *worker\n      CLICKHOUSE_DB: traces\n", "database is traces"),
    ],
)  # fmt: skip
def test_an_edited_file_is_refused_where_that_matters(
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    text = OFFICIAL.read_text()
    assert text.count(old) == 1
    (refusal,) = unusable(source_of(tmp_path, text.replace(old, new)))
    assert reason in refusal.reason


def test_a_directory_without_a_compose_file_is_refused_with_what_compose_says(tmp_path: Path) -> None:
    if reason := without_compose():
        pytest.skip(reason)
    runner = SubprocessRunner(tmp_path)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    empty = tmp_path / "empty"
    empty.mkdir()
    other = OtherCompose(layout_in(tmp_path), settings_with(), environment, runner, empty)
    with pytest.raises(UsageError, match="has no compose file that Docker Compose takes") as caught:
        other.described()
    assert "no configuration file provided" in " ".join(caught.value.details)


FACTS = Facts(
    version="4.16.0",
    postgres=17,
    clickhouse="25.12.3.21",
    rows={"observations": 20_000},
    organizations=(Organization("acme", "Acme", (("kosmos", "Kosmos"),)),),
    sizes={"PostgreSQL": GIB, "ClickHouse": GIB, "media": GIB},
    free_bytes=10 * GIB,
)
GOOD = {"SALT": "0a1b2c3d", "NEXTAUTH_SECRET": "0a1b2c3d4e", "ENCRYPTION_KEY": "0a1b2c3d4e5f"}
SOURCE = Source(web=GOOD, worker={}, postgres={}, redis_password="")


def test_nothing_is_refused_of_a_stack_that_is_in_order() -> None:
    assert [*refusals(FACTS, "4.59.0")] == []
    assert [*notes(SOURCE, FACTS)] == []


@pytest.mark.parametrize(
    ("changed", "reason", "fix"),
    [
        ({"version": ""}, "does not say which version", "docker compose up -d"),
        (
            {"version": "3.225.4"},
            "It is version 3.225.4: its data has another form",
            "upgrade it to version 4 where",
        ),
        ({"version": "4.15.0"}, "4.16.0 or newer is taken over", "docker compose pull"),
        ({"version": "4.60.0"}, "newer than 4.59.0", "update this repository"),
        ({"postgres": 18}, "PostgreSQL is 18; 15 to 17", "make import FROM_URL="),
        ({"postgres": 14}, "PostgreSQL is 14; 15 to 17", "upgrade it there first"),
        ({"clickhouse": "25.8.2.1"}, "too old for Langfuse 4", "change the image of clickhouse"),
        (
            {"unfinished": ("20260101_x",)},
            "Migrations of PostgreSQL are unfinished: 20260101_x",
            "finish them",
        ),
        ({"dirty": True}, "last migration of ClickHouse is unfinished", "finish it there"),
        ({"background": ("20250417_backfill",)}, "not finished: 20250417_backfill", "/background-migrations"),
        ({"free_bytes": 8 * GIB}, "9.0 GiB of disk are needed and 8.0 GiB are free", "STACK_DIR"),
        ({"has_data": True}, "has data already", "make destroy"),
    ],
)
def test_what_cannot_be_right_is_refused_with_what_to_do(
    changed: Mapping[str, Any], reason: str, fix: str
) -> None:
    (refusal,) = refusals(replace(FACTS, **changed), "4.59.0")
    assert reason in refusal.reason
    assert fix in refusal.fix


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ({"waiting": {"otel-ingestion-queue": 3}}, "are let finish first: otel-ingestion-queue 3"),
        ({"failed": {"webhook": 2}}, "given up do not come along: webhook 2"),
        (
            {"organizations": (Organization("a", "Acme"), Organization("z", "Zeus"))},
            "2 organizations: all come",
        ),
        ({"clickhouse": "26.5.1.1"}, "newer than the bundled one"),
    ],
)
def test_what_is_to_be_known_is_said(changed: Mapping[str, Any], note: str) -> None:
    (found,) = notes(SOURCE, replace(FACTS, **changed))
    assert note in found


def test_well_known_secrets_are_named(tmp_path: Path) -> None:
    (note,) = notes(read_source(model_of(tmp_path), {}), FACTS)
    assert "SALT, ENCRYPTION_KEY, NEXTAUTH_SECRET" in note
    assert "mysalt" not in note


def test_a_stack_that_does_not_run_is_told_how_to_start_it(tmp_path: Path) -> None:
    answer = Completed(0, json.dumps({"name": "langfuse", **model_of(tmp_path, ENCRYPTION_KEY=KEY)}))
    runner = FakeRunner({"config --format json": answer})
    screen = Screen()
    context = Context(layout_in(tmp_path / "ours"), {}, Console({}, screen.out, screen.err), runner)
    with pytest.raises(UsageError, match=r"langfuse-web, .* do not run; nothing was changed") as caught:
        command.adopt(context, source=tmp_path, check=True, yes=False, undo=False)
    assert "docker compose up -d" in caught.value.fix
    asked = {"config", "ps", "inspect"}
    assert all(set(call) & asked for call in runner.calls)
    shutil.rmtree(tmp_path / "ours", ignore_errors=True)


def test_the_proposal_is_a_stack_file_with_all_organizations_that_it_can_name(tmp_path: Path) -> None:
    text, left = proposal(
        [
            Organization(
                "acme", "Acme", (("Kosmos.One", "Kosmos: one"), ("a b", "Odd")), "owner@acme.example"
            ),
            Organization("z", "Z", (("zeus", "Zeus"),)),
            Organization("cm1", "Hermes # 1", (("hermes", "Hermes"),), "second@acme.example"),
        ]
    )
    stack = parse_stack(text, "stack.yaml")
    assert [one.id for one in (stack.organization, *stack.organizations)] == ["acme", "cm1"]
    assert [(one.id, one.name, one.organization) for one in stack.projects] == [
        ("Kosmos.One", "Kosmos: one", "acme"),
        ("hermes", "Hermes", "cm1"),
    ]
    assert stack.admin.email == "owner@acme.example"
    assert left == ["organization Z", "project a b"]


def test_what_is_not_the_same_is_named_with_both_counts() -> None:
    there = {"postgres prompts kosmos": ["2", "9"], "clickhouse scores kosmos": ["1", "5"]}
    here = {"postgres prompts kosmos": ["2", "8"], "clickhouse scores kosmos": ["1", "5"]}
    assert differences(there, there) == []
    assert differences(there, here) == [
        "postgres prompts kosmos: 2 rows (hash 9) there, 2 rows (hash 8) here"
    ]
    assert differences(there, {}) == [
        "clickhouse scores kosmos: 1 rows (hash 5) there, nothing here",
        "postgres prompts kosmos: 2 rows (hash 9) there, nothing here",
    ]


def test_undo_of_what_was_not_taken_over_is_refused(tmp_path: Path) -> None:
    runner = FakeRunner({"config --format json": Completed(0, '{"name": "langfuse", "services": {}}')})
    context = Context(layout_in(tmp_path / "ours"), {}, Console({}, Screen().out, Screen().err), runner)
    with pytest.raises(UsageError, match="Nothing was taken over from"):
        command.adopt(context, source=tmp_path, check=False, yes=True, undo=True)
    assert not any("start" in call or "update" in call for call in runner.calls)


def test_undo_stops_this_stack_and_starts_the_old_one_with_its_policies(tmp_path: Path) -> None:
    runner = FakeRunner({"config --format json": Completed(0, '{"name": "langfuse", "services": {}}')})
    layout = layout_in(tmp_path / "ours")
    layout.stack_dir.mkdir(parents=True)
    policies = {"c1": "always", "c2": "unless-stopped"}
    journal_of(layout).save(Entry(str(tmp_path), "langfuse", policies, done=True))
    context = Context(layout, {}, Console({}, Screen().out, Screen().err), runner)
    with pytest.raises(UsageError, match=r"has taken over .* already"):
        command.adopt(context, source=tmp_path, check=False, yes=True, undo=False)
    assert command.adopt(context, source=tmp_path, check=False, yes=True, undo=True) == 0
    said = runner.lines()
    assert "docker update --restart=always c1" in said
    assert "docker update --restart=unless-stopped c2" in said
    assert said[-1].endswith(f"--project-directory {tmp_path} --project-name langfuse start")
    assert journal_of(layout).read() is None
