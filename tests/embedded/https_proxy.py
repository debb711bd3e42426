"""Caddy as a process with the stack's configuration: only ports and addresses of services are replaced."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.waiting import wait_for

from .harness import REPOSITORY

CADDYFILE = REPOSITORY / "config" / "caddy" / "Caddyfile"
WEB, S3, STATUS = "langfuse.acme.example", "s3.acme.example", "status.acme.example"
READY_WITHIN_S = 20.0


def free_port() -> int:
    """Return a TCP port that nobody uses now."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def find_caddy() -> str:
    """Return the program, or skip the test."""
    installed = REPOSITORY / ".venv-tools" / "bin" / "caddy"
    found = str(installed) if installed.exists() else shutil.which("caddy")
    if found is None:
        pytest.skip("no Caddy: make lint installs it, or apt install caddy")
    return found


def make_certificate(directory: Path, name: str, days: int = 5) -> Path:
    """Write `tls.crt` and `tls.key` for web and S3, signed by themselves; return the certificate."""
    certificate = directory / "tls.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", str(directory / "tls.key"), "-out", str(certificate), "-days", str(days),
         "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{WEB},DNS:{S3}"],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate


@dataclass
class Proxy:
    """A running Caddy in a directory of the test.

    Attributes:
        directory: its data, its configuration and, below `certificates`, files of ours.
        services: `host:port` of the file -> `host:port` that plays this service.
        environment: settings that the file reads, besides the names.
    """

    directory: Path
    services: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)
    https_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def certificates(self) -> Path:
        """Where own certificates are, as `config/caddy/certificates` is for the stack."""
        return self.directory / "certificates"

    @property
    def root(self) -> Path:
        """The root certificate of Caddy's own authority."""
        return self.directory / "data" / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    def start(self) -> Proxy:
        """Start it; return when it shakes hands."""
        self.certificates.mkdir(exist_ok=True)
        self.write()
        environment = {"HOME": str(self.directory), "XDG_DATA_HOME": str(self.directory / "data")}
        with (self.directory / "caddy.log").open("wb") as log:
            self._process = process = subprocess.Popen(
                [find_caddy(), "run", "--config", str(self.directory / "caddy.json")],
                env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

        def ready() -> bool:
            assert process.poll() is None, self.log()
            return self._shakes_hands()

        wait_for(ready, self.log, READY_WITHIN_S)
        return self

    def write(self) -> None:
        """Write the configuration that Caddy makes of the stack's file."""
        settings = {
            "TLS_DOMAIN": WEB, "S3_DOMAIN": S3, "TLS_ISSUER": "internal", "HTTPS_PORT": str(self.https_port),
            "ACME_DIRECTORY": "https://acme.example/directory", "ACME_EMAIL": "", "STATUS_PAGES": "off",
            "STATUS_DOMAIN": STATUS, "STATUS_USER": "admin", **self.environment,
        }  # fmt: skip
        adapted = subprocess.run(
            [find_caddy(), "adapt", "--config", str(CADDYFILE), "--adapter", "caddyfile"],
            env={**os.environ, "HOME": str(self.directory), **settings}, check=True, capture_output=True,
        ).stdout.decode()  # fmt: skip
        for service, address in self.services.items():
            adapted = adapted.replace(f'"{service}"', f'"{address}"')
        adapted = adapted.replace("/etc/caddy/certificates", str(self.certificates))
        config: dict[str, Any] = json.loads(adapted)
        ports = {
            ":443": f":{self.https_port}",
            ":80": f":{self.http_port}",
            "127.0.0.1:2020": f":{free_port()}",
        }
        http = config["apps"]["http"]
        http |= {"http_port": self.http_port, "https_port": self.https_port}
        for server in http["servers"].values():
            server["listen"] = [f"127.0.0.1{ports[address]}" for address in server["listen"]]
        # Else it would put its root into the store of this machine.
        assert config["apps"]["pki"]["certificate_authorities"]["local"]["install_trust"] is False
        (self.directory / "caddy.json").write_text(json.dumps(config))

    def reload(self) -> None:
        """Do what `make reload-tls` does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)

    def client(self, ca: Path | None = None, **options: Any) -> httpx.Client:
        """Return a client that trusts a certificate only, and finds every name at this process."""
        trust = ssl.create_default_context(cafile=str(ca or self.root))
        return httpx.Client(transport=_Here(self.https_port, trust), timeout=30, **options)

    def peer(self, name: str, ca: Path) -> dict[str, Any]:
        """Return the certificate that is shown for a name."""
        context = ssl.create_default_context(cafile=str(ca))
        with (
            socket.create_connection(("127.0.0.1", self.https_port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=name) as secured,
        ):
            return dict(secured.getpeercert() or {})

    def log(self) -> str:
        """Return what Caddy said."""
        return (self.directory / "caddy.log").read_text(errors="replace")

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    def _shakes_hands(self) -> bool:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with (
                socket.create_connection(("127.0.0.1", self.https_port), timeout=5) as plain,
                context.wrap_socket(plain, server_hostname=WEB),
            ):
                return True
        except OSError:
            return False


class _Here(httpx.HTTPTransport):
    """Sends every request to one port of this machine, under its own name."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__(verify=context)
        self._port = port

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        name = request.url.host
        request.headers["Host"] = name
        request.extensions = {**request.extensions, "sni_hostname": name}
        request.url = request.url.copy_with(host="127.0.0.1", port=self._port)
        return super().handle_request(request)
