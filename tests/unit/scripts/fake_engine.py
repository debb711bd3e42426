"""A stand-in for the embedded engine: the same command line, pid file and readiness, nothing behind it.

FAKE_ENGINE=die ends it at start, =never keeps it unready. Keys come from LANGFUSE_INIT_* and `provision`;
the first secret of a public key stays, whatever the SALT, as on the server.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


def option(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


def keys_file() -> Path:
    return Path(option("--data-dir")) / "keys.json"


def add_key(public: str, secret: str, project: str) -> None:
    path = keys_file()
    keys = json.loads(path.read_text()) if path.exists() else {}
    keys.setdefault(public, [hashed(secret), project])
    path.write_text(json.dumps(keys))


def hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/api/public/ready":
            self.answer(500 if os.environ.get("FAKE_ENGINE") == "never" else 200, {})
        elif self.path == "/api/public/health":
            self.answer(200, {"status": "OK", "version": "4.59.0"})
        else:
            given = self.headers.get("Authorization", "").removeprefix("Basic ")
            keys = json.loads(keys_file().read_text())
            public, _, secret = base64.b64decode(given).decode().partition(":")
            known, project = keys.get(public, ("", ""))
            right = known == hashed(secret)
            self.answer(200, {"data": [{"id": project}]}) if right else self.answer(401, {})

    def answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve() -> None:
    directory = Path(option("--data-dir"))
    directory.mkdir(parents=True, exist_ok=True)
    if os.environ.get("FAKE_ENGINE") == "die":
        sys.exit("error: the data was written by a newer version")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    add_key(*(os.environ[f"LANGFUSE_INIT_PROJECT_{part}"] for part in ("PUBLIC_KEY", "SECRET_KEY", "ID")))
    server = HTTPServer((option("--host"), int(option("--port"))), Handler)
    pid_file = directory / "engine.pid"
    pid_file.write_text(f"{os.getpid()}\n")
    try:
        server.serve_forever()
    finally:
        pid_file.unlink()


def provision() -> None:
    for line in sys.stdin:
        row = json.loads(line)
        add_key(row["publicKey"], row["secretKey"], row["projectId"])


def tenancy() -> None:
    print(json.dumps({"projects": [], "members": [], "organizations": []}))


if __name__ == "__main__":
    {"serve": serve, "provision": provision, "tenancy": tenancy}[sys.argv[1]]()
