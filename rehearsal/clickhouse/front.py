"""ClickHouse's HTTP interface, small, over the engine of ClickHouse as a library (chdb-core).

It reads the users of `/etc/clickhouse-server/users.d` and the time zone of `config.d` as the server does,
refuses who is not among them, and answers `/ping`, queries with parameters and inserts. The native port only
accepts connections. This stands in for the server where no registry can be reached; it is not the server.
"""

from __future__ import annotations

import base64
import hmac
import os
import signal
import socketserver
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

CONFIGURATION = Path("/etc/clickhouse-server")
DATA = Path("/var/lib/clickhouse/data")
HTTP_PORT, NATIVE_PORT = 8123, 9000
AUTHENTICATION_FAILED = "Code: 516. DB::Exception: {user}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)\n"  # noqa: E501


class BadConfiguration(Exception):
    """A file that the server would refuse, too."""


def read_users(path: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the passwords of all users by name. Raises BadConfiguration."""
    users: dict[str, str] = {}
    for file in sorted(path.glob("*.xml")):
        for user in ET.parse(file).getroot().findall("./users/*"):  # noqa: S314 - a file of the operator
            if user.get("remove") is None:
                users[user.tag] = _value(user.find("password"), environment, f"{file}: user {user.tag}")
    if not users:
        raise BadConfiguration(f"{path} names no user")
    return users


def read_timezone(path: Path) -> str:
    """Return the time zone that the configuration sets, or an empty string."""
    roots = [ET.parse(file).getroot() for file in sorted(path.glob("*.xml"))]  # noqa: S314 - as above
    zones = [root.findtext("timezone") for root in roots]
    return next((zone.strip() for zone in zones if zone), "")


def _value(element: ET.Element | None, environment: Mapping[str, str], where: str) -> str:
    if element is None:
        raise BadConfiguration(f"{where} has no password")
    name = element.get("from_env")
    value = environment.get(name, "") if name else element.text or ""
    if not value:
        raise BadConfiguration(f"{where}: the password is empty{f' ({name} is not set)' if name else ''}")
    return value


class Front(ThreadingHTTPServer):
    """The HTTP server: the engine, and who may use it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, users: Mapping[str, str], session: Any) -> None:
        super().__init__(("0.0.0.0", HTTP_PORT), Handler)  # noqa: S104 - inside a container
        self.users = users
        self.session = session

    def knows(self, user: str, password: str) -> bool:
        """Return whether these are the name and password of a user."""
        return hmac.compare_digest(self.users.get(user, "").encode(), password.encode()) and bool(password)


class Handler(BaseHTTPRequestHandler):
    """One request of the HTTP interface."""

    protocol_version = "HTTP/1.1"
    server: Front

    def do_GET(self) -> None:
        """Answer `/ping`, and a query in the URL."""
        if urlsplit(self.path).path == "/ping":
            self._answer(200, b"Ok.\n")
        else:
            self._query()

    def do_POST(self) -> None:
        """Run a query of the URL, the body, or both in this order."""
        self._query()

    def _query(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        arguments = {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}
        user, password = self._credentials(arguments)
        if not self.server.knows(user, password):
            self._answer(403, AUTHENTICATION_FAILED.format(user=user).encode())
            return
        parts = [part for part in (arguments.get("query", ""), body.decode()) if part]
        parameters = {
            name.removeprefix("param_"): value
            for name, value in arguments.items()
            if name.startswith("param_")
        }
        form = self.headers.get("x-clickhouse-format") or arguments.get("default_format") or "TabSeparated"
        try:
            result = self.server.session.query("\n".join(parts), form, params=parameters)
        except Exception as error:  # noqa: BLE001 - whatever the engine refuses is the answer to this query
            self._answer(500, f"{error}\n".encode())
            return
        self._answer(200, result.bytes())

    def _credentials(self, arguments: Mapping[str, str]) -> tuple[str, str]:
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            user, _, password = base64.b64decode(value).decode().partition(":")
            return user, password
        header = self.headers.get("x-clickhouse-user")
        if header is not None:
            return header, self.headers.get("x-clickhouse-key", "")
        return arguments.get("user", "default"), arguments.get("password", "")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "text/plain; charset=UTF-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet: queries may hold what users wrote."""


def main() -> None:
    """Serve until SIGTERM."""
    users = read_users(CONFIGURATION / "users.d", os.environ)
    zone = read_timezone(CONFIGURATION / "config.d")
    if zone:
        os.environ["TZ"] = zone  # before the library reads it

    from chdb.session import Session

    front = Front(users, Session(str(DATA)))
    native = socketserver.ThreadingTCPServer(("0.0.0.0", NATIVE_PORT), socketserver.BaseRequestHandler)  # noqa: S104
    threading.Thread(target=native.serve_forever, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=front.shutdown).start())
    print(f"rehearsal: the engine of ClickHouse as a library, not its server; port {HTTP_PORT}", flush=True)
    front.serve_forever()
    front.session.close()


if __name__ == "__main__":
    main()
