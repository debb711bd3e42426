"""Facts about this machine: who holds a port, which process a pid is, how much disk is free."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from ipaddress import ip_address
from itertools import chain
from pathlib import Path
from typing import Any

import psutil

HIGHEST_PORT = 65535
# A number that usual systems give to nobody: the user of images that have no user of their own.
STRANGER = 65532
# What people take in the place of the ports that only root may open.
_USUAL_INSTEAD = {80: 8080, 443: 8443}
_PRIVILEGED = 1024
_MOUNTS = Path("/proc/self/mountinfo")
_FIRST_OPEN_PORT = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
_OCTAL = re.compile(r"\\([0-7]{3})")


class PortState(StrEnum):
    """What an attempt to listen on an address says about it."""

    FREE = "free"
    TAKEN = "taken"
    DENIED = "denied"
    """This user may not listen there. Another program, such as the Docker daemon, may."""
    NO_ADDRESS = "no address"
    """This machine does not have that address."""


def port_state(host: str, port: int) -> PortState:
    """Return whether a server could listen on the address now, and if not, why."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As servers do: connections of a stopped one that still fade away are not an obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return PortState.TAKEN
        if error.errno in {errno.EACCES, errno.EPERM}:
            return PortState.TAKEN if _is_listened_on(host, port) else PortState.DENIED
        if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL}:
            return PortState.NO_ADDRESS
        # An error that says nothing about the address: who starts the server will see.
        return PortState.FREE
    return PortState.FREE


def first_open_port() -> int:
    """Return the lowest port that a program without privileges may listen on."""
    try:
        return int(_FIRST_OPEN_PORT.read_text())
    except (OSError, ValueError):
        return _PRIVILEGED


def _is_listened_on(host: str, port: int) -> bool:
    """Return whether the system's list has a listener that would collide; False where it may not be read."""
    for connection in _listeners():
        if connection.laddr.port == port:
            addresses = (ip_address(host), ip_address(connection.laddr.ip.partition("%")[0]))
            if addresses[0] == addresses[1] or any(one.is_unspecified for one in addresses):
                return True
    return False


def _listeners() -> Iterator[Any]:
    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.AccessDenied, OSError):
        return
    yield from (one for one in connections if one.status == psutil.CONN_LISTEN and one.laddr)


def unprivileged_user() -> tuple[int, int]:
    """Return user and group of a container that reads our files: our own, a stranger's for root."""
    return (os.getuid(), os.getgid()) if os.getuid() else (STRANGER, STRANGER)


def other_port(host: str, port: int) -> int:
    """Return a port to propose in the place of a taken one: one that is free now and needs no privilege."""
    first: int = _USUAL_INSTEAD.get(port) or port + (100 if port >= _PRIVILEGED else 8000)
    upwards, downwards = range(first, HIGHEST_PORT + 1, 100), range(port - 100, _PRIVILEGED - 1, -100)
    for candidate in chain(upwards, downwards):
        if port_state(host, candidate) is PortState.FREE:
            return candidate
    return first


def port_holder(port: int) -> str:
    """Return which process listens on the port, for people: `python3 (process 4711)`."""
    for connection in _listeners():
        if connection.pid and connection.laddr.port == port:
            return describe_process(connection.pid)
    return "a process of another user (see it with: sudo ss -ltnp)"


def describe_process(pid: int) -> str:
    """Return the name and number of a process."""
    try:
        return f"{psutil.Process(pid).name()} (process {pid})"
    except psutil.Error:
        return f"process {pid}"


def command_line(pid: int) -> Sequence[str]:
    """Return the arguments of a living process; empty when it is gone, a zombie, or someone else's."""
    try:
        process = psutil.Process(pid)
        return [] if process.status() == psutil.STATUS_ZOMBIE else process.cmdline()
    except psutil.Error:
        return []


def environment_of(pid: int) -> Mapping[str, str] | None:
    """Return the environment that a process was started with; None when it is gone, or someone else's."""
    try:
        return psutil.Process(pid).environ()
    except (psutil.Error, OSError):
        return None


def command_lines() -> Mapping[int, Sequence[str]]:
    """Return the arguments of all living processes that this user may look at, by process id."""
    found = {}
    for process in psutil.process_iter(["cmdline", "status"]):
        if process.info["cmdline"] and process.info["status"] != psutil.STATUS_ZOMBIE:
            found[process.pid] = process.info["cmdline"]
    return found


def free_bytes(path: Path) -> int:
    """Return the free space of the file system that `path` is on or will be on."""
    return shutil.disk_usage(measurable(path)).free


def measurable(path: Path) -> Path:
    """Return a path on the same file system that this user may look at: `path`, a parent, or its mount point.

    A directory of another user, such as Docker's, may lie in one that we may not enter.
    """
    while True:
        try:
            os.statvfs(path)
        except (FileNotFoundError, NotADirectoryError):
            if path == path.parent:
                raise
            path = path.parent
        except PermissionError:
            mounts = [mount for mount in _mount_points() if path.is_relative_to(mount) and mount != path]
            if not mounts:
                raise
            path = max(mounts, key=lambda mount: len(mount.parts))
        else:
            return path


def _mount_points() -> list[Path]:
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
    # A space is written as \040.
    return [Path(_OCTAL.sub(lambda octal: chr(int(octal[1], 8)), line.split()[4])) for line in lines]


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return what the processor can do, in the words of Linux; nothing where the system does not say."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return frozenset(found[1].split()) if found else frozenset()
