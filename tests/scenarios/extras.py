"""A stack with the profiles tls and monitoring, for the scenarios of both, on an address of its own."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import docker
import httpx

from .load import in_container
from .stack import Stack, with_environment

HERE = Path(__file__).parent
DOMAIN, S3_DOMAIN = "langfuse.localhost", "s3.localhost"
ROOT_CERTIFICATE = "/data/caddy/pki/authorities/local/root.crt"
WEBHOOK = "http://receiver:8080/"


@dataclass(frozen=True)
class Extras:
    """The stack, and how it is reached over HTTPS."""

    stack: Stack
    address: str
    certificate: str

    def https(self, verify: ssl.SSLContext | bool | None = None) -> httpx.Client:
        """Return a client that resolves both host names, with the key of the first project."""
        keys = self.stack.keys()
        context = ssl.create_default_context(cadata=self.certificate) if verify is None else verify
        return httpx.Client(
            transport=_Resolving(self.address, context),
            base_url=f"https://{DOMAIN}",
            auth=(keys["LANGFUSE_PUBLIC_KEY"], keys["LANGFUSE_SECRET_KEY"]),
        )


class _Resolving(httpx.HTTPTransport):
    """Connects to one address whatever the host name, which certificate and Host header keep."""

    def __init__(self, address: str, verify: ssl.SSLContext | bool) -> None:
        super().__init__(verify=verify)
        self._address = address

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        request.url = request.url.copy_with(host=self._address)
        return super().handle_request(request)


def start(stack: Stack, directory: Path, engine: docker.DockerClient) -> Extras:
    """Start a stack with both profiles. `directory` is for files that its containers read."""
    # Port 443 on an address of its own: URLs without a port work on the host and between containers.
    address = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(250) + 1}.{secrets.randbelow(250) + 1}"
    (directory / "secrets").mkdir()
    (directory / "secrets" / "slack_webhook_url").write_text(WEBHOOK)
    (directory / "receiver.py").write_text((HERE / "monitoring" / "receiver.py").read_text())
    for path in (directory, directory / "secrets"):
        path.chmod(0o755)
    settings: Mapping[str, str] = {
        "STACK_PROFILES": "tls,monitoring",
        "TLS_BIND_ADDRESS": address,
        "CANARY_INTERVAL_S": "5",
        "CANARY_DEADLINE_S": "8",
        "EXPORTER_RECONCILE_S": "10",
        "REHEARSAL_DIRECTORY": str(directory),
    }
    stack = with_environment(stack, **settings).with_files(HERE / "monitoring" / "compose.yaml")
    stack.up()
    certificate = in_container(engine, stack, "caddy", "cat", ROOT_CERTIFICATE)
    return Extras(stack, address, certificate)
