"""What is asked of the database of an old stack, on a real PostgreSQL with columns of the server's tables."""

from __future__ import annotations

import json

from scripts.data.adopt.asking import ORGANIZATIONS, UNFINISHED_MIGRATIONS
from tests.unit.stores.test_postgres_roles import Server, server

__all__ = ["server"]
TENANCY = """
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


def test_organizations_are_listed_with_their_projects(server: Server) -> None:
    server.ask(TENANCY)
    assert [json.loads(line) for line in server.ask(ORGANIZATIONS).splitlines()] == [
        ["Empty", []],
        ['It\'s "Acme"', ["a", "b"]],
    ]
    assert [json.loads(line) for line in server.ask(UNFINISHED_MIGRATIONS).splitlines()] == ["2_begun"]
