"""A container registry in memory: what docker push and pull need of the OCI distribution protocol."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4


class Handler(BaseHTTPRequestHandler):
    """Keeps blobs by digest and manifests by name and tag or digest."""

    protocol_version = "HTTP/1.1"
    blobs: dict[str, bytes]
    manifests: dict[tuple[str, str], tuple[str, bytes]]
    uploads: dict[str, bytes]

    def do_GET(self) -> None:
        """Serve what is known."""
        self.serve(with_body=True)

    def do_HEAD(self) -> None:
        """The same without content."""
        self.serve(with_body=False)

    def serve(self, *, with_body: bool) -> None:
        """Answer with a manifest or a blob."""
        if self.path == "/v2/":
            return self.answer(200)
        if found := re.fullmatch(r"/v2/(.+)/manifests/(.+)", self.path):
            kind, content = self.manifests.get((found[1], found[2]), ("", b""))
        elif found := re.fullmatch(r"/v2/.+/blobs/(.+)", self.path):
            kind, content = "application/octet-stream", self.blobs.get(found[1], b"")
        else:
            return self.answer(404)
        if not content:
            return self.answer(404)
        headers = {"Content-Type": kind, "Docker-Content-Digest": digest(content)}
        return self.answer(200, content, with_body=with_body, **headers)

    def do_POST(self) -> None:
        """Begin an upload."""
        self.take()
        upload = uuid4().hex
        self.uploads[upload] = b""
        self.answer(202, Location=f"{self.path.rstrip('/')}/{upload}", Range="0-0")

    def do_PATCH(self) -> None:
        """Take a part of an upload."""
        upload = self.path.rpartition("/")[2]
        self.uploads[upload] += self.take()
        self.answer(202, Location=self.path, Range=f"0-{len(self.uploads[upload])}")

    def do_PUT(self) -> None:
        """End an upload, or take a manifest."""
        content = self.take()
        if found := re.fullmatch(r"/v2/(.+)/manifests/(.+)", self.path):
            entry = (str(self.headers["Content-Type"]), content)
            for reference in (found[2], digest(content)):
                self.manifests[found[1], reference] = entry
        else:
            path, _, query = self.path.partition("?")
            content = self.uploads.pop(path.rpartition("/")[2]) + content
            assert query.replace("%3A", ":") == f"digest={digest(content)}"
            self.blobs[digest(content)] = content
        self.answer(201, **{"Docker-Content-Digest": digest(content)})

    def take(self) -> bytes:
        """Return the body, of a known length or in chunks."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, status: int, content: bytes = b"", *, with_body: bool = True, **headers: str) -> None:
        """Send an answer."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def digest(content: bytes) -> str:
    """Return the name of a content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@contextmanager
def registry() -> Iterator[str]:
    """Yield the address of a registry; Docker takes one on this machine without HTTPS."""
    handler = type("Registry", (Handler,), {"blobs": {}, "manifests": {}, "uploads": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
