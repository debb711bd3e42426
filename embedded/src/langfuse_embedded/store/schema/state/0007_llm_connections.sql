-- Connections to model providers. The engine calls no models, so it keeps no secret, only its last characters.
create table llm_connections (
    id text primary key,
    project_id text not null references projects (id),
    provider text not null,
    adapter text not null,
    display_secret text not null,
    base_url text,
    -- JSON lists of texts
    custom_models text not null,
    with_default_models integer not null,
    extra_header_keys text not null,
    -- JSON, or null
    config text,
    created_at integer not null,
    updated_at integer not null,
    unique (project_id, provider)
) strict;
