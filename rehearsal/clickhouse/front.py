"""ClickHouse's HTTP interface, small, over the engine of ClickHouse as a library (chdb-core).

It reads the configuration of the stack as the server does, refuses who is not among its users, and answers
`/ping`, queries with parameters, inserts, BACKUP and RESTORE, and `/metrics` for Prometheus. The native port
only accepts connections. It stands in for the server where no registry can be reached; it is not the server.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import re
import signal
import socketserver
import tempfile
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .configuration import (
    BadConfiguration,
    engine_configuration,
    read_grants,
    read_profile,
    read_timezone,
    read_users,
)

CONFIGURATION = Path("/etc/clickhouse-server")
DATA = Path("/var/lib/clickhouse/data")
ENGINE_CONFIGURATION = Path("/tmp/engine.xml")  # noqa: S108 - memory of the container
HTTP_PORT, NATIVE_PORT, METRICS_PORT = 8123, 9000, 9363
DENIED = "Code: 497. DB::Exception: {user}: Not enough privileges. (ACCESS_DENIED)\n"
_READS = frozenset(("SELECT", "WITH", "SHOW", "DESCRIBE", "EXISTS", "EXPLAIN"))
AUTHENTICATION_FAILED = "Code: 516. DB::Exception: {user}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)\n"  # noqa: E501
_METRICS = (
    "SELECT 'ClickHouseMetrics_' || metric AS name, toFloat64(value) AS value FROM system.metrics"
    " UNION ALL SELECT 'ClickHouseProfileEvents_' || event, toFloat64(value) FROM system.events"
    # The server names counters that are 0, too.
    " ORDER BY name SETTINGS system_events_show_zero_values = 1"
)
# Its rows are bytes, and no text.
_NATIVE = re.compile(r"INSERT INTO (?P<table>\S+) FORMAT Native")
_ERROR_CODE = re.compile(r"Code: (\d+)\.")


class Front(ThreadingHTTPServer):
    """The HTTP server: the engine, and who may use it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        users: Mapping[str, str],
        session: Any,
        port: int = HTTP_PORT,
        grants: Mapping[str, frozenset[str]] | None = None,
        directory: Path = DATA.parent,
    ) -> None:
        super().__init__(("0.0.0.0", port), Handler)  # noqa: S104 - inside a container
        self.users, self.grants, self.directory = users, grants or {}, directory
        self._session = session
        self._parameters = threading.Lock()

    def allows(self, user: str, sql: str) -> bool:
        """Return whether a user may run a statement of this kind."""
        granted = self.grants.get(user)
        first = (sql.split(maxsplit=1) or [""])[0].upper()
        return granted is None or first in granted or ("SELECT" in granted and first in _READS)

    def knows(self, user: str, password: str) -> bool:
        """Return whether these are the name and password of a user."""
        return hmac.compare_digest(self.users.get(user, "").encode(), password.encode()) and bool(password)

    def run(self, sql: str, form: str, parameters: Mapping[str, str]) -> bytes:
        """Return the answer to a statement. Raises what the library raises."""
        # Parameters belong to the session, not to the query: two at once would see each other's.
        with self._parameters if parameters else nullcontext():
            answer: bytes = self._session.query(sql, form, params=dict(parameters)).bytes()
        return answer

    def insert(self, table: str, rows: bytes) -> None:
        """Insert rows in the format Native, which the library reads from files only. Raises as `run`."""
        with tempfile.NamedTemporaryFile(dir=self.directory, suffix=".native") as file:
            file.write(rows)
            file.flush()
            statement = f"INSERT INTO {table} SELECT * FROM file('{file.name}', 'Native')"  # noqa: S608 - as given
            self.run(statement, "TabSeparated", {})

    def end(self) -> None:
        """Close the data directory."""
        self._session.close()


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
            self._answer(403, AUTHENTICATION_FAILED.format(user=user).encode(), code="516")
            return
        rows = _NATIVE.fullmatch(arguments.get("query", ""))
        parts = [part for part in (arguments.get("query", ""), "" if rows else body.decode()) if part]
        sql = "\n".join(parts)
        if not self.server.allows(user, sql):
            self._answer(500, DENIED.format(user=user).encode(), code="497")
            return
        parameters = {
            name.removeprefix("param_"): value
            for name, value in arguments.items()
            if name.startswith("param_")
        }
        form = self.headers.get("x-clickhouse-format") or arguments.get("default_format") or "TabSeparated"
        try:
            if rows:
                self.server.insert(rows["table"], body)
                result = b""
            else:
                result = self.server.run(sql, form, parameters)
        except Exception as error:  # noqa: BLE001 - whatever the engine refuses is the answer to this query
            found = _ERROR_CODE.search(str(error))
            self._answer(500, f"{error}\n".encode(), code=found[1] if found else "1001")
            return
        self._answer(200, result)

    def _credentials(self, arguments: Mapping[str, str]) -> tuple[str, str]:
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            user, _, password = base64.b64decode(value).decode().partition(":")
            return user, password
        header = self.headers.get("x-clickhouse-user")
        if header is not None:
            return header, self.headers.get("x-clickhouse-key", "")
        return arguments.get("user", "default"), arguments.get("password", "")

    def _answer(self, status: int, body: bytes, code: str = "") -> None:
        self.send_response(status)
        self.send_header("content-type", "text/plain; charset=UTF-8")
        self.send_header("content-length", str(len(body)))
        if code:
            self.send_header("x-clickhouse-exception-code", code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet: queries may hold what users wrote."""


class Metrics(ThreadingHTTPServer):
    """The port that Prometheus reads."""

    daemon_threads = True

    def __init__(self, front: Front) -> None:
        super().__init__(("0.0.0.0", METRICS_PORT), MetricsHandler)  # noqa: S104 - inside a container
        self.front = front


class MetricsHandler(BaseHTTPRequestHandler):
    """One scrape."""

    server: Metrics

    def do_GET(self) -> None:
        """Answer with the engine's own counters, as text for Prometheus."""
        lines = self.server.front.run(_METRICS, "JSONEachRow", {}).splitlines()
        rows = [json.loads(line) for line in lines]
        body = "".join(f"{row['name']} {row['value']}\n" for row in rows).encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4; charset=UTF-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing about scrapes."""


def set_profile(session: Any, settings: Mapping[str, str]) -> None:
    """Have the engine run with the settings of a profile.

    Raises:
        BadConfiguration: it does not know one, or not this value; the server would not start either.
    """
    for name, value in settings.items():
        text = value if re.fullmatch(r"-?\d+(\.\d+)?", value) else "'" + value.replace("'", "\\'") + "'"
        try:
            session.query(f"SET {name} = {text}")
        except Exception as error:
            raise BadConfiguration(f"users.d: profile default: {name}: {error}") from error


def main() -> None:
    """Serve until SIGTERM."""
    users = read_users(CONFIGURATION / "users.d", os.environ)
    zone = read_timezone(CONFIGURATION / "config.d")
    if zone:
        os.environ["TZ"] = zone  # before the library reads it
    ENGINE_CONFIGURATION.write_bytes(engine_configuration(CONFIGURATION / "config.d", os.environ))

    from chdb.session import Session

    session = Session(f"{DATA}?config-file={ENGINE_CONFIGURATION}")
    set_profile(session, read_profile(CONFIGURATION / "users.d", os.environ))
    front = Front(users, session, grants=read_grants(CONFIGURATION / "users.d"))
    native = socketserver.ThreadingTCPServer(("0.0.0.0", NATIVE_PORT), socketserver.BaseRequestHandler)  # noqa: S104
    for beside in (native, Metrics(front)):
        threading.Thread(target=beside.serve_forever, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=front.shutdown).start())
    print(f"rehearsal: the engine of ClickHouse as a library, not its server; port {HTTP_PORT}", flush=True)
    front.serve_forever()
    front.end()


if __name__ == "__main__":
    main()
