#!/bin/sh
## What the official image does at its first start: make the cluster, the user and the database, then open for the network.
set -eu

mkdir -p "$PGDATA"
chmod 700 "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ] && [ "$PGDATA" != /var/lib/postgresql/data ]; then
  ## From 18 on the image starts no empty database beside data of another layout, nor beside a mount of the former one.
  for directory in /var/lib/postgresql /var/lib/postgresql/data /var/lib/postgresql/*/docker; do
    if [ -s "$directory/PG_VERSION" ] || { [ ! -L "$directory" ] && grep -q " /var/lib/postgresql/data " /proc/mounts; }; then
      printf 'Error: in 18+, these Docker images are configured to store database data in a format which is compatible\n' >&2
      printf 'with "pg_ctlcluster". There appears to be PostgreSQL data in: %s\n' "$directory" >&2
      exit 1
    fi
  done
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  : "${POSTGRES_PASSWORD:?a database without a password is refused}"
  password=$(mktemp)
  printf '%s\n' "$POSTGRES_PASSWORD" >"$password"
  # shellcheck disable=SC2086 # several options in one variable
  initdb --username="$POSTGRES_USER" --pwfile="$password" ${POSTGRES_INITDB_ARGS:-}
  rm "$password"
  printf 'host all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
  ## Its own defaults, as in the official image: the first start does not see the configuration of the stack.
  pg_ctl --silent --wait -o "-c listen_addresses='' -c unix_socket_directories=/tmp" start
  [ "$POSTGRES_DB" = postgres ] || \
    PGPASSWORD=$POSTGRES_PASSWORD createdb --host=/tmp --username="$POSTGRES_USER" "$POSTGRES_DB"
  pg_ctl --silent --wait --mode=fast stop
fi
exec "$@"
