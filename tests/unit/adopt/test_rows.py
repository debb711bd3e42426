"""Statements about the rows of an old stack, on a real PostgreSQL with the columns of the server's tables."""

from __future__ import annotations

import json

import pytest

from scripts.data.adopt.asking import ORGANIZATIONS, UNFINISHED_MIGRATIONS
from scripts.data.adopt.capture import moved_rows
from scripts.data.adopt.content import hashes_of_tables
from scripts.data.adopt.source import Place
from tests.unit.stores.postgres_server import Server, server

__all__ = ["server"]
# packages/shared/prisma/schema.prisma of the server at v4.16.0 (Media, BatchExport), as far as it matters.
TABLES = """
drop table if exists media, batch_exports, projects;
create table projects (id text primary key, org_id text, deleted_at timestamp(3));
create table media (id text, project_id text, bucket_name text not null, bucket_path text not null,
    content_length bigint, created_at timestamp(3) default '2026-01-01', primary key (project_id, id));
create table batch_exports (id text primary key, project_id text, url text, expires_at timestamp(3));
insert into projects values ('Kosmos.One', 'acme', null);
insert into media values ('m1', 'Kosmos.One', 'it''s $1', 'media/Kosmos.One/m1.png', 3),
    ('m2', 'Kosmos.One', 'another', 'media/Kosmos.One/m2.png', 4),
    ('m3', 'zeus', 'it''s $1', 'elsewhere/zeus/m3.png', 5);
insert into batch_exports values
    ('e1', 'zeus', 'http://minio/x', now() + interval '1 day'), ('e2', 'zeus', null, null);
"""
TENANCY = """
drop table projects;
create type "OrgRole" as enum ('OWNER', 'MEMBER');
create table organizations (id text primary key, name text, created_at timestamp(3) default '2026-01-01');
create table projects (id text primary key, name text, org_id text, deleted_at timestamp(3));
create table users (id text primary key, email text);
create table organization_memberships (id text primary key, org_id text, user_id text, role "OrgRole");
create table _prisma_migrations (migration_name text, started_at timestamptz default now(),
    finished_at timestamptz, rolled_back_at timestamptz);
insert into organizations values ('acme', 'It''s "Acme"'), ('empty', 'Empty');
insert into projects values
    ('b', 'B', 'acme', null), ('a', 'A', 'acme', null), ('gone', 'Gone', 'acme', now());
insert into users values ('u1', 'owner@acme.example'), ('u2', 'a-member@acme.example');
insert into organization_memberships values ('m1', 'acme', 'u1', 'OWNER'), ('m2', 'acme', 'u2', 'MEMBER');
insert into _prisma_migrations values ('1_done', now(), now(), null), ('2_begun', now(), null, null),
    ('3_rolled_back', now(), null, now());
"""
PLACE = Place("it's $1", "media/", "auto", "", "")


@pytest.fixture(autouse=True)
def tables(server: Server) -> None:
    server.ask(TABLES)


def test_only_media_of_the_old_place_are_moved_and_links_to_exports_end(server: Server) -> None:
    server.ask(moved_rows(PLACE, "langfuse-media"))
    assert server.ask("select id, bucket_name, bucket_path from media order by id").splitlines() == [
        "m1|langfuse-media|Kosmos.One/m1.png",
        "m2|another|media/Kosmos.One/m2.png",
        "m3|it's $1|elsewhere/zeus/m3.png",
    ]
    assert server.ask("select expires_at <= now() from batch_exports where url is not null") == "t"
    server.ask("drop table media")
    server.ask(moved_rows(PLACE, "langfuse-media"))


def hashes(server: Server) -> dict[str, list[str]]:
    rows = map(json.loads, server.ask(hashes_of_tables()).splitlines())
    return {f"{table} {project}".strip(): [count, total] for table, project, count, total in rows}


def test_hashes_are_those_of_content_whatever_the_order_and_the_place(server: Server) -> None:
    before = hashes(server)
    assert before["media Kosmos.One"][0] == "2"
    assert (before["media zeus"][0], before["projects"][0]) == ("1", "1")
    server.ask("create table aside as select * from media order by id desc; truncate media")
    server.ask("insert into media select * from aside; drop table aside")
    server.ask("update media set bucket_name = 'x', bucket_path = 'y'")
    assert hashes(server) == before
    server.ask("update media set content_length = 6 where id = 'm3'")
    after = hashes(server)
    assert {name for name in before if after[name] != before[name]} == {"media zeus"}


def test_organizations_are_listed_with_their_projects_and_an_owner(server: Server) -> None:
    server.ask(TENANCY)
    assert [json.loads(line) for line in server.ask(ORGANIZATIONS).splitlines()] == [
        ["acme", 'It\'s "Acme"', [["a", "A"], ["b", "B"]], "owner@acme.example"],
        ["empty", "Empty", [], ""],
    ]
    assert [json.loads(line) for line in server.ask(UNFINISHED_MIGRATIONS).splitlines()] == ["2_begun"]
