"""HTTPS with certificates of an authority in the network: the first, renewal, applications that trust it."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import ContainerError

from scripts.develop.selftest import free_port
from tests.scenarios.load import container
from tests.scenarios.stack import ROOT, Stack, readable
from tests.waiting import wait_for

HERE = Path(__file__).parent
APPLICATION = (HERE / "application.py").read_text()
WEB, S3 = "langfuse.acme.example", "s3.acme.example"
WITHIN_S = 60.0


def write_files(directory: Path) -> Path:
    """Write what authority and Caddy read: a root certificate, and the stack's file with quicker renewals."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", "root.key", "-out", "acme-root.crt", "-days", "30", "-subj", "/CN=Acme test root",
         "-addext", "basicConstraints=critical,CA:true,pathlen:1",
         "-addext", "keyUsage=critical,keyCertSign"],
        cwd=directory, check=True, capture_output=True,
    )  # fmt: skip
    shutil.copy(HERE / "authority.Caddyfile", directory)
    # Renewed when 4 % of five minutes are over, not two thirds; looked at every second, not ten minutes.
    quick = "admin off\n\trenew_interval 1s\n\trenewal_window_ratio 0.96"
    text = (ROOT / "config" / "caddy" / "Caddyfile").read_text()
    (directory / "Caddyfile").write_text(text.replace("admin off", quick, 1))
    return directory


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the authority."""
    return write_files(tmp_path_factory.mktemp("acme"))


@pytest.fixture(scope="module")
def secured(make_stack: Callable[[], Stack], files: Path) -> Stack:
    """A running stack with the profile tls, whose certificates an authority of the network signs."""
    stack = make_stack().with_files(HERE / "compose.yaml")
    settings = {
        "ACME_FILES": str(files),
        "STACK_PROFILES": "tls",
        "TLS_ISSUER": "acme-private",
        "ACME_DIRECTORY": "https://acme.acme.example/acme/local/directory",
        "TLS_DOMAIN": WEB,
        "S3_DOMAIN": S3,
        "HTTPS_PORT": str(free_port()),
        "HTTP_PORT": str(free_port()),
    }
    context = stack.context
    stack = replace(stack, context=replace(context, environment={**context.environment, **settings}))
    stack.up()
    return stack


def certificate(stack: Stack, name: str, root: Path) -> dict[str, Any]:
    """Return the certificate that is shown for a name; waits for the first one."""
    context = ssl.create_default_context(cafile=str(root))
    port = int(stack.context.environment["HTTPS_PORT"])
    refusals: list[OSError] = []

    def shown() -> dict[str, Any]:
        try:
            with (
                socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
                context.wrap_socket(plain, server_hostname=name) as secured,
            ):
                return dict(secured.getpeercert() or {})
        except OSError as error:
            refusals.append(error)
            return {}

    return wait_for(shown, lambda: f"a certificate for {name}: {refusals[-1:]}", WITHIN_S, every_s=0.5)


def run_application(engine: docker.DockerClient, stack: Stack, root: Path, **trust: str) -> str:
    """Run the application on the network of the stack; return what it printed. Raises ContainerError."""
    image = container(engine, stack, "langfuse-web").image
    assert image is not None
    said: bytes = engine.containers.run(
        image,
        ["python", "-c", APPLICATION],
        network=f"{stack.name}_edge",
        remove=True,
        environment={**stack.keys(), "LANGFUSE_BASE_URL": f"https://{WEB}", **trust},
        volumes={str(root): {"bind": "/trusted.crt", "mode": "ro"}},
    )
    return said.decode().strip()


@pytest.mark.parametrize("name", [WEB, S3])
def test_the_authority_signs_a_certificate_for_each_name(secured: Stack, files: Path, name: str) -> None:
    shown = certificate(secured, name, files / "acme-root.crt")
    assert shown["subjectAltName"] == (("DNS", name),)


def test_a_certificate_is_renewed_before_it_ends_while_requests_are_served(
    secured: Stack, files: Path
) -> None:
    root = files / "acme-root.crt"
    first = certificate(secured, WEB, root)

    def renewed() -> dict[str, Any]:
        shown = certificate(secured, WEB, root)
        return shown if shown["serialNumber"] != first["serialNumber"] else {}

    later = wait_for(renewed, "another certificate", WITHIN_S, every_s=0.5)
    ends = ssl.cert_time_to_seconds
    assert ends(later["notAfter"]) > ends(first["notAfter"])
    assert ends(first["notAfter"]) > time.time()


def test_an_application_in_a_container_that_trusts_the_authority_sends_traces_to_the_public_name(
    engine: docker.DockerClient, secured: Stack, files: Path
) -> None:
    root = files / "acme-root.crt"
    trust = {"SSL_CERT_FILE": "/trusted.crt", "REQUESTS_CA_BUNDLE": "/trusted.crt"}
    trace_id = run_application(engine, secured, root, **trust)
    with secured.client() as client:
        found = wait_for(lambda: readable(client, trace_id), f"trace {trace_id}", WITHIN_S, every_s=0.5)
    assert len(found) == 1


def test_an_application_that_does_not_trust_the_authority_is_refused(
    engine: docker.DockerClient, secured: Stack, files: Path
) -> None:
    with pytest.raises(ContainerError, match="CERTIFICATE_VERIFY_FAILED"):
        run_application(engine, secured, files / "acme-root.crt")
