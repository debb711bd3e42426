"""Run the embedded engine as users do: a process with a data directory, a port and keys."""

from __future__ import annotations

import base64
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

REPOSITORY = Path(__file__).resolve().parents[2]
START_TIMEOUT = 20.0
STOP_TIMEOUT = 20.0


class EngineFailed(AssertionError):
    """The engine did not do what a test needs of it; the text carries its last log lines."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The credentials of one project."""

    project_id: str
    public_key: str
    secret_key: str

    @property
    def auth(self) -> tuple[str, str]:
        """User and password of HTTP Basic."""
        return self.public_key, self.secret_key

    @property
    def header(self) -> str:
        """The value of the `Authorization` header."""
        pair = f"{self.public_key}:{self.secret_key}"
        return "Basic " + base64.b64encode(pair.encode()).decode()


DEFAULT_KEYS = Keys("kosmos-support", "pk-lf-test-kosmos", "sk-lf-test-kosmos")


@dataclass
class RunningEngine:
    """One engine process. `client` sends the keys of the default project."""

    data_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    keys: Keys = DEFAULT_KEYS
    base_url: str = ""
    port: int = 0

    def __post_init__(self) -> None:
        self.log_path = self.data_dir.with_name(self.data_dir.name + ".log")
        self.process: subprocess.Popen[str] | None = None
        self._client: httpx.Client | None = None

    @property
    def client(self) -> httpx.Client:
        """An HTTP client for the default project."""
        if self._client is None:
            self._client = httpx.Client(base_url=self.base_url, auth=self.keys.auth, timeout=30)
        return self._client

    @property
    def pid(self) -> int:
        """The process id of the server."""
        assert self.process is not None, "the engine is not running"
        return self.process.pid

    def start(self) -> RunningEngine:
        """Start the process and wait until it answers that it is ready."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                engine_command("serve", self.data_dir, "--port", str(self.port)),
                cwd=REPOSITORY,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.base_url = self._announced_url()
        self._wait_ready()
        return self

    def stop(self) -> int:
        """Stop with SIGTERM, as an operator does; return the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the process as a power cut would, without any chance to write."""
        self._end(signal.SIGKILL)

    def provision(self, name: str) -> Keys:
        """Create a further project beside the running engine; return its keys."""
        keys = Keys(f"project-{name}", f"pk-lf-test-{name}", f"sk-lf-test-{name}")
        wanted = {
            "organizationId": "acme",
            "organizationName": "Acme",
            "projectId": keys.project_id,
            "projectName": name,
            "publicKey": keys.public_key,
            "secretKey": keys.secret_key,
        }
        subprocess.run(
            engine_command("provision", self.data_dir),
            cwd=REPOSITORY,
            env=self._environment(),
            input=json.dumps(wanted) + "\n",
            text=True,
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=START_TIMEOUT,
        )
        return keys

    def client_for(self, keys: Keys) -> httpx.Client:
        """Return a client with other keys; the caller closes it."""
        return httpx.Client(base_url=self.base_url, auth=keys.auth, timeout=30)

    def log(self) -> str:
        """Return what the engine wrote to its standard error."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def _environment(self) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LANGFUSE_", "EMBEDDED_", "INGEST_", "NEXTAUTH_"))
        }
        return {
            **inherited,
            "SALT": "test-salt",
            "ENCRYPTION_KEY": "0" * 64,
            "LANGFUSE_INIT_ORG_ID": "acme",
            "LANGFUSE_INIT_ORG_NAME": "Acme",
            "LANGFUSE_INIT_PROJECT_ID": self.keys.project_id,
            "LANGFUSE_INIT_PROJECT_NAME": "kosmos",
            "LANGFUSE_INIT_PROJECT_PUBLIC_KEY": self.keys.public_key,
            "LANGFUSE_INIT_PROJECT_SECRET_KEY": self.keys.secret_key,
            "LANGFUSE_INIT_USER_EMAIL": "zeus@acme.example",
            "LANGFUSE_INIT_USER_NAME": "Zeus",
            "LANGFUSE_INIT_USER_PASSWORD": "test-password",
            **self.environment,
        }

    def _announced_url(self) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        lines: queue.Queue[str] = queue.Queue()
        stdout = self.process.stdout
        threading.Thread(target=_pump, args=(stdout, lines), daemon=True).start()
        deadline = time.monotonic() + START_TIMEOUT
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = lines.get(timeout=left)
            except queue.Empty:
                break
            if not line:
                raise self._failed("ended before it listened")
            if line.startswith("listening on "):
                return line.removeprefix("listening on ").strip()
        raise self._failed(f"did not listen within {START_TIMEOUT:g} s")

    def _wait_ready(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_TIMEOUT
        last = "no answer"
        with httpx.Client(base_url=self.base_url, timeout=5) as probe:
            while time.monotonic() < deadline:
                if self.process.poll() is not None:
                    raise self._failed("ended before it was ready")
                try:
                    last = str(probe.get("/api/public/ready").status_code)
                except httpx.TransportError as error:
                    last = repr(error)
                if last == "200":
                    return
                time.sleep(0.01)
        raise self._failed(f"was not ready within {START_TIMEOUT:g} s (last: {last})")

    def _end(self, how: signal.Signals) -> int:
        if self._client is not None:
            self._client.close()
            self._client = None
        if self.process is None:
            return 0
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(how)
        try:
            code = process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise self._failed(f"did not stop within {STOP_TIMEOUT:g} s of {how.name}") from None
        finally:
            if process.stdout is not None:
                process.stdout.close()
        return code

    def _failed(self, what: str) -> EngineFailed:
        tail = "\n".join(self.log().splitlines()[-40:])
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        return EngineFailed(f"The engine on {self.data_dir} {what}. Its log ends:\n{tail}")


def engine_command(verb: str, data_dir: Path, *options: str) -> list[str]:
    """Return the argv of an engine verb."""
    return [sys.executable, "-m", "langfuse_embedded", verb, "--data-dir", str(data_dir), *options]


def _pump(stream: object, lines: queue.Queue[str]) -> None:
    # Read on after the first line too: a full pipe would block the engine.
    try:
        for line in stream:  # type: ignore[attr-defined]
            lines.put(line)
    except ValueError:
        pass  # closed by `_end` while waiting for a line
    lines.put("")
