"""Every compose command of one stack: how it begins, what it is given, what it runs inside a service."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from scripts.core.errors import CommandFailed
from scripts.core.layout import Layout
from scripts.core.runner import Completed, Runner, checked
from scripts.settings.envfile import read_env
from scripts.settings.model import SetBy
from scripts.settings.profiles import REPLACED_BY, compose_profiles
from scripts.settings.table import SETTINGS
from scripts.settings.values import Settings

from .client import PROGRAM, Client
from .containers import Container
from .identity import claim_volumes
from .images_lock import pinned_environment
from .limits import Capacity, capacity_of_engine, fitting_cpus

T = TypeVar("T")

STORES = {"postgres": "postgres", "clickhouse": "clickhouse", "valkey": "valkey", "seaweedfs": "s3"}
"""The profile of each bundled store."""
CLIENTS = {"postgres": "postgres-client", "clickhouse": "clickhouse-client", "valkey": "valkey-client"}
"""The service with the programs that reach an external store, by the profile of the bundled one."""
WORKER = "langfuse-worker"
WEB = "langfuse-web"
LONG_S = 12 * 3600.0
_START_S = 600
MAKES_CONTAINERS = frozenset({"up", "run", "create", "scale", "watch"})
"""The commands of compose that make a container where there is none, or from which its image differs."""
_TIMEOUTS_S: Mapping[str, float] = {
    # Two gigabytes over a slow line.
    "pull": 3600,
    "build": 1800,
    "down": 300,
    **dict.fromkeys(("run", "stop", "start", "restart"), _START_S),
}
# A service that the settings ask for no longer may still run or have a volume: stopping means all of them.
ALL_PROFILES = {"COMPOSE_PROFILES": "*"}
# No cursor movements in what we read ourselves, whatever the terminal.
_SHOWS_PROGRESS = frozenset({"up", "pull", "build"})
_PLAIN = ("--ansi", "never", "--progress", "plain")
_FILE_ONLY = frozenset(setting.name for setting in SETTINGS if setting.set_by is SetBy.FILE)


def size_file(layout: Layout, settings: Settings) -> Path:
    """Return the file with the limits of the chosen size."""
    return layout.root / "config" / "sizes" / f"{settings['STACK_SIZE']}.env"


def compose_command(layout: Layout, settings: Settings) -> list[str]:
    """Return how every compose command of this stack begins; `.env` wins over the file of the size."""
    command = [PROGRAM, "compose", "--project-name", settings["COMPOSE_PROJECT_NAME"]]
    for path in (size_file(layout, settings), layout.env_file):
        if path.exists():
            command += ["--env-file", str(path)]
    return command


def command_in(directory: Path, project: str) -> list[str]:
    """Return how a compose command begins that is about the files of another directory."""
    named = ["--project-name", project] if project else []
    return [PROGRAM, "compose", "--project-directory", str(directory), *named]


def compose_environment(environment: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Return the environment of every compose command: ours, the settings, and the profiles they ask for."""
    # Compose would take from here what only `.env` may set, such as the DATABASE_URL of an application.
    ours = {name: value for name, value in environment.items() if name not in _FILE_ONLY}
    profiles = ",".join(compose_profiles(settings.values))
    return {**ours, **settings.values, "COMPOSE_PROFILES": profiles}


def lowered_cpus(layout: Layout, settings: Settings, capacity: Capacity) -> dict[str, str]:
    """Return the CPU limits of the size that the engine does not have, as low as they must be."""
    path = size_file(layout, settings)
    size = read_env(path).values() if path.exists() else {}
    return fitting_cpus(size, settings.values, capacity.cpus)


@dataclass(frozen=True, slots=True)
class Compose:
    """Runs `docker compose` for one stack. Every method but `run` raises StackError when that fails."""

    layout: Layout
    settings: Settings
    environment: Mapping[str, str]
    runner: Runner

    @property
    def project(self) -> str:
        """The name that its containers, volumes and networks carry."""
        return self.settings["COMPOSE_PROJECT_NAME"]

    def run(
        self,
        *arguments: str,
        extra: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout_s: float | None = None,
    ) -> Completed:
        """Run a compose command to its end; return the outcome, also that of a failure.

        Args:
            extra: variables beside those that every command gets.
            timeout_s: seconds; by default what is usual for that command.
        """
        argv, environment = self._call(arguments, extra)
        limit = timeout_s or _TIMEOUTS_S.get(arguments[0], 60)
        return self.runner.run(argv, env=environment, stdin=stdin, timeout_s=limit)

    def checked(
        self,
        *arguments: str,
        extra: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout_s: float | None = None,
        fix: str = "",
    ) -> str:
        """Run a compose command that has to succeed; return what it says."""
        done = self.run(*arguments, extra=extra, stdin=stdin, timeout_s=timeout_s)
        return self.require(done, *arguments, fix=fix).stdout

    def require(self, done: Completed, *arguments: str, fix: str = "") -> Completed:
        """Return the outcome of a command that had to succeed."""
        return checked(self._argv(*arguments), done, fix=fix)

    def watched(
        self,
        look: Callable[[str], None],
        *arguments: str,
        extra: Mapping[str, str] | None = None,
        capacity: Capacity | None = None,
        pinned: bool = True,
        every_s: float = 1.0,
        timeout_s: float | None = None,
    ) -> Completed:
        """Run a compose command as `run` does, and call `look` with what it said so far as it works.

        Args:
            capacity: of the engine, where it is known already.
            pinned: without it images are taken by their tag.
        """
        argv, environment = self._call(arguments, extra, capacity, pinned=pinned)
        limit = timeout_s or _TIMEOUTS_S.get(arguments[0], 60)
        return self.runner.watched(argv, look, env=environment, every_s=every_s, timeout_s=limit)

    def stream(self, *arguments: str) -> int:
        """Run a compose command with its output on the screen; return the exit code."""
        argv, environment = self._call(arguments)
        return self.runner.stream(argv, env=environment)

    def model(self, extra: Mapping[str, str] | None = None, *, pinned: bool = False) -> dict[str, Any]:
        """Return what compose.yaml amounts to; with `pinned` with the images that a start uses."""
        environment = self._environment(extra)
        if pinned:
            environment = self._pinned(environment)
        argv = self._argv("config", "--format", "json")
        model: dict[str, Any] = json.loads(checked(argv, self.runner.run(argv, env=environment)).stdout)
        return model

    def claim_volumes(self, model: Mapping[str, Any]) -> None:
        """Make the volumes of `model`, marked as this stack's. Raises UsageError when they are another's."""
        claim_volumes(self.runner, self.layout, self.project, model)

    @property
    def client(self) -> Client:
        """What is asked of Docker beside compose."""
        return Client(self.runner)

    def containers(self) -> list[Container]:
        """Return the containers of the stack by service, also those that have ended."""
        return self.client.containers(self.project)

    def states(self) -> dict[str, tuple[str, str]]:
        """Return state and health of each service that has a container."""
        return {one.service: (one.state, one.health) for one in self.containers()}

    def volumes(self) -> list[str]:
        """Return the names of the volumes of the stack."""
        return self.client.volumes(self.project)

    def bundled(self) -> list[str]:
        """Return the stores that this stack runs itself."""
        profiles = compose_profiles(self.settings.values)
        return [service for service, profile in STORES.items() if profile in profiles]

    def external(self) -> list[str]:
        """Return the profiles of the stores that settings replace by external ones."""
        profiles = compose_profiles(self.settings.values)
        return [profile for profile in STORES.values() if profile not in profiles]

    def clients(self) -> list[str]:
        """Return the services with the programs that reach the external stores of this stack."""
        return [CLIENTS[store] for store in self.external() if store in CLIENTS]

    def start_clients(self) -> None:
        """Start these services, where there are any."""
        services = self.clients()
        if services:
            self.claim_volumes(self.model())
            argv = ("up", "--detach", "--wait", "--wait-timeout", str(_START_S), "--no-deps", *services)
            self.checked(*argv, extra=self.with_clients(), timeout_s=_START_S + 60)

    def with_clients(self) -> dict[str, str]:
        """Return the variable with which these services exist for compose, and for images.lock."""
        profiles = compose_profiles(self.settings.values)
        return {"COMPOSE_PROFILES": ",".join((*profiles, "clients") if self.clients() else profiles)}

    def ask_client(
        self, service: str, argv: Sequence[str], stdin: str, timeout_s: float | None = None
    ) -> Completed:
        """Run a program in a client's container that is there for it alone; return the outcome, as `run`.

        Only where the stack has its networks and volumes: compose would make them.
        """
        program, *rest = argv
        command = ("run", "--rm", "--no-deps", "-T", "--entrypoint", program, service, *rest)
        return self.run(*command, extra=self.with_clients(), stdin=stdin, timeout_s=timeout_s)

    def remove_clients(self) -> None:
        """Remove their containers."""
        services = self.clients()
        mine = [one.id for one in self.containers() if one.service in services] if services else []
        if mine:
            self.client.run("rm", "--force", *mine)

    def run_once(self, service: str) -> None:
        """Run a service that does something and ends."""
        self._make("run", "--rm", "--no-deps", "-T", service)

    def run_inside(self, service: str, argv: Sequence[str], timeout_s: float | None = None) -> str:
        """Run a program in a container of its own, with the image and the volumes of a service."""
        program, *rest = argv
        command = ("run", "--rm", "--no-deps", "-T", "--entrypoint", program, service, *rest)
        return self._make(*command, timeout_s=timeout_s)

    def up(self, *services: str) -> None:
        """Start these services and what they need, and wait until all are healthy."""
        argv = ("up", "--detach", "--wait", "--wait-timeout", str(_START_S), *services)
        self._make(*argv, timeout_s=_START_S + 60)

    def stop(self, *services: str) -> None:
        """Stop these services."""
        self.checked("stop", *services)

    def start(self, *services: str) -> None:
        """Start services that were stopped."""
        self.checked("start", *services)

    def restart(self, *services: str) -> None:
        """Stop services, also those that just stop, and start them."""
        self.checked("restart", "--no-deps", *services)

    def restart_command(self, *services: str) -> tuple[list[str], dict[str, str]]:
        """Return the command of `restart`, and its environment."""
        return self._call(("restart", "--no-deps", *services))

    def images(self) -> dict[str, str]:
        """Return the image of each container: its name, and the id of its content."""
        return {one.service: f"{one.image}@{one.image_id}" for one in self.containers()}

    def variables(self, service: str) -> Mapping[str, str]:
        """Return the environment that the container of a service was made with; empty where there is none."""
        return next((one.environment for one in self.containers() if one.service == service), {})

    def execute(self, service: str, argv: Sequence[str], stdin: str = "", timeout_s: float = LONG_S) -> str:
        """Run a program inside a service; return what it says."""
        return self.checked("exec", "-T", service, *argv, stdin=stdin, timeout_s=timeout_s)

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
        whole, environment = self._call(("exec", "-T", service, *argv))
        done = subprocess.run(
            whole,
            input=stdin.encode(),
            stdout=target,
            stderr=subprocess.PIPE,
            env=environment,
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
        whole, environment = self._call(("exec", "-T", service, *argv))
        with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as given:
            given.write((stdin or "").encode())
            given.seek(0)
            with subprocess.Popen(
                whole,
                stdin=subprocess.PIPE if stdin is None else given,
                stdout=errors if stdin is None else subprocess.PIPE,
                stderr=errors,
                env=environment,
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

    def _make(self, *arguments: str, timeout_s: float | None = None) -> str:
        """Run a compose command that may make containers, and volumes."""
        self.claim_volumes(self.model())
        return self.checked(*arguments, timeout_s=timeout_s)

    def _call(
        self,
        arguments: Sequence[str],
        extra: Mapping[str, str] | None = None,
        capacity: Capacity | None = None,
        *,
        pinned: bool = True,
    ) -> tuple[list[str], dict[str, str]]:
        """Return a command and its environment.

        All that may make a container use the same: locked images by their digest, the directory that is
        mounted, and CPU limits that the engine has (`capacity`, asked for where it is not given). With
        another one a container is made anew, from another image or with another limit.

        Raises:
            UsageError: images.lock is damaged, or compose.yaml is not usable.
        """
        environment = self._environment(extra)
        if arguments[0] in MAKES_CONTAINERS:
            known = capacity or capacity_of_engine(self.runner)
            lowered = lowered_cpus(self.layout, self.settings, known)
            environment = self._environment({**lowered, **(extra or {})})
        if arguments[0] == "down":
            environment |= ALL_PROFILES
        if pinned and (arguments[0] in MAKES_CONTAINERS or arguments[0] == "pull"):
            environment = self._pinned(environment)
        return self._argv(*arguments), environment

    def _argv(self, *arguments: str) -> list[str]:
        plain = _PLAIN if arguments[0] in _SHOWS_PROGRESS else ()
        return [*compose_command(self.layout, self.settings), *plain, *arguments]

    def _environment(self, extra: Mapping[str, str] | None) -> dict[str, str]:
        ours = compose_environment(self.environment, self.settings)
        places = {
            "STACK_DIR": self.layout.stack_dir,
            "ALERTS_FILE": self.layout.config("alerts.yaml"),
            "ALERT_RULES_DIR": self.layout.rules_dir,
            "ALERTMANAGER_DIR": self.layout.alertmanager_dir,
            "GRAFANA_DASHBOARDS_DIR": self.layout.dashboards_dir,
        }
        return {**ours, **{name: str(path) for name, path in places.items()}, **(extra or {})}

    def _pinned(self, environment: Mapping[str, str]) -> dict[str, str]:
        command = compose_command(self.layout, self.settings)
        return pinned_environment(self.layout, self.runner, command, environment)


def external_databases(settings: Mapping[str, str]) -> list[str]:
    """Return the settings that name an external PostgreSQL, ClickHouse or Valkey."""
    return [
        setting
        for store, names in REPLACED_BY.items()
        if store != "s3"
        for setting in names
        if settings.get(setting)
    ]
