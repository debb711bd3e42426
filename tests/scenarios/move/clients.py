"""Who goes on working while a stack moves: an application with the SDK, and a person who reads and edits."""

from __future__ import annotations

import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.scenarios.stack import Stack, new_id
from tests.waiting import wait_for

# Notes each span before the SDK has sent it: what is lost is lost, whether acknowledged or not.
APPLICATION = """
import sys, threading, time
from langfuse import Langfuse

client = Langfuse(flush_at=20, flush_interval=0.2)
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
with open(sys.argv[1], "a") as notes:
    while not over.wait(0.03):
        context = {"trace_id": sys.argv[2]}
        with client.start_as_current_observation(name="moved", trace_context=context) as span:
            print(time.time(), span.id, file=notes, flush=True)
client.flush()
client.shutdown()
"""
_CHUNK = 1 << 16


class Name:
    """A name of the service, as a load balancer or DNS has it: new connections go where it leads."""

    def __init__(self, stack: Stack) -> None:
        self.leads_to = stack
        name = self

        class Relay(socketserver.BaseRequestHandler):
            """Connects a client with the stack; the connection stays with it, as keep-alive does."""

            def handle(self) -> None:
                with suppress(OSError):
                    port = int(name.leads_to.context.environment["LANGFUSE_PORT"])
                    with socket.create_connection(("127.0.0.1", port)) as server:
                        answers = threading.Thread(target=_pump, args=(server, self.request))
                        answers.start()
                        _pump(self.request, server)
                        answers.join()

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        """What applications know."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Take no connection any more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@dataclass
class Application:
    """A process that makes spans of one trace with the SDK."""

    url: str
    keys: Mapping[str, str]
    directory: Path
    trace_id: str = field(default_factory=lambda: new_id(16))

    def __post_init__(self) -> None:
        self._notes = self.directory / f"spans-{self.trace_id}.txt"
        environment = {
            "PATH": "/usr/bin:/bin",
            "LANGFUSE_BASE_URL": self.url,
            "LANGFUSE_PUBLIC_KEY": self.keys["LANGFUSE_PUBLIC_KEY"],
            "LANGFUSE_SECRET_KEY": self.keys["LANGFUSE_SECRET_KEY"],
        }
        argv = [sys.executable, "-c", APPLICATION, str(self._notes), self.trace_id]
        self._process = subprocess.Popen(
            argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def spans(self) -> dict[str, float]:
        """Return the ids of all spans that were made, with their moments."""
        text = self._notes.read_text() if self._notes.exists() else ""
        rows = (line.split() for line in text.splitlines(keepends=True) if line.endswith("\n"))
        return {span: float(moment) for moment, span in rows}

    def wait_for(self, more: int) -> None:
        """Return when that many further spans were made."""
        wanted = len(self.spans()) + more
        wait_for(lambda: len(self.spans()) >= wanted, f"{wanted} spans")

    def stop(self) -> str:
        """Let it send what it has and end; return what it complained of."""
        _, said = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, said
        return said.decode()


@dataclass
class Visitor:
    """Reads all the time, and makes a prompt all the time, at the old stack."""

    stack: Stack
    prompts: list[str] = field(default_factory=list)
    refused: int = 0
    reads: int = 0
    failed_reads: int = 0

    def visit(self, until: threading.Event) -> None:
        """Do so until told to stop."""
        with self.stack.client() as client:
            while not until.wait(0.1):
                with suppress(httpx.HTTPError):
                    self._edit(client)
                try:
                    self.reads += 1
                    client.get("/api/public/v2/observations?limit=1").raise_for_status()
                except httpx.HTTPError:
                    self.failed_reads += 1

    def _edit(self, client: httpx.Client) -> None:
        name = f"made-{new_id(4)}"
        body = {"name": name, "type": "text", "prompt": "Hello", "labels": []}
        if client.post("/api/public/v2/prompts", json=body).is_success:
            self.prompts.append(name)
        else:
            self.refused += 1


@contextmanager
def visited(stack: Stack) -> Iterator[Visitor]:
    """Have someone work with a stack during the body."""
    visitor, over = Visitor(stack), threading.Event()
    thread = threading.Thread(target=visitor.visit, args=(over,))
    thread.start()
    try:
        yield visitor
    finally:
        over.set()
        thread.join()
