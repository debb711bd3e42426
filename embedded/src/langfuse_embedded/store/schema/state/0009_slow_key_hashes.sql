-- As on the server, where a row also has a hash that does not depend on SALT: with another SALT the secret is checked
-- against it once, and the row gets a new secret_hash. Null in rows of before, until their key is used.
alter table api_keys add column slow_hash text;
