-- Prompts: a row a version. Labels and tags keep the order in which they were given.
create table prompts (
    id text primary key,
    project_id text not null references projects (id),
    name text not null,
    version integer not null,
    type text not null check (type in ('text', 'chat')),
    -- JSON: a text, or a list of messages and placeholders
    prompt text not null,
    config text not null,
    -- JSON lists; a label belongs to at most one version, tags are the same on all versions
    labels text not null,
    tags text not null,
    commit_message text,
    created_by text not null,
    created_at integer not null,
    updated_at integer not null,
    unique (project_id, name, version)
) strict;

-- What a version includes by a tag in its text: another prompt, by version or by label.
create table prompt_dependencies (
    parent_id text not null references prompts (id) on delete cascade,
    project_id text not null references projects (id),
    child_name text not null,
    child_version integer,
    child_label text
) strict;

create index prompt_dependencies_by_parent on prompt_dependencies (parent_id);
create index prompt_dependencies_by_child on prompt_dependencies (project_id, child_name);
