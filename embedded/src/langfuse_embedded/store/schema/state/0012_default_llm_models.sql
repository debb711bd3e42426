-- The model of evaluators that name none; it goes with its connection.
create table default_llm_models (
    project_id text primary key references projects (id),
    connection_id text not null references llm_connections (id) on delete cascade,
    model text not null,
    parameters text not null -- JSON: max_tokens, temperature, top_p
) strict, without rowid;
