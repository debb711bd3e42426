"""This machine: processors, memory, disks, open files."""

from __future__ import annotations

import os
import platform
import resource
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

from scripts.check.doctor.facts import Facts, Surroundings
from scripts.core import host


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system that the stack writes to; sizes in bytes.

    Attributes:
        inodes: how many files it can hold; 0 where the file system has no such limit.
    """

    path: str
    total: int
    free: int
    inodes: int
    inodes_free: int

    @property
    def free_share(self) -> float:
        """The free part, 0 to 1."""
        return self.free / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine; sizes in bytes.

    Attributes:
        cpus: that this process may use.
        disk: where credentials, logs and the data of the embedded engine lie.
        open_files: how many files a process may have open.
        architecture: as `uname -m` says it.
        cpu_flags: of the processor, in the words of Linux; none where unknown, or Docker is elsewhere.
    """

    cpus: int
    memory: int
    memory_available: int
    disk: Disk
    open_files: int
    architecture: str = ""
    cpu_flags: frozenset[str] = frozenset()


def gather_machine(surroundings: Surroundings, _facts: Facts) -> Machine:
    """Return what this machine has."""
    memory = psutil.virtual_memory()
    is_local = surroundings.context.environment.get("DOCKER_HOST", "unix:").startswith("unix:")
    return Machine(
        cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory=memory.total,
        memory_available=memory.available,
        disk=disk_at(surroundings.context.layout.stack_dir),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        architecture=platform.machine(),
        cpu_flags=host.cpu_flags() if is_local else frozenset(),
    )


def disk_at(path: Path) -> Disk:
    """Return the file system that `path` is on, or will be on."""
    path = host.measurable(path)
    usage = shutil.disk_usage(path)
    inodes = os.statvfs(path)
    return Disk(str(path), usage.total, usage.free, inodes.f_files, inodes.f_favail)
