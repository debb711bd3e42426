"""Four stores that a company runs for a stack, and what else is in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import docker

from scripts.stores.buckets import EVENTS, MEDIA, open_bucket
from tests.scenarios.load import container, in_container
from tests.scenarios.stack import Stack, with_environment

NETWORK = Path(__file__).parent.parent / "external_stores" / "compose.yaml"
# What is somebody else's in these stores, and has to be there afterwards as it was.
OTHERS = "of somebody else"


@dataclass(frozen=True)
class Company:
    """The stack whose stores are used, and the client of the engine that it runs in."""

    stack: Stack
    engine: docker.DockerClient

    def stop_applications(self) -> None:
        """Leave the stores alone running."""
        for service in ("langfuse-web", "langfuse-worker"):
            container(self.engine, self.stack, service).stop(timeout=5)

    def settings(self) -> str:
        """Return the lines of `.env` that lead to the stores: as a user who is no administrator."""
        env, name = self.stack.env(), self.stack.name
        user = f"langfuse_app:{env['POSTGRES_APP_PASSWORD']}"
        values = {
            "DATABASE_URL": f"postgresql://{user}@{name}-postgres-1:5432/langfuse",
            "CLICKHOUSE_URL": f"http://{name}-clickhouse-1:8123",
            "CLICKHOUSE_MIGRATION_URL": f"clickhouse://{name}-clickhouse-1:9000",
            "CLICKHOUSE_PASSWORD": env["CLICKHOUSE_PASSWORD"],
            "REDIS_HOST": f"{name}-valkey-1",
            "REDIS_AUTH": env["REDIS_AUTH"],
            # An address that this machine and containers reach: commands speak S3 themselves.
            "S3_ENDPOINT": f"http://{self._address('seaweedfs')}:8333",
            "S3_PUBLIC_ENDPOINT": f"http://localhost:{self.stack.context.environment['S3_PORT']}",
            "S3_ACCESS_KEY_ID": env["S3_ACCESS_KEY_ID"],
            "S3_SECRET_ACCESS_KEY": env["S3_SECRET_ACCESS_KEY"],
            "SALT": env["SALT"],
            "ENCRYPTION_KEY": env["ENCRYPTION_KEY"],
        }
        return "".join(f"{key}={value}\n" for key, value in values.items())

    def tenant(self, stack: Stack) -> Stack:
        """Return a stack, not started, on these stores."""
        stack.context.layout.env_file.write_text(self.settings())
        stack.context.layout.env_file.chmod(0o600)
        return with_environment(stack, COMPANY_NETWORK=f"{self.stack.name}_stores").with_files(NETWORK)

    def add_others(self) -> None:
        """Put something beside the data of Langfuse into each store."""
        self.postgres(f"CREATE SCHEMA others; CREATE TABLE others.kept AS SELECT '{OTHERS}' AS text;")
        self.clickhouse("CREATE DATABASE others")
        self.clickhouse(
            f"CREATE TABLE others.kept ENGINE = MergeTree ORDER BY text AS SELECT '{OTHERS}' AS text"
        )
        self.valkey("SET", "others:kept", OTHERS)
        self.valkey("-n", "1", "SET", "kept", OTHERS)

    def others(self) -> list[str]:
        """Return what is there of it."""
        return [
            self.postgres("SELECT text FROM others.kept;"),
            self.clickhouse("SELECT text FROM others.kept"),
            self.valkey("GET", "others:kept"),
            self.valkey("-n", "1", "GET", "kept"),
        ]

    def beside(self) -> list[str]:
        """Return the names of schemas, tables and keys that a restore makes beside those in use."""
        listed = [
            self.postgres("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'langfuse%';"),
            self.clickhouse("SELECT name FROM system.tables WHERE name LIKE 'langfuse_%'"),
            self.valkey("KEYS", "langfuse-stack:*"),
        ]
        return [line for text in listed for line in text.splitlines()]

    def destroy_contents(self, tenant: Stack) -> None:
        """Lose all that Langfuse has in the stores, and nothing else."""
        self.postgres("DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION pg_database_owner;")
        tables = self.clickhouse("SELECT name FROM system.tables WHERE database = 'default' ORDER BY engine")
        for table in tables.splitlines():
            self.clickhouse(f"DROP TABLE default.`{table}` SYNC")
        for key in self.valkey("KEYS", "*").splitlines():
            if not key.startswith("others:"):
                self.valkey("DEL", key)
        for name in (MEDIA, EVENTS):
            with open_bucket(tenant.context.settings(), name) as bucket:
                for found in list(bucket.objects()):
                    bucket.delete(found.key)

    def postgres(self, statements: str) -> str:
        """Return what the administrator of PostgreSQL is answered."""
        login = 'PGPASSWORD="$POSTGRES_PASSWORD" exec psql -X -h 127.0.0.1 -U "$POSTGRES_USER"'
        script = f'{login} -d "$POSTGRES_DB" -Atq -v ON_ERROR_STOP=1 -c "$0"'
        return in_container(self.engine, self.stack, "postgres", "sh", "-c", script, statements).strip()

    def clickhouse(self, statement: str) -> str:
        """Return what ClickHouse answers."""
        argv = ("clickhouse-client", "--query", statement)
        return in_container(self.engine, self.stack, "clickhouse", *argv).strip()

    def valkey(self, *command: str) -> str:
        """Return what Valkey answers."""
        return in_container(self.engine, self.stack, "valkey", "valkey-cli", *command).strip()

    def _address(self, service: str) -> str:
        networks = container(self.engine, self.stack, service).attrs["NetworkSettings"]["Networks"]
        return str(networks[f"{self.stack.name}_stores"]["IPAddress"])


def company_of(stack: Stack, engine: docker.DockerClient) -> Company:
    """Start a stack and leave its stores."""
    stack.up()
    made = Company(stack, engine)
    made.stop_applications()
    made.add_others()
    return made
