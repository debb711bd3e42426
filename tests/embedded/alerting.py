"""Run Prometheus, Alertmanager and a receiver of messages as processes and a thread of the test."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.waiting import wait_for

from .exporting import free_port

STOP_TIMEOUT_S = 20.0


def program(*names: str) -> str:
    """Return the path of the first program that is installed, or skip the test."""
    for name in names:
        if path := shutil.which(name):
            return path
    pytest.skip(f"{names[0]} is not installed (Debian: prometheus, prometheus-alertmanager)")


class Receiver:
    """Takes what Alertmanager sends to Slack, with the time of arrival."""

    def __init__(self) -> None:
        self.messages: list[tuple[float, dict[str, Any]]] = []
        messages = self.messages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                messages.append((time.monotonic(), json.loads(body)))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/services/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def wait(self, *parts: str, since: float, timeout_s: float = 60) -> tuple[float, dict[str, Any]]:
        """Return the seconds from `since` to the first message with these parts in its title, and it."""
        found: list[tuple[float, dict[str, Any]]] = []

        def look() -> bool:
            found[:] = [
                (at, attachment)
                for at, message in self.messages
                for attachment in message["attachments"]
                if at >= since and all(part in attachment["title"] for part in parts)
            ]
            return bool(found)

        wait_for(look, f"a message about {parts}", timeout_s)
        return found[0][0] - since, found[0][1]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Monitoring:
    """Prometheus and Alertmanager with configuration of a test."""

    directory: Path
    exporter_url: str
    rules: dict[str, str]
    alertmanager_config: str = ""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    url: str = ""

    def start(self) -> Monitoring:
        """Start what is configured and wait until it is ready."""
        self.directory.mkdir(parents=True, exist_ok=True)
        managers = [self._start_alertmanager()] if self.alertmanager_config else []
        for name, text in self.rules.items():
            (self.directory / name).write_text(text)
        target = {"targets": [self.exporter_url.removeprefix("http://")]}
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": list(self.rules),
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": managers}]}]},
            "scrape_configs": [
                {"job_name": "exporter", "static_configs": [target]},
                {"job_name": "alertmanager", "static_configs": [{"targets": managers}]},
            ],
        }
        (self.directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._start(
            program("prometheus"),
            f"--config.file={self.directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            url=f"{self.url}/-/ready",
        )
        return self

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return the samples of an instant query."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}).raise_for_status()
        return [(row["metric"], float(row["value"][1])) for row in answer.json()["data"]["result"]]

    def stop(self) -> None:
        """Stop all."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start_alertmanager(self) -> str:
        path = self.directory / "alertmanager.yml"
        path.write_text(self.alertmanager_config)
        port = free_port()
        self._start(
            program("alertmanager", "prometheus-alertmanager"),
            f"--config.file={path}",
            f"--storage.path={self.directory / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            url=f"http://127.0.0.1:{port}/-/ready",
        )
        return f"127.0.0.1:{port}"

    def _start(self, *argv: str, url: str) -> None:
        log = self.directory / f"{Path(argv[0]).name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.directory
            )
        self.processes.append(process)

        def ready() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return httpx.get(url).is_success
            except httpx.TransportError:
                return False

        wait_for(ready, f"{argv[0]} is ready")
