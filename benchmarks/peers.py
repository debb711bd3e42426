"""Servers to compare with: how each is installed, started, counted and read. See `benchmarks.compare`.

All install from PyPI, into virtual environments of their own, and take OpenTelemetry over HTTP.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import psutil

from tests.embedded.harness import DEFAULT_KEYS, RunningEngine

from .harness import AGGREGATE, READ_PATH
from .load import TRACES_PATH, Connection

_START_SECONDS = 300.0
_STOP_SECONDS = 15.0


class Server(ABC):
    """One server on an empty data directory. `answers` is a path that gives 200 once it serves."""

    name: ClassVar[str]
    requirement: ClassVar[str] = ""
    traces_path: ClassVar[str] = "/v1/traces"
    answers: ClassVar[str] = "/health"
    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, directory: Path, venvs: Path) -> None:
        self.directory, self.venv = directory, venvs / f"venv-{self.name.lower()}"
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def install(self) -> None:
        """Make the virtual environment unless it is there."""
        done = self.venv / "installed"
        if not done.exists():
            subprocess.run([sys.executable, "-m", "venv", str(self.venv)], check=True)
            pip = [str(self.venv / "bin" / "pip"), "install", "--quiet", self.requirement]
            subprocess.run(pip, check=True)
            done.touch()

    def start(self) -> None:
        """Start the process and wait until it answers."""
        environment = {**os.environ, "DO_NOT_TRACK": "true", **self.environment()}
        with (self.directory / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_up():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self.directory / "server.log").read_text("utf-8", "replace")[-2000:]
                raise RuntimeError(f"{self.name} did not start: {said}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End the process and its children."""
        processes = self.processes()
        for process in processes:
            process.terminate()
        _, alive = psutil.wait_procs(processes, _STOP_SECONDS)
        for process in alive:
            process.kill()

    def processes(self) -> list[psutil.Process]:
        """Return the process and its children."""
        assert self._process is not None
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children(recursive=True)]

    def connect(self) -> Connection:
        """Return a new connection."""
        return Connection("127.0.0.1", self.port, self.headers)

    def get(self, connection: Connection, path: str, document: Any = None) -> Any:
        """Return the decoded answer to a GET, or to a POST of a document; ``None`` when it is not 200."""
        body = None if document is None else json.dumps(document).encode()
        status, answer = connection.call(
            "GET" if body is None else "POST", path, body, content_type="application/json"
        )
        return json.loads(answer) if status == 200 else None

    def command(self) -> list[str]:
        """Return the command that serves on `port` and keeps its data in `directory`."""
        return []

    def environment(self) -> dict[str, str]:
        """Return what the command needs in its environment."""
        return {}

    @abstractmethod
    def count(self, connection: Connection) -> int:
        """Return how many spans can be seen."""

    @abstractmethod
    def read(self, connection: Connection, trace_id: str) -> int:
        """Read a trace with inputs and outputs; return how many spans came."""

    @abstractmethod
    def aggregate(self, connection: Connection) -> Any:
        """Ask for tokens and cost by model, as far as the server can."""

    def _is_up(self) -> bool:
        try:
            with closing(self.connect()) as connection:
                return connection.call("GET", self.answers)[0] == 200
        except OSError:
            return False


class Embedded(Server):
    """This repository's embedded engine."""

    name = "embedded engine"
    traces_path = TRACES_PATH

    def __init__(self, directory: Path, venvs: Path) -> None:
        super().__init__(directory, venvs)
        self._engine = RunningEngine(directory / "data")
        self.headers = {"authorization": DEFAULT_KEYS.header}  # type: ignore[misc]  # keys of this engine

    def install(self) -> None:
        """Nothing to do: it is here."""

    def start(self) -> None:
        self._engine.start()
        self.port = urlsplit(self._engine.base_url).port or 0

    def stop(self) -> None:
        self._engine.stop()

    def processes(self) -> list[psutil.Process]:
        parent = psutil.Process(self._engine.pid)
        return [parent, *parent.children(recursive=True)]

    def count(self, connection: Connection) -> int:
        query = {**AGGREGATE, "dimensions": [], "metrics": [{"measure": "count", "aggregation": "count"}]}
        found = self.get(connection, f"/api/public/v2/metrics?query={quote(json.dumps(query))}")
        return int(found["data"][0]["count_count"])

    def read(self, connection: Connection, trace_id: str) -> int:
        found = self.get(connection, READ_PATH + trace_id)
        return len(found["data"]) if found else 0

    def aggregate(self, connection: Connection) -> Any:
        return self.get(connection, f"/api/public/v2/metrics?query={quote(json.dumps(AGGREGATE))}")


class Phoenix(Server):
    """Arize Phoenix on SQLite."""

    name, requirement, answers = "Phoenix", "arize-phoenix==20.26.1", "/healthz"

    def command(self) -> list[str]:
        return [str(self.venv / "bin" / "phoenix"), "serve"]

    def environment(self) -> dict[str, str]:
        return {
            "PHOENIX_WORKING_DIR": str(self.directory),
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(self.port),
            "PHOENIX_GRPC_PORT": str(_free_port()),
            "PHOENIX_TELEMETRY_ENABLED": "false",
            "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
        }

    def _project(self, connection: Connection, fields: str) -> Any:
        found = self.get(
            connection, "/graphql", {"query": f"{{projects(first:5){{edges{{node{{name {fields}}}}}}}}}"}
        )
        nodes = [edge["node"] for edge in found["data"]["projects"]["edges"]]
        return next(node for node in nodes if node["name"] == "default")

    def count(self, connection: Connection) -> int:
        return int(self._project(connection, "recordCount")["recordCount"])

    def read(self, connection: Connection, trace_id: str) -> int:
        found = self.get(connection, f"/v1/projects/default/spans?trace_id={trace_id}&limit=100")
        return len(found["data"]) if found else 0

    def aggregate(self, connection: Connection) -> Any:
        since = 'timeRange:{start:"2020-01-01T00:00:00Z"}'
        return self._project(
            connection, f"topModelsByTokenCount({since}){{name costSummary{{total{{tokens cost}}}}}}"
        )


class Mlflow(Server):
    """MLflow's tracking server on SQLite."""

    name, requirement = "MLflow", "mlflow==3.17.2"
    headers: ClassVar[dict[str, str]] = {"x-mlflow-experiment-id": "0"}

    def command(self) -> list[str]:
        mlflow = [
            str(self.venv / "bin" / "mlflow"),
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
        ]
        return [*mlflow, "--backend-store-uri", f"sqlite:///{self.directory}/mlflow.db"]

    def environment(self) -> dict[str, str]:
        return {"MLFLOW_DISABLE_TELEMETRY": "true"}

    def _metric(self, connection: Connection, name: str, aggregation: str, *dimensions: str) -> Any:
        asked = {
            "experiment_ids": ["0"],
            "max_results": 1000,
            "view_type": "SPANS",
            "metric_name": name,
            "aggregations": [{"aggregation_type": aggregation}],
            "dimensions": list(dimensions),
        }
        return self.get(connection, "/api/3.0/mlflow/traces/metrics", asked)

    def count(self, connection: Connection) -> int:
        found = self._metric(connection, "span_count", "COUNT")
        points = found.get("data_points", [])
        return int(sum(value for point in points for value in point["values"].values()))

    def read(self, connection: Connection, trace_id: str) -> int:
        found = self.get(connection, f"/api/3.0/mlflow/traces/get?trace_id=tr-{trace_id}")
        return len(found["trace"].get("spans", [])) if found else 0

    def aggregate(self, connection: Connection) -> Any:
        return self._metric(connection, "total_cost", "SUM", "span_model_name")


class AgentMesh(Server):
    """AgentMesh on SQLite."""

    name, requirement, answers = "AgentMesh", "agentmesh-ai[otlp]==0.5.0", "/healthz"

    def command(self) -> list[str]:
        agentmesh = [str(self.venv / "bin" / "agentmesh"), "--db", str(self.directory / "agentmesh.db")]
        return [*agentmesh, "dashboard", "--port", str(self.port)]

    def count(self, connection: Connection) -> int:
        # Its API does not count spans.
        uri = f"file:{self.directory}/agentmesh.db?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as database:
            return int(database.execute("select count(*) from spans").fetchone()[0])

    def read(self, connection: Connection, trace_id: str) -> int:
        return len(self.get(connection, f"/api/traces/{trace_id}/spans") or ())

    def aggregate(self, connection: Connection) -> Any:
        return self.get(connection, "/api/costs/by-model")


SERVERS: tuple[type[Server], ...] = (Embedded, Phoenix, Mlflow, AgentMesh)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
