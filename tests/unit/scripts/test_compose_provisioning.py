"""The compose engine makes projects and members, and revokes keys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.api.client import Api
from scripts.core.errors import ProvisioningError
from scripts.core.runner import Completed
from scripts.engines.base import WantedMember
from scripts.settings.envfile import parse_env
from scripts.settings.table import SETTINGS
from scripts.settings.values import Settings, load_settings

from .compose_fakes import COMPOSE, make_engine
from .fakes import FakeRunner
from .test_embedded_engine import KOSMOS


def test_a_project_is_created_by_a_web_container_that_is_killed_when_healthy(tmp_path: Path) -> None:
    inspected = iter(["running starting", "running starting", "running healthy"])
    runner = FakeRunner(
        {
            "run --detach": Completed(0, "f00d\n"),
            "inspect": lambda _argv, _env: Completed(0, next(inspected)),
        }
    )
    make_engine(tmp_path, runner).provision([KOSMOS])
    _cpus, created, *looks, removed = runner.calls
    names = [*KOSMOS.init_variables()]
    names += ["LANGFUSE_AUTO_POSTGRES_MIGRATION_DISABLED", "LANGFUSE_AUTO_CLICKHOUSE_MIGRATION_DISABLED"]
    variables = [argument for name in names for argument in ("--env", name)]
    assert created == [*COMPOSE.split(), "run", "--detach", "--no-deps", *variables, "langfuse-web"]
    assert [call[:2] for call in looks] == [["docker", "inspect"]] * 3
    assert removed == ["docker", "rm", "--force", "f00d"]
    environment = runner.environments[1]
    assert environment is not None
    assert environment["LANGFUSE_INIT_PROJECT_SECRET_KEY"] == "sk-lf-test"
    assert environment["LANGFUSE_AUTO_POSTGRES_MIGRATION_DISABLED"] == "true"
    assert not any("sk-lf-test" in argument for call in runner.calls for argument in call)


def test_a_web_container_that_dies_ends_provisioning_with_its_log(tmp_path: Path) -> None:
    runner = FakeRunner(
        {
            "run --detach": Completed(0, "f00d\n"),
            "inspect": Completed(0, "exited "),
            "docker logs": Completed(0, "", "Invalid environment variables\n"),
        }
    )
    with pytest.raises(ProvisioningError, match=r"project kosmos .*the container is exited") as caught:
        make_engine(tmp_path, runner).provision([KOSMOS])
    assert caught.value.details == ("Invalid environment variables",)
    assert runner.lines()[-1] == "docker rm --force f00d"


def test_a_web_container_that_stays_unhealthy_is_removed_at_the_deadline(tmp_path: Path) -> None:
    runner = FakeRunner(
        {"run --detach": Completed(0, "f00d\n"), "inspect": Completed(0, "running unhealthy")}
    )
    with pytest.raises(ProvisioningError, match=r"not within 180 s\. Last seen: running, unhealthy"):
        make_engine(tmp_path, runner).provision([KOSMOS])
    assert runner.lines()[-1] == "docker rm --force f00d"


HERMES = WantedMember("acme", "Acme", "hermes@acme.example", "It's \\ Hermes", "MEMBER", "obviously-fake")


def test_members_are_listed_and_made_in_the_database_without_a_password_among_the_arguments(
    tmp_path: Path,
) -> None:
    listed = '["acme", "admin@acme.example", "OWNER"]\n["zeus", "hermes@acme.example", "VIEWER"]\n'
    listed += '["acme", "Acme"]\n'
    runner = FakeRunner({"exec -T postgres": Completed(0, listed)})
    engine = make_engine(tmp_path, runner)
    tenancy = engine.tenancy()
    assert tenancy is not None
    assert tenancy.projects is None
    assert tenancy.members == {
        ("acme", "admin@acme.example"): "OWNER",
        ("zeus", "hermes@acme.example"): "VIEWER",
    }
    assert tenancy.organizations == {"acme": "Acme"}
    engine.set_organization("acme", "Acme's")
    assert "\\set name 'Acme\\'s'\nupdate organizations" in runner.inputs[-1]
    engine.set_members([HERMES])
    assert not [line for line in runner.lines() if HERMES.password in line]
    said = runner.inputs[-1]
    assert f"\\set password '{HERMES.password}'\n" in said
    assert "\\set name 'It\\'s \\\\ Hermes'\n" in said
    assert (said.count("begin;"), said.count("commit;")) == (1, 1)


def test_members_of_an_external_database_are_left_to_the_user_interface(tmp_path: Path) -> None:
    runner = FakeRunner()
    engine = make_engine(tmp_path, runner)
    external = Settings({**engine.settings.values, "DATABASE_URL": "postgresql://a:b@db.acme.example/x"})
    engine = replace(engine, settings=external)
    assert engine.tenancy() is None
    with pytest.raises(ProvisioningError, match="not one of this stack"):
        engine.set_members([HERMES])
    with pytest.raises(ProvisioningError, match="acme cannot be renamed from here"):
        engine.set_organization("acme", "Acme")
    assert runner.calls == []


def test_a_member_with_a_line_end_is_refused_before_psql_reads_it(tmp_path: Path) -> None:
    runner = FakeRunner()
    with pytest.raises(ProvisioningError, match="password has more than one line"):
        make_engine(tmp_path, runner).set_members([replace(HERMES, password="a\n\\! id")])
    assert runner.calls == []


def test_a_key_is_revoked_in_the_database_and_the_servers_cache_is_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emptied: list[str] = []
    monkeypatch.setattr(Api, "forget_rejected_keys", lambda api, _key: emptied.append(api.base_url))
    runner = FakeRunner()
    engine = make_engine(tmp_path, runner)
    engine.revoke(["pk-lf-test-1", "pk-lf-test-2"])
    (call,) = runner.calls
    assert call[: len(COMPOSE.split()) + 5] == [*COMPOSE.split(), "exec", "-T", "postgres", "sh", "-c"]
    assert 'PGPASSWORD="$POSTGRES_PASSWORD" exec psql' in call[-2]
    assert call[-1] == "DELETE FROM api_keys WHERE public_key IN ('pk-lf-test-1', 'pk-lf-test-2');"
    assert emptied == [engine.local_url]


def test_what_is_no_key_never_gets_into_a_statement(tmp_path: Path) -> None:
    runner = FakeRunner()
    make_engine(tmp_path, runner).revoke(["pk-lf-x'); DROP TABLE api_keys; --"])
    assert runner.calls == []


def test_with_a_database_of_ones_own_the_statement_is_named(tmp_path: Path) -> None:
    runner = FakeRunner()
    engine = make_engine(tmp_path, runner)
    # Such a setting counts in the file only.
    written = parse_env("DATABASE_URL=postgresql://langfuse@db.acme.example/langfuse\n")
    own = load_settings(SETTINGS, written, engine.settings.values)
    with pytest.raises(ProvisioningError, match="the database is not one of this stack") as caught:
        replace(engine, settings=own).revoke(["pk-lf-test-1"])
    assert caught.value.fix.endswith(": DELETE FROM api_keys WHERE public_key IN ('pk-lf-test-1');")
    assert runner.calls == []
