-- Media: what was announced and uploaded (the bytes lie in the media directory), and what refers to it.
create table media (
    project_id text not null references projects (id),
    id text not null,
    -- base64 of the SHA-256 of the bytes; the id is its beginning
    sha256 text not null,
    content_type text not null,
    content_length integer not null,
    -- what the client reported of its upload
    uploaded_at integer,
    upload_http_status integer,
    upload_http_error text,
    created_at integer not null,
    updated_at integer not null,
    primary key (project_id, id),
    unique (project_id, sha256)
) strict, without rowid;

create table trace_media (
    project_id text not null,
    trace_id text not null,
    -- empty where the trace itself refers to it
    observation_id text not null default '',
    field text not null,
    media_id text not null,
    created_at integer not null,
    primary key (project_id, trace_id, observation_id, field, media_id),
    foreign key (project_id, media_id) references media (project_id, id)
) strict, without rowid;

-- A reference from one version of a dataset item, found in its values.
create table dataset_item_media (
    project_id text not null,
    dataset_item_id text not null,
    dataset_item_valid_from integer not null,
    field text not null,
    json_path text not null,
    reference text not null,
    media_id text not null,
    primary key (project_id, dataset_item_id, dataset_item_valid_from, field, json_path),
    foreign key (project_id, media_id) references media (project_id, id)
) strict, without rowid;
