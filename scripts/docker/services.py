"""The services of a compose stack, as backups use them: run something inside one, with files in and out."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TypeVar

from scripts.core.errors import CommandFailed, UsageError
from scripts.core.layout import Layout
from scripts.core.runner import Completed, Runner, checked
from scripts.docker.availability import parse_json_rows
from scripts.docker.identity import claim_volumes
from scripts.engines.compose import compose_command, compose_environment, starting_environment
from scripts.settings.profiles import REPLACED_BY, compose_profiles
from scripts.settings.values import Settings

T = TypeVar("T")

STORES = {"postgres": "postgres", "clickhouse": "clickhouse", "valkey": "valkey", "seaweedfs": "s3"}
"""The profile of each bundled store."""
WORKER = "langfuse-worker"
WEB = "langfuse-web"
LONG_S = 12 * 3600.0
_START_S = 600


@dataclass(frozen=True, slots=True)
class Services:
    """Runs `docker compose` for one stack. Every method raises StackError when that fails."""

    layout: Layout
    settings: Settings
    environment: Mapping[str, str]
    runner: Runner

    def states(self) -> dict[str, tuple[str, str]]:
        """Return state and health of each service that has a container."""
        rows = parse_json_rows(self._run("ps", "--all", "--format", "json").stdout)
        return {str(row["Service"]): (str(row["State"]), str(row.get("Health") or "")) for row in rows}

    def volumes(self) -> list[str]:
        """Return the names of the volumes of the stack."""
        label = f"label=com.docker.compose.project={self.settings['COMPOSE_PROJECT_NAME']}"
        argv = ["docker", "volume", "ls", "--quiet", "--filter", label]
        return checked(argv, self.runner.run(argv)).stdout.split()

    def bundled(self) -> list[str]:
        """Return the stores that this stack runs itself."""
        profiles = compose_profiles(self.settings.values)
        return [service for service, profile in STORES.items() if profile in profiles]

    def run_once(self, service: str) -> None:
        """Run a service that does something and ends."""
        self._make("run", "--rm", "--no-deps", "-T", service, timeout_s=_START_S)

    def run_inside(self, service: str, argv: Sequence[str], timeout_s: float = _START_S) -> str:
        """Run a program in a container of its own, with the image and the volumes of a service."""
        program, *rest = argv
        command = ("run", "--rm", "--no-deps", "-T", "--entrypoint", program, service, *rest)
        return self._make(*command, timeout_s=timeout_s).stdout

    def up(self, *services: str) -> None:
        """Start these services and what they need, and wait until all are healthy."""
        argv = ("up", "--detach", "--wait", "--wait-timeout", str(_START_S), *services)
        self._make(*argv, timeout_s=_START_S + 60)

    def stop(self, *services: str) -> None:
        """Stop these services."""
        self._run("stop", *services, timeout_s=_START_S)

    def start(self, *services: str) -> None:
        """Start services that were stopped."""
        self._run("start", *services, timeout_s=_START_S)

    def restart(self, *services: str) -> None:
        """Stop services, also those that just stop, and start them."""
        argv, environment = self.restart_command(*services)
        checked(argv, self.runner.run(argv, env=environment, timeout_s=_START_S))

    def restart_command(self, *services: str) -> tuple[list[str], dict[str, str]]:
        """Return the command of `restart`, and its environment."""
        return [*self._command(), "restart", "--no-deps", *services], self._environment()

    def images(self) -> dict[str, str]:
        """Return the image of each container: its name, and the id of its content."""
        rows = parse_json_rows(self._run("ps", "--all", "--format", "json").stdout)
        found = {}
        for row in rows:
            argv = ["docker", "inspect", "--format", "{{.Config.Image}}@{{.Image}}", str(row["ID"])]
            found[str(row["Service"])] = checked(argv, self.runner.run(argv)).stdout.strip()
        return found

    def variables(self, service: str) -> dict[str, str]:
        """Return the environment that the container of a service was made with; empty where there is none."""
        rows = parse_json_rows(self._run("ps", "--all", "--format", "json", service).stdout)
        if not rows:
            return {}
        argv = ["docker", "inspect", "--format", "{{json .Config.Env}}", str(rows[0]["ID"])]
        found = json.loads(checked(argv, self.runner.run(argv)).stdout) or []
        return dict(one.split("=", 1) for one in found if "=" in one)

    def execute(self, service: str, argv: Sequence[str], stdin: str = "", timeout_s: float = LONG_S) -> str:
        """Run a program inside a service; return what it says."""
        command = ("exec", "-T", service, *argv)
        done = self.runner.run(
            [*self._command(), *command], env=self._environment(), stdin=stdin, timeout_s=timeout_s
        )
        return checked([*self._command(), *command], done).stdout

    def read(
        self, service: str, argv: Sequence[str], consume: Callable[[IO[bytes]], T], stdin: str = ""
    ) -> T:
        """Run a program inside a service and hand over its output as it comes; return what `consume` made."""
        with self._piped(service, argv, stdin) as process:
            assert process.stdout is not None  # noqa: S101 - opened as a pipe
            return consume(process.stdout)

    def write(self, service: str, argv: Sequence[str], produce: Callable[[IO[bytes]], None]) -> None:
        """Run a program inside a service with an input that `produce` writes."""
        with self._piped(service, argv, None) as process:
            assert process.stdin is not None  # noqa: S101 - opened as a pipe
            produce(process.stdin)
            process.stdin.close()

    def into_file(self, service: str, argv: Sequence[str], target: IO[bytes], stdin: str) -> str:
        """Run a program inside a service with its output in a file; return what it said beside it."""
        whole = [*self._command(), "exec", "-T", service, *argv]
        done = subprocess.run(
            whole,
            input=stdin.encode(),
            stdout=target,
            stderr=subprocess.PIPE,
            env=self._environment(),
            cwd=self.layout.root,
            check=False,
            timeout=LONG_S,
        )
        text = done.stderr.decode(errors="replace")
        if done.returncode != 0:
            raise CommandFailed(whole, done.returncode, text)
        return text

    @contextmanager
    def _piped(
        self, service: str, argv: Sequence[str], stdin: str | None
    ) -> Iterator[subprocess.Popen[bytes]]:
        whole = [*self._command(), "exec", "-T", service, *argv]
        with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as given:
            given.write((stdin or "").encode())
            given.seek(0)
            with subprocess.Popen(
                whole,
                stdin=subprocess.PIPE if stdin is None else given,
                stdout=errors if stdin is None else subprocess.PIPE,
                stderr=errors,
                env=self._environment(),
                cwd=self.layout.root,
            ) as process:
                try:
                    yield process
                    code = process.wait(LONG_S)
                except BrokenPipeError:  # it ended early: what it says counts
                    code = process.wait(LONG_S) or 1
                except BaseException:
                    process.kill()
                    raise
            if code != 0:
                errors.seek(0)
                raise CommandFailed(whole, code, errors.read().decode(errors="replace"))

    def _run(self, *arguments: str, timeout_s: float = 60) -> Completed:
        argv = [*self._command(), *arguments]
        return checked(argv, self.runner.run(argv, env=self._environment(), timeout_s=timeout_s))

    def _make(self, *arguments: str, timeout_s: float) -> Completed:
        """Run a compose command that may make containers."""
        argv = [*self._command(), *arguments]
        environment = starting_environment(self.layout, self.settings, self.environment, self.runner)
        model = json.loads(self._run("config", "--format", "json").stdout)
        claim_volumes(self.runner, self.layout, self.settings["COMPOSE_PROJECT_NAME"], model)
        return checked(argv, self.runner.run(argv, env=environment, timeout_s=timeout_s))

    def _command(self) -> list[str]:
        return compose_command(self.layout, self.settings)

    def _environment(self) -> dict[str, str]:
        ours = compose_environment(self.environment, self.settings)
        return {**ours, "STACK_DIR": str(self.layout.stack_dir)}


def require_bundled(settings: Mapping[str, str]) -> None:
    """Raise UsageError when a store is one that this stack does not run."""
    foreign = [
        setting
        for store, names in REPLACED_BY.items()
        if store != "s3"
        for setting in names
        if settings.get(setting)
    ]
    if foreign:
        raise UsageError(
            f"Stores of your own are not reached from here ({', '.join(foreign)} in .env).",
            fix="use what their provider offers for backups, and keep .env and config/ with them.",
        )
