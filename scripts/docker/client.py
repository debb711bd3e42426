"""Every call of the docker program: what Docker has, and what is done to it. Compose's are in compose.py."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.core.runner import Completed, Runner, checked

from .containers import ONEOFF_LABEL, PROJECT_LABEL, Container, container_of, parse_bytes

PROGRAM = "docker"


@dataclass(frozen=True, slots=True)
class Client:
    """Runs `docker`.

    Attributes:
        environment: names the daemon (DOCKER_HOST); without it that of this process does.
        timeout_s: seconds for each call that names no other limit.
    """

    runner: Runner
    environment: Mapping[str, str] | None = None
    timeout_s: float = 60

    def run(self, *arguments: str, stdin: str = "", timeout_s: float | None = None) -> Completed:
        """Run to the end; return the outcome, also that of a failure. Raises StackError as Runner does."""
        limit = timeout_s or self.timeout_s
        return self.runner.run([PROGRAM, *arguments], env=self.environment, stdin=stdin, timeout_s=limit)

    def text(self, *arguments: str, timeout_s: float | None = None) -> str:
        """Return what Docker says. Raises CommandFailed."""
        return checked([PROGRAM, *arguments], self.run(*arguments, timeout_s=timeout_s)).stdout

    def endpoint(self) -> str:
        """Return where the client reaches the daemon, by DOCKER_HOST or the context in use."""
        return self.run("context", "inspect", "--format", "{{.Endpoints.docker.Host}}").stdout.strip()

    def containers(self, project: str) -> list[Container]:
        """Return the containers of a stack by service, also those that have ended. Raises CommandFailed."""
        filters = (f"label={PROJECT_LABEL}={project}", f"label={ONEOFF_LABEL}=False")
        options = [word for one in filters for word in ("--filter", one)]
        ids = self.text("ps", "--all", "--quiet", "--no-trunc", *options).split()
        if not ids:
            return []
        # One that goes away in between is an error for `inspect`, but it still prints the others.
        rows = json.loads(self.run("inspect", "--type", "container", *ids).stdout or "[]")
        return sorted((container_of(row) for row in rows), key=lambda one: (one.service, one.number))

    def memory(self, containers: Sequence[Container]) -> dict[str, int]:
        """Return the memory that each running container uses, in bytes. Takes two seconds."""
        running = {one.id: one.name for one in containers if one.running}
        if not running:
            return {}
        columns = "{{.ID}}\t{{.MemUsage}}"
        usage = {}
        for line in self.text(
            "stats", "--no-stream", "--no-trunc", "--format", columns, *running
        ).splitlines():
            identifier, _, text = line.partition("\t")
            if identifier in running and (used := parse_bytes(text.partition(" / ")[0])) is not None:
                usage[running[identifier]] = used
        return usage

    def logs(self, container: str, *options: str) -> str:
        """Return what a container has written, on either stream; empty where there is none."""
        done = self.run("logs", *options, container)
        return done.stdout + done.stderr

    def volumes(self, project: str) -> list[str]:
        """Return the names of the volumes of a stack. Raises CommandFailed."""
        return self.text("volume", "ls", "--quiet", "--filter", f"label={PROJECT_LABEL}={project}").split()
