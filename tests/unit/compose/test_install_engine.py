"""The script that installs a Docker engine: nothing to do, what it would install, and when it gives up."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from .conftest import ROOT

SCRIPT = ROOT / "rehearsal" / "install_engine.sh"
TOOLS = ("bash", "sh", "sed", "sort", "head", "awk", "grep", "tee", "env", "cat", "touch")
BOOKWORM = "Debian bookworm http://mirror.acme.example/debian/"
TRIXIE = "Debian trixie http://mirror.acme.example/debian/"


@dataclass(frozen=True)
class Machine:
    """A machine of which only these programs can be found."""

    directory: Path

    def program(self, name: str, body: str) -> None:
        path = self.directory / "bin" / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def has_docker(self, engine: str, compose: str) -> None:
        self.program("dockerd", f"echo 'Docker version {engine}, build abc'")
        self.program("docker", f"echo '{compose}'")

    def has_apt(self, *suites: str) -> None:
        """Let apt know these suites, and bring a new Docker and iptables when it installs."""
        suite_list = "\\n".join(suites)
        binaries = self.directory / "bin"
        self.program(
            "apt-get",
            f'case "$*" in indextargets*) printf "{suite_list}\\n"; exit ;; esac\n'
            f'echo "$*" >> {self.directory}/apt\n'
            'case "$*" in *" install "*) ;; *) exit ;; esac\n'
            f"for name in dockerd docker iptables; do touch {binaries}/$name; done\n"
            f"printf '#!/bin/sh\\necho Docker version 26.1.5, build abc\\n' > {binaries}/dockerd\n"
            f"printf '#!/bin/sh\\necho 2.26.1-4\\n' > {binaries}/docker\n"
            f"/bin/chmod 755 {binaries}/dockerd {binaries}/docker {binaries}/iptables",
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/bash", SCRIPT, *arguments],
            env={"PATH": str(self.directory / "bin"), "APT_ETC": str(self.directory / "etc")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def apt_calls(self) -> list[str]:
        prefix = "-qq -o Dpkg::Use-Pty=0 "
        return [line.removeprefix(prefix) for line in (self.directory / "apt").read_text().splitlines()]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with neither Docker nor apt, whose user is root."""
    for name in ("bin", "etc/preferences.d", "etc/sources.list.d"):
        (tmp_path / name).mkdir(parents=True)
    for tool in TOOLS:
        place = next(Path(d) / tool for d in os.environ["PATH"].split(":") if (Path(d) / tool).exists())
        (tmp_path / "bin" / tool).symlink_to(place)
    made = Machine(tmp_path)
    made.program("id", "echo 0")
    return made


def test_nothing_is_done_where_docker_is_new_enough(machine: Machine) -> None:
    machine.has_docker("26.1.5", "2.26.1-4")
    machine.program("iptables", "")
    machine.program("apt-get", "echo called; exit 1")
    done = machine.run()
    assert (done.returncode, done.stdout) == (0, "A Docker engine and Compose are installed.\n")


@pytest.mark.parametrize(
    ("engine", "compose", "lack"),
    [
        ("20.10.24", "2.26.1", "Docker engine 20.10.24 is older than 25"),
        ("25.0.1", "2.5.0", "Docker Compose 2.5.0 is older than 2.25"),
        ("28.0.0", "v2.40.1", "no iptables"),
    ],
)
def test_a_check_says_what_is_missing_and_installs_nothing(
    machine: Machine, engine: str, compose: str, lack: str
) -> None:
    machine.has_docker(engine, compose)
    machine.program("apt-get", "echo called; exit 1")
    done = machine.run("--check")
    assert (done.returncode, done.stdout) == (1, f"{lack}\n")


def test_the_packages_come_from_the_newer_debian_by_the_mirror_that_apt_uses(machine: Machine) -> None:
    machine.has_apt(BOOKWORM, "Debian-Security bookworm-security http://security.acme.example/")
    done = machine.run()
    assert done.returncode == 0, done.stderr
    packages = "docker.io/trixie docker-cli/trixie docker-compose/trixie"
    assert machine.apt_calls() == [
        "update",
        "update",
        f"install --yes --no-install-recommends {packages} iptables",
    ]
    source = (machine.directory / "etc/sources.list.d/langfuse-stack.sources").read_text()
    assert "URIs: http://mirror.acme.example/debian/\nSuites: trixie\n" in source
    pin = (machine.directory / "etc/preferences.d/langfuse-stack").read_text()
    assert pin == "Package: *\nPin: release n=trixie\nPin-Priority: 50\n"


def test_a_machine_that_knows_the_newer_debian_keeps_its_sources(machine: Machine) -> None:
    machine.has_apt(BOOKWORM, TRIXIE)
    assert machine.run().returncode == 0
    assert list((machine.directory / "etc").glob("*/*")) == []
    assert len(machine.apt_calls()) == 2


def test_the_second_run_installs_nothing(machine: Machine) -> None:
    machine.has_apt(BOOKWORM, TRIXIE)
    assert machine.run().returncode == 0
    calls = machine.apt_calls()
    assert machine.run().stdout == "A Docker engine and Compose are installed.\n"
    assert machine.apt_calls() == calls


def test_without_apt_it_says_what_to_do(machine: Machine) -> None:
    done = machine.run()
    assert done.returncode == 1
    assert done.stderr == (
        "error: no Docker engine, and this is no Debian.\nfix: install Docker 25 or later by hand.\n"
    )


def test_without_a_debian_source_it_says_what_to_do(machine: Machine) -> None:
    machine.has_apt("Ubuntu noble http://mirror.acme.example/ubuntu/")
    done = machine.run()
    assert done.returncode == 1
    assert "apt has no Debian package source" in done.stderr


def test_a_user_who_is_not_root_and_has_no_sudo_is_told(machine: Machine) -> None:
    machine.has_apt(BOOKWORM)
    machine.program("id", "echo 1000")
    done = machine.run()
    assert done.returncode == 1
    assert "by root only" in done.stderr
