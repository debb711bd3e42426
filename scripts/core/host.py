"""Facts about this machine: who holds a port, which process a pid is, how much disk is free."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

import psutil

HIGHEST_PORT = 65535
# Nobody's number on usual systems: the user of images that have no user of their own.
STRANGER = 65532


def port_is_free(host: str, port: int) -> bool:
    """Return whether a server could listen on the address now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections of a stopped one that still fade away are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def unprivileged_user() -> tuple[int, int]:
    """Return user and group of a container that reads our files: our own, a stranger's for root."""
    return (os.getuid(), os.getgid()) if os.getuid() else (STRANGER, STRANGER)


def other_port(port: int) -> int:
    """Return a port to propose in the place of a taken one."""
    return port + 100 if port + 100 <= HIGHEST_PORT else port - 100


def port_holder(port: int) -> str:
    """Return which process listens on the port, for people: `python3 (process 4711)`."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        connections = []
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or not connection.laddr or not connection.pid:
            continue
        if connection.laddr.port == port:
            return describe_process(connection.pid)
    return "a process of another user (see it with: sudo ss -ltnp)"


def describe_process(pid: int) -> str:
    """Return the name and number of a process."""
    try:
        return f"{psutil.Process(pid).name()} (process {pid})"
    except psutil.Error:
        return f"process {pid}"


def command_line(pid: int) -> Sequence[str]:
    """Return the arguments of a living process; empty when it is gone, a zombie, or somebody else's."""
    try:
        process = psutil.Process(pid)
        return [] if process.status() == psutil.STATUS_ZOMBIE else process.cmdline()
    except psutil.Error:
        return []


def free_bytes(path: Path) -> int:
    """Return the free space of the file system that `path` lies on or will lie on."""
    existing = path
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free
