"""Facts for single checks, as their sources make them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from scripts.check.doctor.catalog import CHECKS
from scripts.check.doctor.facts import NotGathered
from scripts.check.doctor.model import Verdict
from scripts.check.doctor.sources.backups import Backups
from scripts.check.doctor.sources.configuration import Configuration
from scripts.check.doctor.sources.containers import Containers, Docker
from scripts.check.doctor.sources.inside import Inside, Insides
from scripts.check.doctor.sources.machine import Disk, Machine
from scripts.check.doctor.sources.server import Server
from scripts.check.doctor.sources.stack import Stack
from scripts.docker.containers import Container
from scripts.engines.base import GIB
from scripts.settings.envfile import EnvFile
from scripts.settings.table import SETTINGS
from scripts.settings.values import load_settings_leniently

Kind = TypeVar("Kind")


class Given:
    """Facts that a test gives; of other kinds there are none."""

    def __init__(self, *facts: object) -> None:
        self._facts = {type(one): one for one in facts}

    def of(self, kind: type[Kind]) -> Kind:
        """Return the facts of a kind. Raises NotGathered."""
        found = self._facts.get(kind)
        if not isinstance(found, kind):
            raise NotGathered(f"no {kind.__name__} was given")
        return found


def judge(check_id: str, *facts: object) -> Verdict:
    """Return what a check says of these facts."""
    (check,) = [check for check in CHECKS if check.id == check_id]
    verdict = check.judge(Given(*facts))
    assert check.fix
    return verdict


def stack(profiles: tuple[str, ...] = (), **values: str) -> Stack:
    """Return a compose stack with these settings."""
    # What a start refuses may still stand in the files of a stack that runs.
    known = load_settings_leniently(SETTINGS, EnvFile(), {"ADMIN_API_KEY": "ad" * 16, **values}).values
    return Stack(True, known["STACK_SIZE"], profiles, known)


def disk(free: int, total: int = 500 * GIB, inodes_free: int = 900, inodes: int = 1000) -> Disk:
    """Return a file system."""
    return Disk("/data", total, free, inodes, inodes_free)


def machine(**changed: Any) -> Machine:
    """Return a machine with room for everything."""
    usual: dict[str, Any] = {
        "cpus": 8,
        "memory": 64 * GIB,
        "memory_available": 32 * GIB,
        "disk": disk(200 * GIB),
        "open_files": 65_536,
    }
    return Machine(**{**usual, **changed})


def docker(**changed: Any) -> Docker:
    """Return a Docker engine that is as it should be."""
    usual: dict[str, Any] = {
        "version": "26.1.5",
        "compose": "2.26.1",
        "cpus": 8,
        "memory": 64 * GIB,
        "limits": frozenset({"memory", "cpus", "processes"}),
        "disk": disk(200 * GIB),
    }
    return Docker(**{**usual, **changed})


def container(service: str, **changed: Any) -> Container:
    """Return a container that runs and is healthy."""
    usual: dict[str, Any] = {
        "id": f"id-{service}",
        "service": service,
        "image": f"docker.io/acme/{service}:1.2.3",
        "image_id": f"sha256:{service}",
        "state": "running",
        "exit_code": 0,
        "health": "healthy",
        "last_probe": "",
        "restarts": 0,
        "out_of_memory": False,
        "started": datetime(2026, 1, 1, tzinfo=UTC),
        "memory_limit": GIB,
        "cpu_limit": 2.0,
        "command": (),
        "ports": (),
        "environment": {},
    }
    return Container(**{**usual, **changed})


def containers(
    *found: Container,
    internal: Mapping[str, bool] | None = None,
    digests: Mapping[str, tuple[str, ...]] | None = None,
    hidden: frozenset[str] = frozenset(),
    contents: Mapping[str, str] | None = None,
) -> Containers:
    """Return the containers of a stack."""
    by_name = {one.name: one for one in found}
    return Containers(by_name, internal or {}, digests or {}, hidden, contents=contents or {})


def insides(**services: Mapping[str, Any]) -> Insides:
    """Return what services see; an underscore stands for the `-` in their names."""
    usual: dict[str, Any] = {
        "memory_limit": GIB,
        "memory_used": GIB // 4,
        "killed": 0,
        "throttled": 0.0,
        "cpu_limit": 2.0,
        "zone": "+0000",
        "ahead_s": 0.0,
        "files": 262_144,
        "resolved": {},
    }
    return Insides(
        {name.replace("_", "-"): Inside(**{**usual, **changed}) for name, changed in services.items()}, {}
    )


def server(**changed: Any) -> Server:
    """Return a server that answers."""
    usual: dict[str, Any] = {
        "url": "http://127.0.0.1:3000",
        "problem": "",
        "ready": 200,
        "health": 200,
        "version": "4.59.0",
        "keys": {"kosmos": "kosmos"},
        "prices": 175,
        "queues": {},
        "queues_status": 200,
        "legacy_status": 404,
        "providers": frozenset({"credentials"}),
    }
    return Server(**{**usual, **changed})


def backups(**changed: Any) -> Backups:
    """Return backups as they are when all is well."""
    usual: dict[str, Any] = {
        "location": ".backups",
        "ages_h": {"backup": 1.0},
        "repository": "open",
        "restic": True,
        "count": 1,
        "same_disk": False,
        "unfinished_restore": False,
        "rest": None,
        "left": (),
    }
    return Backups(**{**usual, **changed})


def configuration(**changed: Any) -> Configuration:
    """Return a configuration without a fault."""
    usual: dict[str, Any] = {
        "problems": (),
        "env_exists": True,
        "env_fault": "",
        "unknown": (),
        "stack_fault": "",
        "projects": (),
        "alerts_fault": "",
        "stale": (),
        "mute": (),
        "secrets": {},
    }
    return Configuration(**{**usual, **changed})
