"""An external PostgreSQL on a real server: schemas change places, and nothing but `public` is touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scripts.core.errors import CommandFailed
from scripts.core.runner import SubprocessRunner
from scripts.docker.compose import Compose
from scripts.stores.errors import StoreError
from scripts.stores.external import POSTGRES, PostgresLogin
from scripts.stores.external_postgres import ExternalPostgres
from tests.unit.scripts.fakes import layout_in, settings_with

from .postgres_server import DATABASE, PASSWORDS, Server

# Runs what is asked of a service here: `docker compose ... exec -T SERVICE PROGRAM ...`.
HERE = """while [ "$1" != exec ]; do shift; done
shift 3
exec "$@"
"""
SHOW = """select string_agg(id || coalesce(role::text, '-'), ',' order by id) from "Trace";"""
SCHEMAS = "select string_agg(nspname, ',' order by nspname) from pg_namespace where nspname !~ '^pg_|^info'"


def external(server: Server, directory: Path, role: str = "langfuse_app") -> ExternalPostgres:
    """Return the database of a server as a role reaches it."""
    docker = directory / "bin" / "docker"
    docker.parent.mkdir(exist_ok=True)
    docker.write_text(f"#!/bin/sh\n{HERE}")
    docker.chmod(0o700)
    login = PostgresLogin(str(server.directory), 5432, DATABASE, role, PASSWORDS[role])
    service = directory / "pg_service.conf"
    service.write_text(login.service())
    environment = {
        "PATH": f"{docker.parent}:{server.programs}:{os.environ['PATH']}",
        "PGSERVICEFILE": str(service),
        "PGSERVICE": "langfuse",
    }
    return ExternalPostgres(
        Compose(layout_in(directory), settings_with(), environment, SubprocessRunner(directory))
    )


@pytest.fixture
def postgres(server: Server, tmp_path: Path) -> ExternalPostgres:
    """Two rows, and what somebody else has beside them."""
    server.ask(
        "drop schema if exists others cascade; create schema others authorization langfuse;"
        " create table others.kept (id int); insert into others.kept values (7);"
    )
    server.ask(
        """truncate "Trace" restart identity; insert into "Trace" (role) values ('A'), (null);""",
        "langfuse_app",
    )
    return external(server, tmp_path)


def dumped(postgres: ExternalPostgres, directory: Path) -> Path:
    """Return a dump as `dump` makes it, which needs the psql of PostgreSQL 16 or later."""
    path = directory / postgres.dump_name
    with path.open("wb") as file:
        argv = ["pg_dump", "--format=custom", "--compress=0", "--no-owner", "--schema=public"]
        postgres.services.into_file(POSTGRES, argv, file, "")
    return path


def test_a_dump_has_the_schema_and_the_counts_of_its_moment(
    postgres: ExternalPostgres, server: Server, tmp_path: Path
) -> None:
    assert postgres.counts() == {"Trace": {"": 2}}
    assert postgres.size() > 0
    assert postgres.has_tables()
    if int(server.ask("show server_version_num")) < 160000:
        pytest.skip("psql before 16 does not say how a program ended: `make rehearse` tries the dump")
    counts = postgres.dump(tmp_path / postgres.dump_name)
    assert counts == {"Trace": {"": 2}}


def test_restored_and_replaced_schemas_change_places_and_back(
    postgres: ExternalPostgres, server: Server, tmp_path: Path
) -> None:
    dump = dumped(postgres, tmp_path)
    server.ask("""insert into "Trace" (role) values ('A'); create table later (id int);""", "langfuse_app")

    postgres.load(dump)
    assert server.ask(SHOW) == "1A,2-,3A", "what is in use stays until the exchange"
    assert server.ask(SCHEMAS) == "langfuse_restored,others,public"

    postgres.exchange()
    assert server.ask(SHOW) == "1A,2-"
    assert postgres.counts() == {"Trace": {"": 2}}
    assert server.ask(SCHEMAS) == "langfuse_before_restore,others,public"
    # What was restored works: enum, default from a sequence, view, function.
    server.ask("""insert into "Trace" (role) values ('A');""", "langfuse_app")
    assert server.ask("select count(*) || ',' || one() || ',' || max(id) from shown;") == "3,1,3"

    postgres.exchange_back()
    postgres.exchange_back()
    assert server.ask(SHOW) == "1A,2-,3A"
    assert server.ask(SCHEMAS) == "others,public"
    assert postgres.counts().keys() == {"Trace", "later"}

    postgres.load(dump)
    postgres.exchange()
    postgres.forget_before()
    assert server.ask(SHOW) == "1A,2-"
    assert server.ask(SCHEMAS) == "others,public"
    assert server.ask("select id from others.kept") == "7"


def test_an_empty_database_is_filled(postgres: ExternalPostgres, server: Server, tmp_path: Path) -> None:
    dump = dumped(postgres, tmp_path)
    server.ask("drop schema public cascade; create schema public authorization pg_database_owner;")
    assert not postgres.has_tables()
    postgres.load(dump)
    postgres.exchange()
    postgres.forget_before()
    assert server.ask(SHOW) == "1A,2-"


def test_a_damaged_dump_changes_nothing(postgres: ExternalPostgres, server: Server, tmp_path: Path) -> None:
    dump = dumped(postgres, tmp_path)
    dump.write_bytes(dump.read_bytes()[:-300])
    with pytest.raises((CommandFailed, StoreError)):
        postgres.load(dump)
    assert server.ask(SHOW) == "1A,2-"
    assert server.ask(SCHEMAS) == "others,public"


def test_a_user_that_may_not_make_schemas_is_told_what_it_needs(
    postgres: ExternalPostgres, server: Server, tmp_path: Path
) -> None:
    dump = dumped(postgres, tmp_path)
    with pytest.raises(StoreError, match="does not allow this") as caught:
        external(server, tmp_path, "langfuse_backup").load(dump)
    assert "GRANT CREATE ON DATABASE" in (caught.value.fix or "")
    assert server.ask(SHOW) == "1A,2-"


def test_changes_are_refused_to_new_and_old_sessions_until_they_are_allowed_again(
    postgres: ExternalPostgres, server: Server
) -> None:
    insert = """insert into "Trace" (role) values ('A');"""
    postgres.refuse_changes()
    postgres.refuse_changes()
    assert "read-only transaction" in server.refuses(insert, "langfuse_app")
    assert server.ask(SHOW, "langfuse_app") == "1A,2-"
    assert postgres.counts() == {"Trace": {"": 2}}
    postgres.allow_changes()
    postgres.allow_changes()
    server.ask(insert, "langfuse_app")
    assert server.ask(SHOW, "langfuse_app") == "1A,2-,3A"
    assert server.ask("select count(*) from pg_db_role_setting") == "0"
