-- Organizations, projects, keys and users: who may see what.
create table organizations (
    id text primary key,
    name text not null,
    created_at integer not null
) strict;

create table projects (
    id text primary key,
    organization_id text not null references organizations (id),
    name text not null,
    metadata text not null default '{}',
    created_at integer not null
) strict;

create table api_keys (
    id text primary key,
    project_id text not null references projects (id),
    public_key text not null unique,
    -- sha256(secret || sha256hex(SALT)): the secret itself is not kept.
    secret_hash text not null unique,
    -- what a person may see of the secret, such as sk-lf-...1f2e
    display_secret text not null,
    note text,
    created_at integer not null,
    expires_at integer
) strict;

create index api_keys_by_project on api_keys (project_id);

create table users (
    id text primary key,
    email text not null unique,
    name text not null,
    -- scrypt, see store/passwords.py
    password_hash text not null,
    created_at integer not null
) strict;

create table memberships (
    organization_id text not null references organizations (id),
    user_id text not null references users (id),
    role text not null,
    primary key (organization_id, user_id)
) strict;
