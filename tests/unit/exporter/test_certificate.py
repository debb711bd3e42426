"""The end of a certificate, from a real TLS server."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from scripts.core.heartbeats import last_successes
from scripts.watch.exporter.certificate import certificate_end, host_of

DAYS = 10


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for localhost that ends in ten days, with its key in the same file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    path = tmp_path / "server.pem"
    subprocess.run(
        [
            openssl,
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            str(DAYS),
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            str(path),
            "-out",
            str(tmp_path / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + (tmp_path / "cert.pem").read_text())
    return path


@pytest.fixture
def port(certificate: Path) -> Iterator[int]:
    """The port of a server that shows the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("localhost", 0)) as listening:

        def answer() -> None:
            with suppress(OSError):  # the test is over
                while True:
                    connection, _ = listening.accept()
                    with (
                        suppress(OSError),
                        connection,
                        context.wrap_socket(connection, server_side=True) as secured,
                    ):
                        secured.recv(1)

        thread = threading.Thread(target=answer)
        thread.start()
        yield int(listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_the_end_of_an_accepted_certificate_is_read(
    port: int, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert certificate_end("localhost", port) == pytest.approx(time.time() + DAYS * 86400, abs=300)


def test_a_certificate_that_clients_refuse_counts_as_ended(port: int) -> None:
    assert certificate_end("localhost", port) == 0


def test_a_private_authority_need_not_be_known(port: int) -> None:
    end = certificate_end("localhost", port, known_authority=False)
    assert end == pytest.approx(time.time() + DAYS * 86400, abs=300)


def test_a_certificate_of_another_name_counts_as_ended_whoever_signed_it(port: int) -> None:
    assert certificate_end("127.0.0.1", port, known_authority=False) == 0


def test_of_a_name_that_means_nothing_here_nothing_is_said() -> None:
    assert certificate_end("langfuse.invalid", 443) is None


def test_a_host_that_does_not_answer_counts_as_ended() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert certificate_end("127.0.0.1", unused.getsockname()[1]) == 0


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://langfuse.acme.example", ("langfuse.acme.example", 443)),
        ("https://langfuse.acme.example:8443", ("langfuse.acme.example", 8443)),
        ("http://localhost:3000", None),
        ("", None),
    ],
)
def test_only_https_has_a_certificate(url: str, expected: tuple[str, int] | None) -> None:
    assert host_of(url) == expected


def test_no_marks_of_jobs_are_no_fault(tmp_path: Path) -> None:
    assert last_successes(tmp_path / "heartbeats") == {}
