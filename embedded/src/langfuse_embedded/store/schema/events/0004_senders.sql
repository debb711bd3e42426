-- Who sent an observation: the public key, and what the request says of its SDK. Few differ, so that rows name them by
-- a number.
create table senders (
    key integer primary key,
    api_key text not null,
    sdk_name text not null,
    sdk_version text not null,
    unique (api_key, sdk_name, sdk_version)
) strict;

alter table observations add column sender integer; -- senders.key, null when it is not known
-- The SDK marks a span as the root of its trace although it has a parent, which it made up.
alter table observations add column as_root integer not null default 0;
