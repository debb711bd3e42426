"""The four stores, opened with the variables that Langfuse containers get; says which variable is wrong."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.config
import botocore.exceptions
import httpx
import psycopg
import redis

TIMEOUT_S = 5
S3_PURPOSES = ("EVENT_UPLOAD", "MEDIA_UPLOAD", "BATCH_EXPORT")


class WrongVariable(Exception):
    """A store cannot be used. `names` are the variables to look at, `reason` is what was seen."""

    def __init__(self, names: str, reason: object) -> None:
        super().__init__(f"{names}: {' '.join(str(reason).split())}")


@dataclass(frozen=True, slots=True)
class ClickHouse:
    """ClickHouse over HTTP, as one user."""

    client: httpx.Client

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> ClickHouse:
        """Return the one that `CLICKHOUSE_*` describe."""
        headers = {
            "X-ClickHouse-User": environment["CLICKHOUSE_USER"],
            "X-ClickHouse-Key": environment["CLICKHOUSE_PASSWORD"],
        }
        return cls(httpx.Client(base_url=environment["CLICKHOUSE_URL"], headers=headers, timeout=TIMEOUT_S))

    def run(self, sql: str, **parameters: str) -> str:
        """Return the answer to a statement, as text. Raises httpx.HTTPError, with what ClickHouse says."""
        arguments = {f"param_{name}": value for name, value in parameters.items()}
        answer = self.client.post("/", params=arguments, content=sql.encode())
        if answer.is_error:
            raise httpx.HTTPStatusError(answer.text.strip(), request=answer.request, response=answer)
        return answer.text

    def rows(self, sql: str, **parameters: str) -> list[dict[str, Any]]:
        """Return the rows of a query. Raises httpx.HTTPError."""
        return [json.loads(line) for line in self.run(f"{sql} FORMAT JSONEachRow", **parameters).splitlines()]


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket, with the client that may write it."""

    client: Any
    name: str

    @classmethod
    def of(cls, environment: Mapping[str, str], purpose: str) -> Bucket:
        """Return the bucket of a purpose: EVENT_UPLOAD, MEDIA_UPLOAD or BATCH_EXPORT."""
        prefix = f"LANGFUSE_S3_{purpose}_"
        path_style = environment.get(f"{prefix}FORCE_PATH_STYLE") == "true"
        client = boto3.client(
            "s3",
            # The public endpoint is for browsers; containers use the inside one where there is one.
            endpoint_url=environment.get(f"{prefix}INTERNAL_ENDPOINT") or environment[f"{prefix}ENDPOINT"],
            region_name=environment[f"{prefix}REGION"],
            aws_access_key_id=environment[f"{prefix}ACCESS_KEY_ID"],
            aws_secret_access_key=environment[f"{prefix}SECRET_ACCESS_KEY"],
            config=botocore.config.Config(
                connect_timeout=TIMEOUT_S,
                read_timeout=TIMEOUT_S,
                retries={"total_max_attempts": 2},
                max_pool_connections=32,
                s3={"addressing_style": "path" if path_style else "virtual"},
            ),
        )
        return cls(client, environment[f"{prefix}BUCKET"])

    def put(self, key: str, body: bytes) -> None:
        """Write an object."""
        self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def get(self, key: str) -> bytes:
        """Read an object."""
        content: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return content

    def delete(self, key: str) -> None:
        """Delete an object."""
        self.client.delete_object(Bucket=self.name, Key=key)


def open_postgres(environment: Mapping[str, str]) -> psycopg.Connection[Any]:
    """Return a connection of its own. Raises psycopg.Error, also when nobody answers on it any more."""
    return psycopg.connect(
        environment["DATABASE_URL"],
        connect_timeout=TIMEOUT_S,
        autocommit=True,
        tcp_user_timeout=TIMEOUT_S * 1000,
        keepalives_idle=1,
        keepalives_interval=1,
        keepalives_count=TIMEOUT_S,
    )


def open_valkey(environment: Mapping[str, str]) -> redis.Redis:
    """Return a client; it connects with the first command."""
    return redis.Redis(
        host=environment["REDIS_HOST"],
        port=int(environment["REDIS_PORT"]),
        username=environment.get("REDIS_USERNAME") or None,
        password=environment["REDIS_AUTH"],
        ssl=environment.get("REDIS_TLS_ENABLED") == "true",
        socket_connect_timeout=TIMEOUT_S,
        socket_timeout=TIMEOUT_S,
    )


def verify(environment: Mapping[str, str], identity: str) -> list[WrongVariable]:
    """Use every store as a Langfuse container would, and return what is wrong.

    `identity` keeps the objects that this writes apart from those of other containers.
    """
    checks: Sequence[Callable[[], None]] = [
        lambda: _verify_postgres(environment),
        lambda: _verify_clickhouse(environment),
        lambda: _verify_migration_port(environment),
        lambda: _verify_valkey(environment),
        *(lambda purpose=purpose: _verify_bucket(environment, purpose, identity) for purpose in S3_PURPOSES),
    ]
    wrong = []
    for check in checks:
        try:
            check()
        except KeyError as error:
            wrong.append(WrongVariable(str(error.args[0]), "is not set"))
        except WrongVariable as error:
            wrong.append(error)
    return wrong


def _verify_postgres(environment: Mapping[str, str]) -> None:
    try:
        with open_postgres(environment) as connection:
            zone = connection.execute("show timezone").fetchone()
    except psycopg.Error as error:
        raise WrongVariable("DATABASE_URL (POSTGRES_APP_PASSWORD)", error) from error
    if zone != ("UTC",):
        raise WrongVariable("DATABASE_URL", f"PostgreSQL is in time zone {zone}, not UTC")


def _verify_clickhouse(environment: Mapping[str, str]) -> None:
    try:
        zone = ClickHouse.of(environment).run("SELECT timezone()").strip()
    except httpx.HTTPStatusError as error:
        raise WrongVariable("CLICKHOUSE_USER, CLICKHOUSE_PASSWORD", error.response.text) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise WrongVariable("CLICKHOUSE_URL", error) from error
    if zone != "UTC":
        raise WrongVariable("CLICKHOUSE_URL", f"ClickHouse is in time zone {zone}, not UTC")


def _verify_migration_port(environment: Mapping[str, str]) -> None:
    url = urlsplit(environment["CLICKHOUSE_MIGRATION_URL"])
    try:
        socket.create_connection((url.hostname or "", url.port or 9000), TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        raise WrongVariable("CLICKHOUSE_MIGRATION_URL", error) from error


def _verify_valkey(environment: Mapping[str, str]) -> None:
    try:
        policy = open_valkey(environment).config_get("maxmemory-policy")
    except redis.AuthenticationError as error:
        raise WrongVariable("REDIS_AUTH", error) from error
    except (redis.RedisError, ValueError) as error:
        raise WrongVariable("REDIS_HOST, REDIS_PORT", error) from error
    if policy != {b"maxmemory-policy": b"noeviction"} and policy != {"maxmemory-policy": "noeviction"}:
        raise WrongVariable("REDIS_HOST", f"queues would lose jobs with {policy}; noeviction is needed")


def _verify_bucket(environment: Mapping[str, str], purpose: str, identity: str) -> None:
    prefix = f"LANGFUSE_S3_{purpose}_"
    key = f"rehearsal/{identity}"
    try:
        bucket = Bucket.of(environment, purpose)
        bucket.put(key, b"written and deleted at start")
        bucket.delete(key)
    except botocore.exceptions.ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        name = "BUCKET" if code == "NoSuchBucket" else "ACCESS_KEY_ID, SECRET_ACCESS_KEY"
        raise WrongVariable(f"{prefix}{name}", error) from error
    except (botocore.exceptions.BotoCoreError, ValueError) as error:
        raise WrongVariable(f"{prefix}ENDPOINT", error) from error
