"""The bundled PostgreSQL, asked with its own client inside its container."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.check.doctor.facts import Facts, NotGathered, Surroundings
from scripts.docker.containers import Container
from scripts.stores.background import UNFINISHED

from .containers import Containers, run_inside

# Over TCP with the container's own password, as Langfuse logs in. It goes on after an error: a table may be
# missing: each answer is one line of JSON behind its name.
_SCRIPT = (
    # Its own PGTZ would hide the zone of the server.
    'unset PGTZ; PGCONNECT_TIMEOUT=4 PGPASSWORD="$POSTGRES_PASSWORD" exec psql --host 127.0.0.1 '
    '--username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --no-password -v ON_ERROR_STOP=0 '
    "--no-psqlrc --quiet --tuples-only --no-align"
)

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


@dataclass(frozen=True, slots=True)
class Postgres:
    """What PostgreSQL says.

    Attributes:
        answers: by the names of QUERIES; a question about a table that is not there has none.
    """

    answers: Mapping[str, Any]

    def setting(self, name: str) -> str:
        """Return a setting of the server."""
        return str(self.answer("settings").get(name, ""))

    def answer(self, name: str) -> Any:
        """Return an answer. Raises NotGathered."""
        if name not in self.answers:
            raise NotGathered(f"PostgreSQL has no answer to the question about {name.replace('_', ' ')}")
        return self.answers[name]


def gather(surroundings: Surroundings, facts: Facts) -> Postgres:
    """Return the answers. Raises NotGathered when it is external, does not run, or refuses the login."""
    return Postgres(ask(surroundings, facts, QUERIES))


def ask(surroundings: Surroundings, facts: Facts, queries: Mapping[str, str]) -> dict[str, Any]:
    """Return the answers to queries that each give one JSON value. Raises NotGathered."""
    container = store_container(surroundings, facts, "postgres", "DATABASE_URL")
    lines = [line for name, query in queries.items() for line in (rf"\echo @{name}", f"{query};")]
    text = run_inside(surroundings, container, ["sh", "-c", _SCRIPT], stdin="\n".join(lines) + "\n")
    return parse_marked(text)


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


def store_container(surroundings: Surroundings, facts: Facts, service: str, *replaced_by: str) -> Container:
    """Return the container of a bundled store. Raises NotGathered where the store is the operator's own."""
    external = next((name for name in replaced_by if surroundings.settings.get(name)), "")
    if external:
        raise NotGathered(f"{external} names an external store, which is not examined")
    return facts.of(Containers).running(service)
