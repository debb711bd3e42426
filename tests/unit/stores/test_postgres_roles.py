"""config/postgres/roles.sql on a real PostgreSQL: server, backups and monitoring can do what they must."""

from __future__ import annotations

import pytest

from .postgres_server import PASSWORDS, Server


def test_a_second_run_changes_nothing_and_says_nothing(server: Server) -> None:
    server.make_roles()
    assert server.foreign() == ""
    assert (
        server.ask("select rolname from pg_roles where rolname like 'langfuse%' and rolsuper") == "langfuse"
    )


def test_the_server_migrates_what_an_older_stack_made(server: Server) -> None:
    statement = (
        'alter table "Trace" add name text; insert into "Trace" (name) values (\'x\');'
        " alter type \"Role\" add value if not exists 'B'; create table made (id int); drop table made;"
        " drop function one(); create schema other; drop schema other; select pg_advisory_lock(72707369);"
    )
    server.ask(statement, "langfuse_app")


@pytest.mark.parametrize(
    "statement",
    [
        "copy (select 1) to program 'id'",
        "select pg_read_file('/etc/passwd')",
        "create role intruder superuser",
        "alter role langfuse password 'x'",
        "alter system set log_statement = 'all'",
        "create database other",
        "set role langfuse",
        "select rolpassword from pg_authid",
    ],
)
def test_the_server_is_no_administrator(server: Server, statement: str) -> None:
    why = server.refuses(statement, "langfuse_app")
    assert "permission denied" in why or "must be" in why or "have privileges" in why


def test_backups_read_everything_and_write_nothing(server: Server) -> None:
    dump = server.directory / "dump"
    done = server.run("pg_dump", "--format=custom", "--no-owner", f"--file={dump}", role="langfuse_backup")
    assert done.returncode == 0, done.stderr
    assert "permission denied" in server.refuses('delete from "Trace"', "langfuse_backup")
    # As a restore does it: the property of the server's user from the beginning.
    server.ask("create database restored owner langfuse_app template template0")
    arguments = ("--exit-on-error", "--no-owner", "--no-privileges", "--role=langfuse_app")
    done = server.run("pg_restore", *arguments, "--dbname=restored", str(dump))
    assert done.returncode == 0, done.stderr
    owners = "\\c restored\nselect distinct tableowner from pg_tables where schemaname = 'public'"
    assert server.ask(owners) == "langfuse_app"


def test_monitoring_reads_statistics_and_no_data(server: Server) -> None:
    assert int(server.ask("select count(*) from pg_stat_activity", "langfuse_monitor")) >= 1
    assert "permission denied" in server.refuses('select * from "Trace"', "langfuse_monitor")


def test_another_password_counts_after_the_next_run(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PASSWORDS, "langfuse_app", "rotated-password-of-a-test")
    assert "password authentication failed" in server.refuses("select 1", "langfuse_app")
    server.make_roles()
    assert server.ask("select 1", "langfuse_app") == "1"


def test_the_log_holds_no_password(server: Server) -> None:
    log = (server.directory / "log").read_text()
    assert [name for name, password in PASSWORDS.items() if password in log] == []
