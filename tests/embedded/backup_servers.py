"""Servers for backup repositories: SeaweedFS for S3 and sshd for SFTP, on free ports, gone at the end."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.waiting import wait_for

from .exporting import free_port
from .harness import REPOSITORY

ACCESS_KEY, SECRET_KEY = "key-of-test", "secret-of-test"
READY_S = 20.0


@dataclass(frozen=True)
class Server:
    """Where a repository can be, and what a stack needs in its environment to reach it.

    Attributes:
        refused: the same environment with credentials that the server does not know.
    """

    location: str
    environment: dict[str, str]
    refused: dict[str, str]


@contextmanager
def s3_server(directory: Path) -> Iterator[Server]:
    """Run SeaweedFS with one identity, or skip the test."""
    weed = program("weed", "make lint installs it, or put a `weed` into PATH")
    (directory / "data").mkdir()
    # The address of each part and, 10000 above it, that of its calls between parts.
    master, volume, filer, s3 = (port_with_partner() for _ in range(4))
    argv = [weed, "-logtostderr=true", "server", f"-dir={directory / 'data'}", "-ip=127.0.0.1", "-s3"]
    argv += [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}"]
    # Else it listens on all addresses, on two fixed ports more, and reports to the vendor.
    argv += ["-ip.bind=127.0.0.1", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"]
    argv += ["-volume.max=20", "-master.volumeSizeLimitMB=64", "-volume.preStopSeconds=0"]
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    with process(argv, directory, s3, {**os.environ, **keys}):
        yield Server(
            f"s3:http://127.0.0.1:{s3}/backups",
            {"BACKUP_S3_ACCESS_KEY_ID": ACCESS_KEY, "BACKUP_S3_SECRET_ACCESS_KEY": SECRET_KEY},
            {"BACKUP_S3_ACCESS_KEY_ID": ACCESS_KEY, "BACKUP_S3_SECRET_ACCESS_KEY": "another-secret"},
        )


@contextmanager
def sftp_server(directory: Path) -> Iterator[Server]:
    """Run sshd for this user, with keys of its own, or skip the test."""
    sshd = program("sshd", "apt install openssh-server")
    port = free_port()
    for name in ("host", "user", "stranger"):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)]
        subprocess.run(argv, check=True)
    (directory / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory / 'host'}\n"
        f"AuthorizedKeysFile {directory / 'user.pub'}\nPidFile none\nStrictModes no\n"
        "PasswordAuthentication no\nUsePAM no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n"
    )
    host_key = " ".join((directory / "host.pub").read_text().split()[:2])
    (directory / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
    user = getpass.getuser()
    with (
        separation_directory(),
        process([sshd, "-D", "-e", "-f", str(directory / "sshd_config")], directory, port),
    ):
        yield Server(
            f"sftp://{user}@127.0.0.1:{port}/{directory}/backups",
            {"PATH": path_with_ssh(directory, "user")},
            {"PATH": path_with_ssh(directory, "stranger")},
        )


def path_with_ssh(directory: Path, key: str) -> str:
    """Return a PATH on which `ssh` is the real one with a key of the test."""
    ssh = program("ssh", "apt install openssh-client")
    folder = directory / f"bin-{key}"
    folder.mkdir()
    options = f"-o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile='{directory / 'known_hosts'}'"
    (folder / "ssh").write_text(f"#!/bin/sh\nexec {ssh} -F none -i '{directory / key}' {options} \"$@\"\n")
    (folder / "ssh").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@contextmanager
def separation_directory() -> Iterator[None]:
    """Make the empty directory that sshd of root goes to before a login; its service has it otherwise."""
    directory = Path("/run/sshd")
    made = os.getuid() == 0 and not directory.exists()
    if made:
        directory.mkdir(mode=0o755)
    try:
        yield
    finally:
        if made:
            directory.rmdir()


@contextmanager
def process(
    argv: Sequence[str], directory: Path, port: int, environment: dict[str, str] | None = None
) -> Iterator[None]:
    """Run a server until the end of the body, once it answers on its port."""
    log = directory / "log"
    with log.open("w") as output:
        running = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=directory, env=environment
        )
    try:

        def ready() -> bool:
            assert running.poll() is None, log.read_text()[-2000:]
            return answers(port)

        wait_for(ready, lambda: log.read_text()[-2000:], READY_S)
        yield
    finally:
        running.kill()
        running.wait()


def answers(port: int) -> bool:
    """Return whether something listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def port_with_partner() -> int:
    """Return a free port below 55536 whose partner 10000 above is free, too."""
    for _ in range(100):
        port = free_port() % 20_000 + 20_000
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind(("127.0.0.1", port))
                other.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
            return port
    raise AssertionError("no two free ports")


def program(name: str, source: str) -> str:
    """Return a program, or skip the test."""
    path = f"{REPOSITORY / '.venv-tools' / 'bin'}:{os.environ['PATH']}:/usr/sbin"
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f"no {name}: {source}")
    return found
