"""Break one thing, ask the doctor, put it back: what the tests of the doctor share."""

from __future__ import annotations

import re
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from scripts.check.doctor.catalog import CHECKS
from scripts.check.doctor.command import look
from scripts.check.doctor.model import Result, Status
from scripts.engines.context import Context

COMPLAINTS = (Status.WARNING, Status.FAILED)


def complaints(context: Context, *, read_only: bool = False, **environment: str) -> dict[str, Result]:
    """Return the results of a complete look that are neither ok nor skipped, by id."""
    seen = replace(context, environment={**context.environment, **environment})
    results, _ = look(seen, CHECKS, read_only=read_only, everything=True)
    return {result.check.id: result for result in results if result.status in COMPLAINTS}


def only(found: Mapping[str, Result], check: str, status: Status, *consequences: str) -> Result:
    """Return the one complaint, which has a fix; `consequences` are further ids that it brings along."""
    assert set(found) == {check, *consequences}, {name: one.verdict.found for name, one in found.items()}
    result = found[check]
    assert result.status is status
    assert result.fix
    return result


@contextmanager
def edited(path: Path, pattern: str, text: str) -> Iterator[None]:
    """Replace what matches the pattern in a file (at its end with an empty one), and put it back."""
    before = path.read_text() if path.exists() else None
    after = re.sub(pattern, text, before or "", flags=re.MULTILINE) if pattern else f"{before or ''}{text}"
    assert after != before
    path.write_text(after)
    try:
        yield
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before)


@contextmanager
def mode(path: Path, bits: int) -> Iterator[None]:
    """Give a file other permissions for a while."""
    before = path.stat().st_mode
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(before)


@contextmanager
def present(path: Path, *, age_s: float = 0, text: str = "") -> Iterator[None]:
    """Let a file be there for a while, as old as that."""
    import os

    made = not path.parent.exists()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = path.read_text() if path.exists() else None
    path.write_text(before if before is not None and not text else text)
    path.chmod(0o600)
    os.utime(path, (time.time() - age_s, time.time() - age_s))
    try:
        yield
    finally:
        path.unlink()
        if before is not None:
            path.write_text(before)
        if made:
            path.parent.rmdir()


@contextmanager
def time_server(ahead_s: float, *, stratum: int = 2) -> Iterator[str]:
    """Answer SNTP requests with a clock that is ahead of ours; yield its `host:port`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.1)
        over = threading.Event()

        def answer() -> None:
            while not over.is_set():
                with suppress(TimeoutError):
                    _, client = server.recvfrom(64)
                    moment = int((time.time() + ahead_s + 2_208_988_800) * 2**32)
                    server.sendto(
                        struct.pack("!4B3I4Q", 0x24, stratum, 0, 0, 0, 0, 0, 0, 0, moment, moment), client
                    )

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


def make_certificate(directory: Path, name: str, *, begins_days: float = -1, ends_days: float = 9) -> Path:
    """Return a file with a self-signed certificate for `name` and its key, valid from and to so many days."""
    place = directory / f"{name}{begins_days}{ends_days}"
    if (place / "server.pem").exists():
        return place / "server.pem"
    place.mkdir()
    (place / "index.txt").touch()
    (place / "ca.cnf").write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={place}/index.txt\nnew_certs_dir={place}\nrand_serial=yes\n"
        f"default_md=sha256\npolicy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n"
        f"[x]\nsubjectAltName=DNS:{name}\nbasicConstraints=CA:true\n"
    )
    key, request, certificate = place / "server.key", place / "server.csr", place / "server.crt"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    begins, ends = (
        time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86_400))
        for days in (begins_days, ends_days)
    )
    # `openssl req -x509` takes no beginning before version 3.4.
    for argv in (
        ["req", "-new", *curve, "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request)],
        ["ca", "-batch", "-selfsign", "-notext", "-config", str(place / "ca.cnf"), "-keyfile", str(key)],
    ):
        when = ["-startdate", begins, "-enddate", ends, "-in", str(request), "-out", str(certificate)]
        subprocess.run(
            ["openssl", *argv, *(when if argv[0] == "ca" else ())], check=True, capture_output=True
        )
    (place / "server.pem").write_text(key.read_text() + certificate.read_text())
    return place / "server.pem"


@contextmanager
def https_front(certificate: Path, *, hsts: bool = True, old: bool = False) -> Iterator[int]:
    """Answer health over HTTPS as a proxy before the engine does; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"status":"OK","version":"4.59.0"}'
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            if hsts:
                self.send_header("Strict-Transport-Security", "max-age=31536000")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that refuses the certificate hangs up."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if old:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
    server = Server(("localhost", 0), Handler)
    # The handshake is made by the thread of the request: one client that refuses must not stop the others.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
