"""The embedded engine as a process of its own, with a data directory, a free port and keys."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO

import httpx

from .server import Keys, LangfuseFailed, LangfuseServer

LOGIN = ("zeus@acme.example", "test-password")
"""E-mail and password for the viewer."""
DEFAULT_KEYS = Keys("kosmos-support", "pk-lf-test-kosmos", "sk-lf-test-kosmos")
OTHER_PYTHON = "LANGFUSE_TEST_PYTHON"

_START_SECONDS = 20.0
_STOP_SECONDS = 20.0
# The engine must not take over what steers the application under test.
_STEERING = ("LANGFUSE_", "EMBEDDED_", "INGEST_", "NEXTAUTH_")


class EmbeddedLangfuse(LangfuseServer):
    """An embedded engine, started by `start` or `with`, stopped by `stop` or at the end of the block.

    Args:
        data_dir: where its data lies; without one, a temporary directory that goes with the engine.
        environment: settings, such as `{"INGEST_LAG_MS": "500"}`.
        keys: project and keys that it is provisioned with.
        port: 0 takes a free one.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        environment: Mapping[str, str] | None = None,
        keys: Keys = DEFAULT_KEYS,
        port: int = 0,
    ) -> None:
        super().__init__("", keys)
        self._temporary = tempfile.TemporaryDirectory(prefix="langfuse-") if data_dir is None else None
        self.data_dir = data_dir or Path(self._temporary.name if self._temporary else "", "data")
        self.log_path = self.data_dir.with_name(self.data_dir.name + ".log")
        self.settings = dict(environment or {})
        self.port = port
        self.process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> EmbeddedLangfuse:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._temporary is not None:
            self._temporary.cleanup()

    @property
    def pid(self) -> int:
        """The process id of the server."""
        if self.process is None:
            raise LangfuseFailed("the engine is not running")
        return self.process.pid

    def start(self) -> None:
        """Start the process and wait until it answers that it is ready.

        Raises:
            LangfuseFailed: it ended, or was not ready within 20 s; its last log lines are in the text.
        """
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                engine_command("serve", self.data_dir, "--port", str(self.port)),
                env=self.process_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.base_url = self._announced_url()
        self._wait_ready()

    def stop(self) -> int:
        """Stop with SIGTERM, as an operator does; return the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the process as a power cut does, without any chance to write."""
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
            env=self.process_environment(),
            input=json.dumps(wanted) + "\n",
            text=True,
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=_START_SECONDS,
        )
        return keys

    def log(self) -> str:
        """Return what the engine wrote to its standard error."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def process_environment(self) -> dict[str, str]:
        """Return the environment that the engine process gets."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_STEERING)}
        return {
            **inherited,
            "PYTHONPATH": _python_path(),
            "SALT": "test-salt",
            "ENCRYPTION_KEY": "0" * 64,
            "LANGFUSE_INIT_ORG_ID": "acme",
            "LANGFUSE_INIT_ORG_NAME": "Acme",
            "LANGFUSE_INIT_PROJECT_ID": self.keys.project_id,
            "LANGFUSE_INIT_PROJECT_NAME": "kosmos",
            "LANGFUSE_INIT_PROJECT_PUBLIC_KEY": self.keys.public_key,
            "LANGFUSE_INIT_PROJECT_SECRET_KEY": self.keys.secret_key,
            "LANGFUSE_INIT_USER_EMAIL": LOGIN[0],
            "LANGFUSE_INIT_USER_NAME": "Zeus",
            "LANGFUSE_INIT_USER_PASSWORD": LOGIN[1],
            **self.settings,
        }

    def _announced_url(self) -> str:
        process = self.process
        if process is None or process.stdout is None:
            raise LangfuseFailed("the engine is not running")
        lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=_pump, args=(process.stdout, lines), daemon=True)
        self._reader.start()
        deadline = time.monotonic() + _START_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = lines.get(timeout=left)
            except queue.Empty:
                break
            if not line:
                raise self._failed("ended before it listened")
            if line.startswith("listening on "):
                return line.removeprefix("listening on ").strip()
        raise self._failed(f"did not listen within {_START_SECONDS:g} s")

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        last = "no answer"
        with httpx.Client(base_url=self.base_url, timeout=5) as probe:
            while time.monotonic() < deadline:
                if self.process is None or self.process.poll() is not None:
                    raise self._failed("ended before it was ready")
                try:
                    last = str(probe.get("/api/public/ready").status_code)
                except httpx.TransportError as error:
                    last = repr(error)
                if last == "200":
                    return
                time.sleep(0.01)
        raise self._failed(f"was not ready within {_START_SECONDS:g} s (last: {last})")

    def _end(self, how: signal.Signals) -> int:
        if self.process is None:
            return 0
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(how)
        try:
            code = process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise self._failed(f"did not stop within {_STOP_SECONDS:g} s of {how.name}") from None
        finally:
            self._close_output(process)
        return code

    def _close_output(self, process: subprocess.Popen[str]) -> None:
        # The process is dead, so the reader is at the end: waiting for it keeps two threads off one file.
        if self._reader is not None:
            self._reader.join()
        if process.stdout is not None:
            process.stdout.close()

    def _failed(self, what: str) -> LangfuseFailed:
        tail = "\n".join(self.log().splitlines()[-40:])
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()
            self._close_output(process)
        return LangfuseFailed(f"The engine on {self.data_dir} {what}. Its log ends:\n{tail}")


def engine_command(command: str, data_dir: Path, *options: str) -> list[str]:
    """Return the argv of an engine command.

    It runs in this Python, or in that which `LANGFUSE_TEST_PYTHON` names where the packages of an application
    and those of the engine do not agree.
    """
    python = os.environ.get(OTHER_PYTHON) or sys.executable
    return [python, "-m", "langfuse_embedded", command, "--data-dir", str(data_dir), *options]


def _python_path() -> str:
    if os.environ.get(OTHER_PYTHON):
        return ""  # with packages of another Python, it could not start
    # The package may be importable only through this process's path (pytest's `pythonpath`, a checkout).
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return path.rstrip(os.pathsep)


def _pump(stream: IO[str], lines: queue.Queue[str]) -> None:
    # Reads on after the first line: a full pipe would block the engine.
    for line in stream:
        lines.put(line)
    lines.put("")
