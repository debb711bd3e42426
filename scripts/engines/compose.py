"""Start, watch and stop the real Langfuse of `compose.yaml` with `docker compose`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime

from scripts.api.client import Api
from scripts.core import host
from scripts.core.errors import EngineError, ProvisioningError, StackError
from scripts.core.heartbeats import heartbeats_dir
from scripts.core.layout import Layout, give_to, write_private
from scripts.core.runner import Runner
from scripts.core.waiting import Clock, Look, tail, wait_until
from scripts.docker.compose import CLIENTS, WEB, Compose, lowered_cpus
from scripts.docker.containers import Container
from scripts.docker.daemon import Daemon, container_at, ports_of_containers, read_daemon
from scripts.docker.failure import progress_of, start_failure
from scripts.docker.identity import volumes_of_others
from scripts.docker.limits import Capacity, capacity_of_engine, wanted_memory
from scripts.docker.mounts import mount_problems
from scripts.docker.moved import read_moved
from scripts.docker.pause import end_rest, read_rest
from scripts.settings.envfile import read_env
from scripts.settings.lasting import lasting_command
from scripts.settings.profiles import BIND_ADDRESSES, REPLACED_BY, compose_profiles, published_ports
from scripts.settings.values import Settings

from . import compose_members
from .base import (
    GIB,
    EngineName,
    EngineState,
    KnownTenancy,
    Obstacle,
    Part,
    Progress,
    WantedMember,
    WantedProject,
    moved_away,
    unfinished_restore,
)
from .compose_older import older_stores
from .embedded import local_url

VERSION = "LANGFUSE_VERSION"
MIN_FREE_BYTES = 10 * GIB
# The password is there in the container; on the command line others would see it.
_PSQL = (
    'PGPASSWORD="$POSTGRES_PASSWORD" exec psql --no-psqlrc --quiet --host 127.0.0.1 '
    '--username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --set ON_ERROR_STOP=1 --command "$0"'
)
_PSQL_READING = _PSQL.replace('--command "$0"', "--tuples-only --no-align --file -")
_PUBLIC_KEY = re.compile(r"pk-lf-[A-Za-z0-9_-]+")
# Pulling 2 GB of images over a slow line comes first, then 480 migrations.
START_TIMEOUT_S = 1800
PROVISION_TIMEOUT_S = 180.0
MIGRATIONS_OFF = {
    "LANGFUSE_AUTO_POSTGRES_MIGRATION_DISABLED": "true",
    "LANGFUSE_AUTO_CLICKHOUSE_MIGRATION_DISABLED": "true",
}


def other_port_fix(
    layout: Layout, environment: Mapping[str, str], setting: str, address: str, port: int
) -> str:
    """Return what to do about a taken port; every later command uses the port of the one that is named."""
    proposed = str(host.other_port(address, port))
    command = lasting_command(layout, environment, setting, proposed)
    return f"choose another port ({command}) or stop that, then repeat"


def _part(container: Container) -> Part:
    return Part(
        container.name,
        container.state,
        "cut off the network" if container.cut_off else container.health,
        restarts=container.restarts,
        started=container.started,
        memory_limit_bytes=container.memory_limit,
        ports=tuple(map(str, container.ports)),
    )


def _uptime(containers: Sequence[Container]) -> float | None:
    """Return for how many seconds web has been running."""
    started = [one.started for one in containers if one.service == WEB and one.started]
    return (datetime.now(UTC) - started[0]).total_seconds() if started else None


@dataclass
class ComposeEngine:
    """The compose engine of one stack."""

    layout: Layout
    settings: Settings
    environment: Mapping[str, str]
    runner: Runner
    progress: Progress
    clock: Clock = field(default_factory=Clock)
    name: EngineName = EngineName.COMPOSE

    @property
    def compose(self) -> Compose:
        """The compose commands of the stack."""
        return Compose(self.layout, self.settings, self.environment, self.runner)

    @property
    def local_url(self) -> str:
        return local_url(self.settings["LANGFUSE_BIND_ADDRESS"], self.settings.integer("LANGFUSE_PORT"))

    def state(self) -> EngineState:
        containers = self._containers()
        # A one-shot service that ended well is not a part of what runs.
        parts = tuple(_part(one) for one in containers if not one.done)
        if not self._runs(containers):
            return EngineState(running=False, data=tuple(self.data()), parts=parts)
        with Api(self.local_url) as api:
            detail, version = api.ready(), api.version()
        sick = [one.name for one in containers if not one.well]
        if sick:
            detail = f"not healthy: {', '.join(sick)}"
        if rest := read_rest(self.layout):
            detail = f"{detail}; {rest.text()}" if detail else rest.text()
        if moved := read_moved(self.layout):
            detail = f"{detail}; {moved.text()}" if detail else moved.text()
        return EngineState(
            running=True,
            healthy=not detail,
            url=self.local_url,
            detail=detail,
            version=version,
            uptime_s=_uptime(containers),
            data=tuple(self.data()),
            parts=parts,
        )

    def memory(self) -> Mapping[str, int]:
        return self.compose.client.memory(self._containers())

    def obstacles(self) -> Sequence[Obstacle]:
        found = [*unfinished_restore(self.layout), *moved_away(self.layout)]
        config = self.compose.run("config", "--quiet")
        if config.returncode != 0:
            found.append(Obstacle(f"compose.yaml is not usable: {config.stderr.strip()}", "correct it"))
        containers = self._containers()
        found += self._older_stores(containers)
        if config.returncode == 0 and self._runs(containers):
            return [*found, *self._other_version()]
        daemon = read_daemon(self.runner, self.environment)
        return [
            *found,
            *self._unreadable_mounts(daemon),
            *self._taken_ports(daemon),
            *self._unsuitable_daemon(daemon),
            *self._other_version(),
            *self._missing_volumes(),
        ]

    def _older_stores(self, containers: Sequence[Container]) -> list[Obstacle]:
        """Return the stores that a start would make older than their data."""
        if not any(one.volumes for one in containers):
            return []
        config = self.compose.run("config", "--format", "json")
        return older_stores(containers, json.loads(config.stdout)) if config.returncode == 0 else []

    def _unreadable_mounts(self, daemon: Daemon) -> list[Obstacle]:
        """Return what is mounted, and cannot be read by the user of its container."""
        config = self.compose.run("config", "--format", "json")
        model = json.loads(config.stdout) if config.returncode == 0 else {"services": {}}
        return [Obstacle(one.reason, one.fix) for one in mount_problems(model, self.layout, daemon)]

    def _taken_ports(self, daemon: Daemon) -> list[Obstacle]:
        """Return what keeps Docker from opening the ports, whatever this user may do."""
        found = []
        in_docker = ports_of_containers(self.runner)
        for setting, address in published_ports(self.settings.values):
            port = self.settings.integer(setting)
            # On another machine its own ports count, which cannot be tried from here.
            state = host.port_state(address, port) if daemon.is_local else host.PortState.FREE
            holder = container_at(in_docker, address, port)
            if holder or state is host.PortState.TAKEN:
                found.append(
                    Obstacle(
                        f"Port {port} ({setting}) is taken by {holder or host.port_holder(port)}.",
                        other_port_fix(self.layout, self.environment, setting, address, port),
                    )
                )
            elif state is host.PortState.NO_ADDRESS:
                found.append(self._foreign_address(setting, address))
            elif daemon.rootless and port < host.first_open_port():
                found.append(
                    Obstacle(
                        f"Port {port} ({setting}) cannot be opened by rootless Docker, only ports from "
                        f"{host.first_open_port()} on.",
                        f"allow it on this host: sudo sysctl net.ipv4.ip_unprivileged_port_start={port}"
                        " (for good in /etc/sysctl.d), then restart Docker",
                    )
                )
        return found

    def _foreign_address(self, setting: str, address: str) -> Obstacle:
        name = BIND_ADDRESSES[setting]
        command = lasting_command(self.layout, self.environment, name, "0.0.0.0")  # noqa: S104 - proposed
        return Obstacle(
            f"This host has no address {address} ({name}), so {setting} cannot be opened on it.",
            f"set {name} to one that `ip address` shows, or to all of them ({command}), then repeat",
        )

    def _unsuitable_daemon(self, daemon: Daemon) -> list[Obstacle]:
        """Return what Docker lacks: room for images and data, and a view of the files of this stack."""
        found = []
        free = daemon.free_bytes()
        if free is not None and free < MIN_FREE_BYTES:
            reason = (
                f"{free / GIB:.1f} GiB are free where Docker keeps images and data ({daemon.root}); "
                f"they need {MIN_FREE_BYTES // GIB}."
            )
            found.append(Obstacle(reason, "free some space: docker system df shows what Docker holds"))
        hidden = [path for path in (self.layout.root, self.layout.stack_dir) if not daemon.can_mount(path)]
        if hidden:
            found.append(
                Obstacle(
                    f"Docker is a snap here, which cannot see {hidden[0]}.",
                    "move this checkout below /home/<you>, or install Docker from packages instead",
                )
            )
        return found

    def _other_version(self) -> list[Obstacle]:
        """A start would migrate the databases without a backup when only the default has changed.

        Someone who writes another version into `.env` or the call wants it.
        """
        path = self.layout.langfuse_version_file
        ran = path.read_text(encoding="utf-8").strip() if path.exists() else ""
        wanted = self.settings[VERSION]
        in_file = read_env(self.layout.env_file).values() if self.layout.env_file.exists() else {}
        if ran in ("", wanted) or VERSION in in_file or VERSION in self.environment or not self.data():
            return []
        return [
            Obstacle(
                f"This repository brings Langfuse {wanted}; this stack ran {ran}.",
                f"make upgrade, which keeps a way back; or stay: {VERSION}={ran} in .env",
            )
        ]

    def _missing_volumes(self) -> list[Obstacle]:
        """Return the stores whose volume is gone while others of this stack are there.

        Compose would make an empty one without a word, and half of the data would point to nothing.
        """
        project = self.compose.project
        stores = [profile for profile in compose_profiles(self.settings.values) if profile in REPLACED_BY]
        there = {text.removeprefix(f"volume {project}_") for text in self.data()}
        if there.isdisjoint(stores):
            return []
        return [
            Obstacle(
                f"Volume {project}_{store} is missing, while others of this stack are there.",
                "restore a backup; or, to begin that store empty: docker volume create"
                f" --label com.docker.compose.project={project} --label com.docker.compose.volume={store}"
                f" {project}_{store}",
            )
            for store in stores
            if store not in there
        ]

    def start(self, init: Mapping[str, str]) -> bool:
        before, volumes = self._containers(), set(self.data())
        was_running = self._runs(before)
        if "monitoring" in compose_profiles(self.settings.values):
            self._let_exporter_read()
        try:
            self._start(init, before)
        except BaseException:
            if not was_running:
                self._take_down(volumes)
            raise
        write_private(self.layout.langfuse_version_file, f"{self.settings[VERSION]}\n")
        end_rest(self.layout)
        return not was_running

    def start_only(self, init: Mapping[str, str], *services: str) -> None:
        """Start these services and what they need, anew where their configuration has changed, and wait.

        Raises:
            EngineError: one did not come up; with its last log lines.
        """
        self._start(init, self._containers(), services)

    def stop(self) -> bool:
        containers = self._containers()
        if containers:
            with self.progress.working("Stopping the containers"):
                self.compose.checked("down")
        return any(not one.done for one in containers)

    def provision(self, projects: Sequence[WantedProject]) -> None:
        """See Engine. One short-lived web container for each project: a server creates one when it starts."""
        for project in projects:
            with self.progress.working(f"Creating project {project.project_id}"):
                self._provision(project)

    def tenancy(self) -> KnownTenancy | None:
        """See Engine. Without a licence no API lists projects or members; a bundled database has these."""
        if not self._has_database:
            return None
        return compose_members.tenancy_from(self._psql(compose_members.LIST))

    def revoke(self, public_keys: Sequence[str]) -> None:
        """See Engine. No API deletes a single key without a licence, so it is done in the database.

        `/api/admin/api-keys` could only delete all keys of a project, also those made in the user interface.
        """
        known = [key for key in public_keys if _PUBLIC_KEY.fullmatch(key)]
        if not known:
            return
        listed = ", ".join(f"'{key}'" for key in known)
        statement = f"DELETE FROM api_keys WHERE public_key IN ({listed});"  # noqa: S608 - checked by _PUBLIC_KEY
        if not self._has_database:
            raise ProvisioningError(
                "Keys cannot be revoked from here: no API deletes a single key without a licence, and the "
                "database is not one of this stack.",
                fix=f"run this in the database, then make bootstrap again: {statement}",
            )
        self.compose.checked("exec", "-T", "postgres", "sh", "-c", _PSQL, statement)
        with Api(self.local_url) as api:
            api.forget_rejected_keys(self.settings["ADMIN_API_KEY"])

    def set_members(self, members: Sequence[WantedMember]) -> None:
        if not self._has_database:
            raise ProvisioningError(
                "Members cannot be provisioned from here: the database is not one of this stack.",
                fix="invite them in the user interface (docs/how-to/rotate.md, Add a user).",
            )
        try:
            statements = compose_members.statements_for(members)
        except ValueError as error:
            raise ProvisioningError(
                f"A member cannot be provisioned: {error}.", fix="write it in one line."
            ) from error
        self._psql(statements)

    def set_organization(self, organization_id: str, name: str) -> None:
        if not self._has_database:
            raise ProvisioningError(
                f"Organization {organization_id} cannot be renamed from here: the database is not one of "
                "this stack.",
                fix="rename it in the user interface: settings of the organization.",
            )
        try:
            statement = compose_members.renaming(organization_id, name)
        except ValueError as error:
            raise ProvisioningError(
                f"Organization {organization_id} cannot be renamed: {error}.", fix="write it in one line."
            ) from error
        self._psql(statement)

    def set_project(self, project_id: str, name: str, metadata: Mapping[str, object]) -> None:
        raise ProvisioningError(
            f"Name and metadata of project {project_id} cannot be changed without a licence.",
            fix="change them in the user interface.",
        )

    def follow_logs(self, *, lines: int, follow: bool, service: str) -> int:
        following = ["--follow"] if follow else []
        return self.compose.stream("logs", "--tail", str(lines), *following, *([service] if service else []))

    def data(self) -> Sequence[str]:
        return [f"volume {name}" for name in self.compose.volumes()]

    def destroy(self) -> None:
        # Nobody needs a clean stop of what is deleted next: it would take up to half a minute.
        self.compose.checked("down", "--timeout", "0", "--volumes", "--remove-orphans")

    def _provision(self, project: WantedProject) -> None:
        variables = {**project.init_variables(), **MIGRATIONS_OFF}
        # `--env NAME` without a value takes it from the environment: no secret in any process list.
        names = [argument for name in variables for argument in ("--env", name)]
        argv = ("run", "--detach", "--no-deps", *names, WEB)
        fix = "see `make logs SERVICE=langfuse-web`, then run make bootstrap again"
        container = self.compose.checked(*argv, extra=variables, fix=fix).strip().splitlines()[-1]
        try:
            wait_until(
                lambda: self._look_at(container),
                what=f"The web container that creates project {project.project_id} did not become healthy",
                timeout_s=PROVISION_TIMEOUT_S,
                last_lines=lambda: self._container_log(container),
                fix=fix,
                interval_s=0.5,
                clock=self.clock,
            )
        except EngineError as error:
            raise ProvisioningError(error.message, fix=error.fix, details=error.details) from error
        finally:
            # Not `stop`: on SIGTERM web waits for 110 s before it ends.
            self.compose.client.run("rm", "--force", container)

    def _look_at(self, container: str) -> Look:
        template = "{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}"
        done = self.compose.client.run("inspect", "--format", template, container)
        status, _, health = done.stdout.strip().partition(" ")
        dead = "" if status in {"created", "running"} else f"the container is {status or 'gone'}"
        return Look(done=health == "healthy", state=f"{status}, {health}", dead=dead)

    def _container_log(self, container: str) -> list[str]:
        return tail(self.compose.client.logs(container, "--tail", "15"))

    def _take_down(self, volumes_before: Set[str]) -> None:
        """Undo a start that failed: a database may be half made in the volumes that it has made itself.

        An image makes its database at the first start only, and takes what an interrupted one left for whole.
        """
        served = any(one.service == WEB and one.health == "healthy" for one in self._containers())
        self.progress.note("Taking down what was started; data that was there stays.")
        self.compose.run("down")
        made = {name.removeprefix("volume ") for name in set(self.data()) - volumes_before}
        # With web, someone may have sent something already.
        if made and not served:
            made -= volumes_of_others(self.runner, self.layout, self.compose.project)
            self.compose.client.run("volume", "rm", *sorted(made))

    def _let_exporter_read(self) -> None:
        """Make what its container mounts, and let its user read the keys of the projects."""
        user, group = map(int, self.settings["EXPORTER_USER"].split(":"))
        give_to(self.layout.credentials_dir, user, group)
        heartbeats_dir(self.layout).mkdir(parents=True, exist_ok=True)

    def _start(self, init: Mapping[str, str], before: Sequence[Container], only: Sequence[str] = ()) -> None:
        capacity, services = self._fitted()
        # What lay there stopped or sick is not judged before it was started anew.
        old = {(one.id, one.started) for one in before}
        argv = ("up", "--detach", "--wait", "--wait-timeout", str(START_TIMEOUT_S), *only)
        with self.progress.steps("Starting the containers (the first start takes minutes)") as show:

            def look(said: str) -> None:
                containers = self._containers()
                show(progress_of(services, containers, said))
                hopeless = [one for one in containers if one.hopeless and (one.id, one.started) not in old]
                if hopeless:
                    raise self._start_failure(hopeless, said)

            done = self.compose.watched(
                look, *argv, extra=init, capacity=capacity, timeout_s=START_TIMEOUT_S + 60
            )
            containers = self._containers()
            show(progress_of(services, containers, ""))
        if done.returncode != 0:
            raise self._start_failure([one for one in containers if not one.well], done.stderr)

    def _fitted(self) -> tuple[Capacity, Sequence[str]]:
        """Return what Docker has, and the services of a start; say what the one changes in the other."""
        capacity = capacity_of_engine(self.runner)
        lowered = lowered_cpus(self.layout, self.settings, capacity)
        if lowered:
            names = ", ".join(lowered)
            self.progress.note(f"Docker has {capacity.cpus} CPUs: as much as that, not more, for {names}.")
        model = self.compose.model(lowered)
        if 0 < capacity.memory_bytes < (wanted := wanted_memory(model)):
            self.progress.note(
                f"Docker has {capacity.memory_bytes / GIB:.1f} GiB of memory, the limits add up to "
                f"{wanted / GIB:.1f}: under load something may be killed. Choose a smaller STACK_SIZE."
            )
        self.compose.claim_volumes(model)
        return capacity, sorted(model["services"])

    def _start_failure(self, guilty: Sequence[Container], said: str) -> StackError:
        reports = [(one, self._container_log(one.id)) for one in guilty]
        return start_failure(reports, said)

    def _containers(self) -> list[Container]:
        """Return the containers of the stack, without those that a command runs beside it."""
        return [one for one in self.compose.containers() if one.service not in CLIENTS.values()]

    @staticmethod
    def _runs(containers: Sequence[Container]) -> bool:
        return any(one.state == "running" for one in containers)

    @property
    def _has_database(self) -> bool:
        """Whether the database is one of this stack."""
        return "postgres" in compose_profiles(self.settings.values)

    def _psql(self, statements: str) -> str:
        """Return what the bundled database answers. Every user of the host would see arguments."""
        argv = ("exec", "-T", "postgres", "sh", "-c", _PSQL_READING)
        return self.compose.checked(*argv, stdin=statements, fix="see make doctor ONLY=stores.postgres.")
