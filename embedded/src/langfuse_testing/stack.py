"""The real Langfuse of a checkout of this repository, in Docker, for the length of a test run."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType

from testcontainers.compose import DockerCompose

from .embedded import DEFAULT_KEYS
from .server import Keys, LangfuseFailed, LangfuseServer

WEB = "langfuse-web"
_LAST_LINES = 40
# Variables that compose.yaml takes from outside; those with `:?` it does not start without.
_REFERENCED = re.compile(r"(?<!\$)\$\{([A-Z][A-Z0-9_]*)|^ +([A-Z][A-Z0-9_]*):\s*$", re.MULTILINE)
_REQUIRED = re.compile(r"(?<!\$)\$\{([A-Z][A-Z0-9_]*):\?")


class _Compose(DockerCompose):
    """Compose with a project of its own, blind to what the environment of the tests calls the same."""

    project = ""
    hidden: Sequence[str] = ()

    @cached_property
    def compose_command_property(self) -> list[str]:
        """See DockerCompose. Without `env -u` Langfuse would take the DATABASE_URL of the application."""
        docker, compose, *options = super().compose_command_property
        hide = [word for name in self.hidden for word in ("-u", name)]
        return ["env", *hide, docker, compose, "--project-name", self.project, *options]


class LangfuseStack(LangfuseServer):
    """Web, worker and all stores, started by `start` or `with`; afterwards nothing of it is left.

    Args:
        checkout: directory of this repository. `COMPOSE_FILE` in the environment may add files of it to its
            compose.yaml; one that names other files belongs to the application and is not used.
        settings: variables of .env, such as `{"LANGFUSE_VERSION": "4.59.0"}`.
        keys: project and keys that it is provisioned with.
        size: a file of config/sizes.
    """

    def __init__(
        self,
        checkout: Path,
        settings: Mapping[str, str] | None = None,
        keys: Keys = DEFAULT_KEYS,
        size: str = "ci",
    ) -> None:
        port, s3_port = _free_ports(2)
        super().__init__(f"http://127.0.0.1:{port}", keys)
        self.project = f"langfuse-test-{secrets.token_hex(4)}"
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        files = _added_files(checkout)
        texts = "\n".join(path.read_text() for path in files or [checkout / "compose.yaml"])
        self._sizes = checkout / "config" / "sizes" / f"{size}.env"
        given = {**self._values(port, s3_port), **(settings or {})}
        in_sizes = re.findall(r"^([A-Z0-9_]+)=", self._sizes.read_text(), re.MULTILINE)
        # What else it does not start without are passwords and keys: random ones.
        missing = set(_REQUIRED.findall(texts)) - {*given, *in_sizes}
        self._env = {**given, **{name: secrets.token_hex(32) for name in missing}}
        self._compose = _Compose(checkout, wait=True, quiet_pull=True)
        self._compose.project = self.project
        referenced = {name for pair in _REFERENCED.findall(texts) for name in pair if name}
        # Compose itself would obey those of the application, too.
        steering = {name for name in os.environ if name.startswith("COMPOSE_")}
        kept = {"COMPOSE_FILE", "COMPOSE_PATH_SEPARATOR"} if files else set()
        self._compose.hidden = sorted((referenced | steering) & os.environ.keys() - kept)

    def __enter__(self) -> LangfuseStack:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until every service is healthy: a minute, or several while images are pulled.

        Raises:
            LangfuseFailed: it did not start; the last lines of compose and of web are in the text.
        """
        self._directory = tempfile.TemporaryDirectory(prefix="langfuse-stack-")
        env_file = Path(self._directory.name, "env")
        env_file.touch(mode=0o600)
        env_file.write_text("".join(f"{name}={value}\n" for name, value in self._env.items()))
        self._compose.env_file = [str(self._sizes), str(env_file)]
        try:
            self._compose.start()
        except subprocess.CalledProcessError as error:
            said = (error.stderr or b"").decode(errors="replace").splitlines()
            lines = "\n".join([*said[-_LAST_LINES:], f"{WEB}:", *self.log(WEB).splitlines()[-_LAST_LINES:]])
            raise LangfuseFailed(f"The stack {self.project} did not start:\n{lines}") from error

    def stop(self) -> None:
        """Stop it and delete its containers, networks and volumes."""
        if self._directory is not None:
            self._compose.stop(down=True)
            self._directory.cleanup()
            self._directory = None

    def log(self, *services: str) -> str:
        """Return what services have written, all without an argument."""
        return "".join(self._compose.get_logs(*services))

    def _values(self, port: int, s3_port: int) -> dict[str, str]:
        return {
            "COMPOSE_PROFILES": "postgres,clickhouse,valkey,s3",
            "LANGFUSE_PORT": str(port),
            "S3_PORT": str(s3_port),
            "NEXTAUTH_URL": f"http://localhost:{port}",
            "S3_PUBLIC_ENDPOINT": f"http://localhost:{s3_port}",
            "EXPORTER_USER": f"{os.getuid() or 65532}:{os.getgid() or 65532}",
            "LANGFUSE_INIT_ORG_ID": "acme",
            "LANGFUSE_INIT_ORG_NAME": "Acme",
            "LANGFUSE_INIT_PROJECT_ID": self.keys.project_id,
            "LANGFUSE_INIT_PROJECT_NAME": self.keys.project_id,
            "LANGFUSE_INIT_PROJECT_PUBLIC_KEY": self.keys.public_key,
            "LANGFUSE_INIT_PROJECT_SECRET_KEY": self.keys.secret_key,
            "LANGFUSE_INIT_USER_EMAIL": "zeus@acme.example",
            "LANGFUSE_INIT_USER_NAME": "Zeus",
            "LANGFUSE_INIT_USER_PASSWORD": secrets.token_hex(8),
        }


def _added_files(checkout: Path) -> list[Path]:
    """Return what `COMPOSE_FILE` names where that is compose.yaml of this checkout and more of it."""
    root = checkout.resolve()
    separator = os.environ.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
    files = [(root / name).resolve() for name in os.environ.get("COMPOSE_FILE", "").split(separator) if name]
    inside = all(path.is_file() and path.is_relative_to(root) for path in files)
    return files if inside and files[:1] == [root / "compose.yaml"] else []


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()
