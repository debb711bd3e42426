"""The compose stack of another directory, which someone else has written: read, asked, stopped, started."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.core.errors import UsageError

from .compose import Compose, command_in
from .containers import PROJECT_LABEL
from .limits import Capacity

_WORKING_DIRECTORY = "com.docker.compose.project.working_dir"
# What names files, a project or profiles of ours.
_OURS = "COMPOSE_"


@dataclass(frozen=True, slots=True)
class OtherCompose(Compose):
    """See Compose. Its settings and layout are not those of that stack, and are not given to it.

    Attributes:
        directory: of its compose file, `.env` beside it.
        name: of its project; as Compose finds it, or as its containers carry it.
    """

    directory: Path = Path()
    name: str = ""

    @property
    def project(self) -> str:
        """See Compose."""
        return self.name

    def described(self) -> dict[str, Any]:
        """Return what its file amounts to, values as containers get them.

        Raises:
            UsageError: Compose does not take it.
        """
        argv = self._argv("config", "--format", "json")
        done = self.runner.run(argv, env=self._environment(None))
        if done.returncode != 0:
            raise UsageError(
                f"{self.directory} has no compose file that Docker Compose takes.",
                details=done.stderr.strip().splitlines()[-5:],
                fix="name the directory of the docker-compose.yml that your Langfuse was started from.",
            )
        model: dict[str, Any] = _plain(json.loads(done.stdout))
        return model

    def set_restart(self, policies: Mapping[str, str]) -> None:
        """Give containers, by id, the policy with which Docker starts them again. Raises CommandFailed."""
        for container, policy in policies.items():
            self.client.text("update", f"--restart={policy}", container)

    def restart_policies(self) -> dict[str, str]:
        """Return the policy of each container by id. Raises CommandFailed."""
        ids = [one.id for one in self.containers()]
        if not ids:
            return {}
        text = self.client.text("inspect", "--format", "{{.Id}} {{.HostConfig.RestartPolicy.Name}}", *ids)
        return {
            identifier: name or "no"
            for identifier, _, name in (row.partition(" ") for row in text.splitlines())
        }

    def _argv(self, *arguments: str) -> list[str]:
        return [*command_in(self.directory, self.name), *arguments]

    def _call(
        self,
        arguments: Any,
        extra: Mapping[str, str] | None = None,
        capacity: Capacity | None = None,
        *,
        pinned: bool = True,
    ) -> tuple[list[str], dict[str, str]]:
        return self._argv(*arguments), self._environment(extra)

    def _environment(self, extra: Mapping[str, str] | None) -> dict[str, str]:
        theirs = {name: value for name, value in self.environment.items() if not name.startswith(_OURS)}
        return {**theirs, **(extra or {})}


def project_in(compose: OtherCompose) -> str:
    """Return the name that the containers started from its directory carry; empty where there are none.

    Whoever started them may have chosen another name than the one that Compose finds now.
    """
    form = f'{{{{.Label "{PROJECT_LABEL}"}}}}'
    where = f"label={_WORKING_DIRECTORY}={compose.directory}"
    argv = ["ps", "--all", "--filter", where, "--format", form]
    names = set(compose.client.text(*argv).split())
    if len(names) > 1:
        raise UsageError(
            f"{compose.directory} has containers of several projects: {', '.join(sorted(names))}.",
            fix="remove those that are not your Langfuse: docker compose -p NAME down (without -v).",
        )
    return names.pop() if names else ""


def _plain(value: Any) -> Any:
    """Return a value of `docker compose config`, which writes each dollar as two."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
