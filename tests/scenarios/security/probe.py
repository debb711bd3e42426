"""What somebody in a container can reach: run inside of one, prints its findings as JSON.

Usage: python -c "$(cat probe.py)" ports HOST...   which TCP ports of the variable PORTS accept a connection
       python -c "$(cat probe.py)" logins          what the stores answer to no password and to a wrong one
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Callable, Iterable

import httpx

CONNECT_WITHIN_S = 4.0
WRONG = "wrong-password-of-a-stranger"


async def open_ports(host: str, ports: Iterable[int]) -> list[int]:
    """Return which TCP ports of a host accept a connection. One that says nothing for 4 s is closed."""

    async def knock(port: int) -> int:
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), CONNECT_WITHIN_S)
        except (OSError, TimeoutError):
            return 0
        writer.close()
        return port

    return sorted(filter(None, await asyncio.gather(*map(knock, ports))))


def postgres(password: str) -> str:
    """Return why PostgreSQL refuses a login, or what it answered."""
    import psycopg

    host = "host=postgres user=langfuse dbname=langfuse connect_timeout=5"
    try:
        with psycopg.connect(f"{host} password={password}" if password else host) as connection:
            return str(connection.execute("SELECT count(*) FROM pg_tables").fetchone())
    except psycopg.OperationalError as error:
        return str(error)


def valkey(password: str) -> str:
    """Return the first answer to a command in Valkey's own protocol."""
    login = f"AUTH {password}\r\n" if password else ""
    with socket.create_connection(("valkey", 6379), timeout=5) as connection:
        connection.sendall(f"{login}KEYS *\r\n".encode())
        return connection.recv(200).decode().splitlines()[0]


def clickhouse(password: str) -> str:
    """Return status and first line of the answer to a query."""
    headers = {"X-ClickHouse-User": "langfuse", "X-ClickHouse-Key": password} if password else {}
    return _http("http://clickhouse:8123/?query=SELECT%20name%20FROM%20system.tables", headers)


def s3(password: str) -> str:
    """Return status and first line of the answer to a list of buckets."""
    signature = (
        "AWS4-HMAC-SHA256 Credential={0}/20260101/us-east-1/s3/aws4_request,SignedHeaders=host,Signature={0}"
    )
    headers = (
        {"Authorization": signature.format(password), "x-amz-date": "20260101T000000Z"} if password else {}
    )
    return _http("http://seaweedfs:8333/", headers)


def _http(url: str, headers: dict[str, str]) -> str:
    answer = httpx.get(url, headers=headers, timeout=5)
    return f"{answer.status_code} {answer.text[:500]}"


STORES: tuple[Callable[[str], str], ...] = (postgres, valkey, clickhouse, s3)


def main(what: str, *hosts: str) -> None:
    """Print the findings."""
    found: object
    if what == "ports":
        ports = [int(port) for port in os.environ["PORTS"].split()]
        found = {host: asyncio.run(open_ports(host, ports)) for host in hosts}
    else:
        found = {store.__name__: {"none": store(""), "wrong": store(WRONG)} for store in STORES}
    print(json.dumps(found))


main(*sys.argv[1:])
