"""Start, watch and stop the embedded engine: a background process with a pid file and a log."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from scripts.api.client import Api
from scripts.core import host
from scripts.core.errors import EngineError, ProvisioningError
from scripts.core.layout import Layout
from scripts.core.runner import Runner
from scripts.core.waiting import Clock, Look, tail, wait_until
from scripts.settings.lasting import lasting_command
from scripts.settings.model import Reader
from scripts.settings.table import SETTINGS
from scripts.settings.values import Settings

from .base import (
    MIB,
    EngineName,
    EngineState,
    KnownTenancy,
    Obstacle,
    Part,
    Progress,
    WantedMember,
    WantedProject,
    unfinished_restore,
)
from .embedded_schema import known_levels, levels_text, older, stored_levels

MODULE = "langfuse_embedded"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0
KILL_TIMEOUT_S = 5.0
# Parts whose server has just ended are about to end by themselves.
LEFTOVER_PATIENCE_S = 2.0
MIN_FREE_BYTES = 256 * MIB
MAX_LOG_BYTES = 16 * MIB
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Process:
    """A running engine, as its command line describes it."""

    pid: int
    address: str
    port: int

    @property
    def url(self) -> str:
        """Where it answers on this machine."""
        return local_url(self.address, self.port)


def local_url(address: str, port: int) -> str:
    """Return the URL at which a server that listens on `address` can be reached on this machine."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - compared, not bound
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


@dataclass
class EmbeddedEngine:
    """The embedded engine of one stack."""

    layout: Layout
    settings: Settings
    environment: Mapping[str, str]
    runner: Runner
    progress: Progress
    clock: Clock = field(default_factory=Clock)
    python: str = sys.executable
    module: str = MODULE
    name: EngineName = EngineName.EMBEDDED

    @property
    def address(self) -> str:
        """The address it listens on by configuration."""
        return self.settings["LANGFUSE_BIND_ADDRESS"]

    @property
    def port(self) -> int:
        """The port it listens on by configuration."""
        return self.settings.integer("LANGFUSE_PORT")

    @property
    def local_url(self) -> str:
        return local_url(self.address, self.port)

    def state(self) -> EngineState:
        process = self.find()
        data = (self.layout.shown(self.layout.embedded_dir),)
        if not process:
            return EngineState(running=False, data=data)
        with Api(process.url) as api:
            detail, version = api.ready(), api.version()
        try:
            uptime = time.time() - psutil.Process(process.pid).create_time()
        except psutil.Error:
            uptime = None
        return EngineState(
            running=True,
            healthy=not detail,
            url=process.url,
            detail=detail,
            version=version,
            uptime_s=uptime,
            data=data,
            parts=(Part(f"process {process.pid}", "running", "unhealthy" if detail else "healthy"),),
        )

    def memory(self) -> Mapping[str, int]:
        """See Engine. The process and those that it has started."""
        process = self.find()
        if not process:
            return {}
        try:
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            return {f"process {process.pid}": sum(one.memory_info().rss for one in family)}
        except psutil.Error:
            return {}

    def obstacles(self) -> Sequence[Obstacle]:
        process = self.find()
        if process and (process.address, process.port) != (self.address, self.port):
            return [
                Obstacle(
                    f"The engine runs at {process.address}:{process.port}, the settings now say "
                    f"{self.address}:{self.port}.",
                    "stop it first: make down",
                )
            ]
        if process:
            return []
        found = [*unfinished_restore(self.layout), *self._older_data()]
        found += self._port_problem()
        free = host.free_bytes(self.layout.embedded_dir)
        if free < MIN_FREE_BYTES:
            found.append(
                Obstacle(
                    f"{free // MIB} MiB are free where {self.layout.shown(self.layout.stack_dir)} is; "
                    f"the engine needs {MIN_FREE_BYTES // MIB}.",
                    "free some space, or move the data with STACK_DIR=/some/where/else",
                )
            )
        return found

    def _port_problem(self) -> list[Obstacle]:
        """Return what keeps this user's process from listening on the port."""

        def other(name: str, value: str) -> str:
            return lasting_command(self.layout, self.environment, name, value)

        state = host.port_state(self.address, self.port)
        if state is host.PortState.FREE:
            return []
        if state is host.PortState.NO_ADDRESS:
            reason = f"This host has no address {self.address} (LANGFUSE_BIND_ADDRESS)."
            address = other("LANGFUSE_BIND_ADDRESS", LOOPBACK)
            return [Obstacle(reason, f"set it to one that the host has ({address}), then repeat")]
        port = other("LANGFUSE_PORT", str(host.other_port(self.address, self.port)))
        if state is host.PortState.DENIED:
            reason = f"This user may not listen on port {self.port}, only from {host.first_open_port()} on."
            return [Obstacle(reason, f"choose another port ({port}), then repeat")]
        holder = host.port_holder(self.port)
        return [
            Obstacle(
                f"Port {self.port} on {self.address} is taken by {holder}.",
                f"choose another port ({port}) or stop that, then repeat",
            )
        ]

    def _older_data(self) -> list[Obstacle]:
        """A start would bring the data to a newer schema, which no older version reads: not by the way."""
        stored = stored_levels(self.layout.embedded_dir)
        if not stored:
            return []
        known = known_levels(self.runner, self.python, self.module, self.environment)
        if not older(stored, known):
            return []
        return [
            Obstacle(
                f"The data was written by an older version ({levels_text(stored)}); this one has "
                f"{levels_text(known)}.",
                "make upgrade, which keeps a copy of it",
            )
        ]

    def start(self, init: Mapping[str, str]) -> bool:
        running = self.find()
        changed = self._changed(running) if running else []
        if running and not changed:
            self._wait_until_ready(None)
            return False
        if running:
            self.progress.note(f"Restarting the engine: {', '.join(changed)} changed.")
            self.stop()
        self._end_leftovers()
        log = self.layout.embedded_log
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as output:
            begin = output.tell()
            process = subprocess.Popen(
                self._argv(),
                cwd=self.layout.root,
                env=self._environment(init),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that Ctrl-C reaches the command alone
            )
        try:
            with self.progress.working("Starting the embedded engine"):
                self._wait_until_ready(process, begin)
        except BaseException:
            self._end(process.pid)
            process.wait()
            raise
        # It outlives this process on purpose: without this, Popen complains about a child that still runs.
        process.returncode = 0
        return True

    def _changed(self, process: Process) -> list[str]:
        """Return the settings that a running engine was started with other values of."""
        environment = host.environment_of(process.pid)
        if environment is None:
            return []
        wanted = self._environment({})
        return sorted(
            setting.name
            for setting in SETTINGS
            if Reader.EMBEDDED in setting.used_by
            # These make the first project, once.
            and not setting.name.startswith("LANGFUSE_INIT_")
            and wanted.get(setting.name, "") != environment.get(setting.name, setting.default or "")
        )

    def stop(self) -> bool:
        process = self.find()
        if process:
            with self.progress.working(f"Stopping the embedded engine (process {process.pid})"):
                self._end(process.pid)
        self._end_leftovers()
        return process is not None

    def provision(self, projects: Sequence[WantedProject]) -> None:
        names = ", ".join(project.project_id for project in projects)
        self._provision([_provision_row(project) for project in projects], f"create {names}")

    def tenancy(self) -> KnownTenancy | None:
        known = json.loads(self._ask("tenancy", "", "say which projects it has"))
        return KnownTenancy(
            {one["id"]: (one["name"], one["metadata"]) for one in known["projects"]},
            {(one["organizationId"], one["email"]): one["role"] for one in known["members"]},
            {one["id"]: one["name"] for one in known["organizations"]},
        )

    def revoke(self, public_keys: Sequence[str]) -> None:
        self._provision([{"revoke": key} for key in public_keys], f"revoke {', '.join(public_keys)}")

    def set_members(self, members: Sequence[WantedMember]) -> None:
        rows: list[dict[str, object]] = [
            {
                "organizationId": member.organization_id,
                "organizationName": member.organization_name,
                "user": {
                    "email": member.email,
                    "name": member.name,
                    "password": member.password,
                    "role": member.role,
                },
            }
            for member in members
        ]
        self._provision(rows, f"create {', '.join(member.email for member in members)}")

    def set_organization(self, organization_id: str, name: str) -> None:
        self._provision([{"organization": organization_id, "name": name}], f"rename {organization_id}")

    def set_project(self, project_id: str, name: str, metadata: Mapping[str, object]) -> None:
        row = {"update": project_id, "name": name, "metadata": dict(metadata)}
        self._provision([row], f"change project {project_id}")

    def _provision(self, rows: Sequence[Mapping[str, object]], what: str) -> None:
        self._ask("provision", "".join(json.dumps(row) + "\n" for row in rows), what)

    def _ask(self, command: str, stdin: str, what: str) -> str:
        argv = [self.python, "-m", self.module, command, "--data-dir", str(self.layout.embedded_dir)]
        done = self.runner.run(argv, env=self._environment({}), stdin=stdin)
        if done.returncode != 0:
            raise ProvisioningError(
                f"The embedded engine could not {what}.",
                details=tail(done.stderr or done.stdout),
                fix="see `make logs`, then run make bootstrap again.",
            )
        return done.stdout

    def follow_logs(self, *, lines: int, follow: bool, service: str) -> int:
        if service:
            raise EngineError(f"The embedded engine has no service {service}.", fix="make logs")
        log = self.layout.embedded_log
        if not log.exists():
            raise EngineError(f"There is no log yet at {self.layout.shown(log)}.", fix="start it: make up")
        return self.runner.stream(["tail", "-n", str(lines), *(["-F"] if follow else []), str(log)])

    def data(self) -> Sequence[str]:
        paths = [self.layout.embedded_dir, *self.layout.upgrade_copies, self.layout.embedded_log]
        return [self.layout.shown(path) for path in paths if path.exists()]

    def destroy(self) -> None:
        self.stop()
        for directory in (self.layout.embedded_dir, *self.layout.upgrade_copies):
            if directory.exists():
                shutil.rmtree(directory)
        for log in self.layout.embedded_log.parent.glob("embedded.log*"):
            log.unlink()

    def find(self) -> Process | None:
        """Return the engine that runs on this stack's data, or None.

        A pid file that a crash left behind may name a process of someone else by now: what counts is the
        command line of that process. The file may be gone, with the directory, while the engine runs.
        """
        try:
            pid = int((self.layout.embedded_dir / "engine.pid").read_text())
        except FileNotFoundError:
            return self._found_by_command_line()
        except (OSError, ValueError):
            return None
        return self._process(pid, host.command_line(pid))

    def _found_by_command_line(self) -> Process | None:
        found = (self._process(pid, argv) for pid, argv in host.command_lines().items())
        return next(filter(None, found), None)

    def _process(self, pid: int, argv: Sequence[str]) -> Process | None:
        """Return what a command line says if it is that of this stack's server."""
        if list(argv[1:4]) != ["-m", self.module, "serve"]:
            return None
        if self._option(argv, "--data-dir") != str(self.layout.embedded_dir):
            return None
        return Process(pid, self._option(argv, "--host"), int(self._option(argv, "--port") or 0))

    def parts(self) -> list[int]:
        """Return the processes that work on this stack's data: the server, and what it has started.

        What other commands run for a moment beside them (a snapshot, a look at the tenancy) does not count.
        """
        return [pid for pid, argv in host.command_lines().items() if self._is_part(pid, argv)]

    def _is_part(self, pid: int, argv: Sequence[str]) -> bool:
        if self._process(pid, argv):
            return True
        if len(argv) < 4 or argv[1] != "-m" or not argv[2].startswith(f"{self.module}."):
            return False
        data = str(self.layout.embedded_dir)
        return any(part == data or part.startswith(f"{data}{os.sep}") for part in argv[3:])

    @staticmethod
    def _option(argv: Sequence[str], name: str) -> str:
        return argv[argv.index(name) + 1] if name in argv[:-1] else ""

    def _argv(self) -> list[str]:
        where = [
            "--data-dir",
            str(self.layout.embedded_dir),
            "--host",
            self.address,
            "--port",
            str(self.port),
        ]
        return [self.python, "-m", self.module, "serve", *where]

    def _environment(self, init: Mapping[str, str]) -> dict[str, str]:
        used = {setting.name for setting in SETTINGS if Reader.EMBEDDED in setting.used_by}
        own = {name: value for name, value in self.settings.values.items() if name in used}
        inherited = {name: value for name, value in self.environment.items() if name not in used}
        return {**inherited, **own, **init, "PYTHONUNBUFFERED": "1"}

    def _wait_until_ready(self, process: subprocess.Popen[bytes] | None, log_begin: int = 0) -> None:
        with Api(self.local_url, timeout_s=2) as api:

            def look() -> Look:
                code = process.poll() if process else None
                if code is not None:
                    return Look(done=False, dead=f"the process ended with exit code {code}")
                state = api.ready()
                # The answer must come from this stack's engine, not from another server on the port.
                return Look(done=not state and self.find() is not None, state=state)

            wait_until(
                look,
                what=f"The embedded engine does not start at {self.local_url}",
                timeout_s=START_TIMEOUT_S,
                last_lines=lambda: self._log_lines(log_begin),
                fix=f"correct what the lines of {self.layout.shown(self.layout.embedded_log)} name.",
                interval_s=0.02,
                clock=self.clock,
            )

    def _log_lines(self, begin: int) -> list[str]:
        with self.layout.embedded_log.open("rb") as log:
            log.seek(begin)
            return tail(log.read().decode(errors="replace"))

    def _end(self, pid: int) -> None:
        """Ask the process to stop, and kill it when it does not within the time limit."""
        # A process that was stopped (SIGSTOP) does not see SIGTERM before it goes on.
        for number, timeout in (
            (signal.SIGTERM, 0.0),
            (signal.SIGCONT, STOP_TIMEOUT_S),
            (signal.SIGKILL, KILL_TIMEOUT_S),
        ):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return
            if timeout and self._wait_for_end([pid], timeout) == []:
                return
        raise _unending([pid])

    def _end_leftovers(self) -> None:
        """End what is left of an engine whose server is gone, and see to it that nothing is.

        Parts end with their server. Those of an older version, and on systems where one that hangs cannot be
        told to, do not: they would hold the data, and let no other engine start.
        """
        left = self.parts()
        if not left:
            return
        if left := self._wait_for_end(left, LEFTOVER_PATIENCE_S):
            numbers = ", ".join(map(str, left))
            with self.progress.working(f"Ending what a killed engine has left running (process {numbers})"):
                for pid in left:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                left = self._wait_for_end(left, KILL_TIMEOUT_S)
        # Not only those that were seen: one may have started another meanwhile.
        if left := left or self.parts():
            raise _unending(left)

    def _wait_for_end(self, pids: Sequence[int], timeout_s: float) -> list[int]:
        """Wait until none of the processes is left; return those that still are after `timeout_s`."""
        deadline = self.clock.monotonic() + timeout_s
        left = [pid for pid in pids if host.command_line(pid)]
        while left and self.clock.monotonic() < deadline:
            self.clock.sleep(0.02)
            left = [pid for pid in left if host.command_line(pid)]
        return left


def _unending(pids: Sequence[int]) -> EngineError:
    numbers = ",".join(map(str, pids))
    return EngineError(
        f"Process {numbers.replace(',', ', ')} survived SIGKILL.",
        fix=f"look at it: ps -o pid,stat,wchan,args -p {numbers}",
    )


def _provision_row(project: WantedProject) -> dict[str, object]:
    return {
        "organizationId": project.organization_id,
        "organizationName": project.organization_name,
        "projectId": project.project_id,
        "projectName": project.project_name,
        "publicKey": project.public_key,
        "secretKey": project.secret_key,
        "user": {
            "email": project.user_email,
            "name": project.user_name,
            "password": project.user_password,
        },
    }
