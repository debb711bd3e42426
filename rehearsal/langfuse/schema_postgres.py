"""The tables of PostgreSQL that something outside of Langfuse looks at, by the names that they have there.

Other data that belongs into PostgreSQL (prompts, datasets and so on) stands there as the engine keeps it:
see mirror.py.
"""

from __future__ import annotations

TABLES = (
    """create table organizations (
        id text primary key, name text not null, metadata jsonb,
        created_at timestamp not null default now(), updated_at timestamp not null default now())""",
    """create table projects (
        id text primary key, org_id text not null references organizations on delete cascade,
        name text not null, metadata jsonb, retention_days int, has_traces boolean not null default false,
        created_at timestamp not null default now(), updated_at timestamp not null default now(),
        deleted_at timestamp)""",
    """create table api_keys (
        id text primary key, project_id text references projects on delete cascade,
        organization_id text references organizations on delete cascade,
        scope text not null default 'PROJECT', note text, public_key text not null unique,
        hashed_secret_key text not null unique, fast_hashed_secret_key text unique,
        display_secret_key text not null, created_at timestamp not null default now(),
        last_used_at timestamp, expires_at timestamp)""",
    """create table users (
        id text primary key, name text, email text unique, password text,
        admin boolean not null default false,
        created_at timestamp not null default now(), updated_at timestamp not null default now())""",
    """create table organization_memberships (
        id text primary key, org_id text not null references organizations on delete cascade,
        user_id text not null references users on delete cascade, role text not null,
        created_at timestamp not null default now(), updated_at timestamp not null default now(),
        unique (org_id, user_id))""",
    """create table llm_api_keys (
        id text primary key, project_id text not null references projects on delete cascade,
        provider text not null, adapter text not null, display_secret_key text not null,
        secret_key text not null, base_url text,
        created_at timestamp not null default now(), updated_at timestamp not null default now(),
        unique (project_id, provider))""",
    """create table pending_deletions (
        id text primary key, project_id text not null references projects on delete cascade,
        object text not null, object_id text not null, is_deleted boolean not null default false,
        created_at timestamp not null default now(), updated_at timestamp not null default now())""",
    """create table audit_logs (
        id text primary key, created_at timestamp not null default now(),
        updated_at timestamp not null default now(), type text not null default 'USER', api_key_id text,
        user_id text, org_id text not null, user_org_role text, project_id text, user_project_role text,
        resource_type text not null, resource_id text not null, action text not null,
        before text, after text)""",
    """create table background_migrations (
        id text primary key, name text not null unique, script text not null, args jsonb not null,
        state jsonb not null default '{}', finished_at timestamp, failed_at timestamp, failed_reason text,
        worker_id text, locked_at timestamp)""",
)

HISTORY = """create table if not exists _prisma_migrations (
    id text primary key, checksum text not null, migration_name text not null, logs text,
    started_at timestamptz not null default now(), finished_at timestamptz, rolled_back_at timestamptz,
    applied_steps_count int not null default 0)"""
