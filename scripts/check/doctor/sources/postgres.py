"""PostgreSQL, asked with its own client: inside its container, or from one for an external one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.check.doctor.facts import Facts, NotGathered, Surroundings
from scripts.stores.background import UNFINISHED
from scripts.stores.external import postgres_login

from . import clients
from .containers import Containers, run_inside

# Over TCP with the container's own password, as Langfuse logs in. It goes on after an error: a table may be
# missing: each answer is one line of JSON behind its name.
_SCRIPT = (
    # Its own PGTZ would hide the zone of the server.
    'unset PGTZ; PGCONNECT_TIMEOUT=4 PGPASSWORD="$POSTGRES_PASSWORD" exec psql --host 127.0.0.1 '
    '--username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --no-password -v ON_ERROR_STOP=0 '
    "--no-psqlrc --quiet --tuples-only --no-align"
)
# The login comes first, over standard input, in two sections: the second one has no password.
_EXTERNAL = """
umask 077
while IFS= read -r line && [ -n "$line" ]; do echo "$line"; done >"$PGSERVICEFILE"
export PGCONNECT_TIMEOUT=4 PGPASSFILE=/dev/null
say() { timeout 10 psql --no-password -v ON_ERROR_STOP=0 --no-psqlrc --quiet --tuples-only --no-align "$@"; }
printf '@here\\n%s\\n' "$(date +%s)"
say --file - 2>/tmp/said
case $? in
  2) printf '@failed %s\\n' "$(head -n 1 /tmp/said | sed 's/^psql: error: //')"; exit ;;
  124) echo '@failed it does not answer within 10 s'; exit ;;
esac
if PGSERVICE=open say --command 'select 1' >/dev/null 2>&1 </dev/null; then open=true; else open=false; fi
printf '@open\\n%s\\n' "$open"
"""

QUERIES: Mapping[str, str] = {
    "settings": "select json_object_agg(name, setting) from pg_settings where name in ("
    "'server_version_num', 'TimeZone', 'max_connections', 'fsync', 'full_page_writes', 'synchronous_commit',"
    " 'data_checksums')",
    "connections": "select json_build_object('used', count(*)) from pg_stat_activity"
    " where backend_type = 'client backend'",
    "slots": "select coalesce(json_agg(slot_name), '[]') from pg_replication_slots where not active",
    "old_transactions": "select coalesce(json_agg(json_build_object('pid', pid, 'state', state, 'seconds',"
    " extract(epoch from now() - xact_start)::int)), '[]') from pg_stat_activity"
    " where xact_start < now() - interval '1 hour' and backend_type = 'client backend'",
    "size": "select json_build_object('bytes', pg_database_size(current_database()))",
    "migrations": "select json_build_object('done', count(*) filter (where finished_at is not null),"
    " 'open', coalesce(json_agg(migration_name) filter (where finished_at is null and rolled_back_at is "
    "null),"
    " '[]')) from _prisma_migrations",
    "background": f"select coalesce(json_agg(found), '[]') from ({UNFINISHED}) as unfinished(found)",  # noqa: S608 - constants
    "prices": "select json_build_object('models', count(*)) from models where project_id is null",
    "keys": "select coalesce(json_object_agg(public_key, fast_hashed_secret_key), '{}') from api_keys"
    " where fast_hashed_secret_key is not null",
    "encrypted": "select coalesce(json_agg(secret_key), '[]')"
    " from (select secret_key from llm_api_keys order by created_at desc limit 3) newest",
    "sizes": "select coalesce(json_object_agg(relname, pg_total_relation_size(relid)), '{}') from (select *"
    " from pg_stat_user_tables order by pg_total_relation_size(relid) desc limit 20) largest",
}
# What others do there is not shown to a user without rights.
_OF_EXTERNAL: Mapping[str, str] = {
    "now": "select json_build_array(extract(epoch from clock_timestamp())::bigint)",
    "connections": "select json_build_object('used', sum(numbackends)) from pg_stat_database",
    "create": "select json_build_array(has_schema_privilege('public', 'create'))",
}


@dataclass(frozen=True, slots=True)
class Postgres:
    """What PostgreSQL says.

    Attributes:
        answers: by the names of QUERIES; a question about a table that is not there has none.
        external: whether someone else runs it.
    """

    answers: Mapping[str, Any]
    external: bool = False

    def setting(self, name: str) -> str:
        """Return a setting of the server."""
        return str(self.answer("settings").get(name, ""))

    def answer(self, name: str) -> Any:
        """Return an answer. Raises NotGathered."""
        if name not in self.answers:
            raise NotGathered(f"PostgreSQL has no answer to the question about {name.replace('_', ' ')}")
        return self.answers[name]


def gather_postgres(surroundings: Surroundings, facts: Facts) -> Postgres:
    """Return the answers. Raises NotGathered when it does not run, or refuses the login."""
    external = clients.is_external(surroundings, "postgres")
    queries = {**_OF_EXTERNAL, **QUERIES, **_OF_EXTERNAL} if external else QUERIES
    return Postgres(ask(surroundings, facts, queries), external)


def ask(surroundings: Surroundings, facts: Facts, queries: Mapping[str, str]) -> dict[str, Any]:
    """Return the answers to queries that each give one JSON value. Raises NotGathered."""
    lines = [line for name, query in queries.items() for line in (rf"\echo @{name}", f"{query};")]
    statements = "\n".join(lines) + "\n"
    if clients.is_external(surroundings, "postgres"):
        stdin = f"{_sections(surroundings.settings.values)}\nset statement_timeout = 4000;\n{statements}"
        return parse_marked(clients.ask(surroundings, facts, "postgres", _EXTERNAL, stdin=stdin))
    container = facts.of(Containers).running("postgres")
    return parse_marked(run_inside(surroundings, container, ["sh", "-c", _SCRIPT], stdin=statements))


def _sections(settings: Mapping[str, str]) -> str:
    """Return a service file with the login, and with the same one without its password."""
    section = postgres_login(settings).service()
    lines = [line for line in section.splitlines(keepends=True) if not line.startswith("password=")]
    return section + "".join(["[open]\n", *lines[1:]])


def parse_marked(text: str) -> dict[str, Any]:
    """Return the JSON that follows each `@name` line."""
    answers: dict[str, Any] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("@"):
            name = line[1:]
        elif line.strip() and name:
            answers[name] = json.loads(line)
    return answers
