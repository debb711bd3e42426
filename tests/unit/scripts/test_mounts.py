"""What is mounted can be read by the user of its container, or the start says how to change that."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.core.layout import Layout
from scripts.docker.daemon import Daemon
from scripts.docker.mounts import mount_problems, open_command
from tests.unit.compose.conftest import ROOT

from .fakes import layout_in

HERE = Daemon(id="zeus", root="/var/lib/docker", is_here=True)
# A number that no file of a test belongs to.
STRANGER = "64999:64999"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A checkout with configuration, in a path that a shell and an URL would take apart."""
    root = tmp_path / "a path with # and %"
    files = {
        "config/prometheus/prometheus.yml": 0o644,
        "config/valkey.conf": 0o644,
        "config/caddy/certificates/.gitignore": 0o644,
        "docs/runbooks/DiskLow.md": 0o644,
        "docs/page.md": 0o600,
    }
    for name, mode in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
        (root / name).chmod(mode)
    for directory, _, _ in os.walk(root):
        Path(directory).chmod(0o755)
    return layout_in(root)


def model(layout: Layout, *, user: str = STRANGER, **sources: str) -> Mapping[str, Any]:
    """Return a stack whose services mount these paths of the checkout."""
    return {
        "services": {
            name: {
                "user": user,
                "volumes": [{"type": "bind", "source": str(layout.root / source), "target": "/x"}],
            }
            for name, source in sources.items()
        }
    }


def everything(layout: Layout) -> Mapping[str, Any]:
    return model(layout, prometheus="config/prometheus", valkey="config/valkey.conf", grafana="docs/runbooks")


def close(layout: Layout, umask: int) -> None:
    """Take away what a checkout made with that umask would not have."""
    for directory, names, files in os.walk(layout.root, topdown=False):
        for name in (*names, *files):
            path = Path(directory, name)
            path.chmod(path.stat().st_mode & ~umask)


def test_the_page_has_the_command_that_is_shown(layout: Layout) -> None:
    page = (ROOT / "docs/how-to/troubleshoot-docker.md").read_text(encoding="utf-8")
    opened = [layout.root / "config/valkey.conf", layout.root / "docs/runbooks"]
    assert f"```sh\n{open_command(layout, opened)}\nmake up\n" in page


def test_what_others_may_read_is_no_problem(layout: Layout) -> None:
    assert mount_problems(everything(layout), layout, HERE) == []


@pytest.mark.parametrize("umask", [0o077, 0o027, 0o007])
def test_a_checkout_of_a_strict_umask_is_opened_by_the_command_that_is_shown(
    layout: Layout, umask: int
) -> None:
    close(layout, umask)
    (problem,) = mount_problems(everything(layout), layout, HERE)
    assert problem.reason.startswith("Containers cannot read docs/runbooks (grafana, user 64999:64999), ")
    assert "and 2 more: this checkout was made with a umask" in problem.reason
    subprocess.run(["sh", "-ec", problem.fix], cwd=layout.root, check=True)
    assert mount_problems(everything(layout), layout, HERE) == []
    assert (layout.root / "docs/page.md").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("who", "readable"), [("owner", True), ("group", True), ("others", False)])
def test_owner_group_and_others_each_have_their_own_bits(layout: Layout, who: str, readable: bool) -> None:
    path = layout.root / "config/valkey.conf"
    path.chmod(0o640)
    found = path.stat()
    user = {"owner": f"{found.st_uid}:64999", "group": f"64999:{found.st_gid}", "others": STRANGER}[who]
    problems = mount_problems(model(layout, user=user, valkey="config/valkey.conf"), layout, HERE)
    assert (problems == []) is readable


def test_a_mode_that_shuts_out_the_owner_counts(layout: Layout) -> None:
    path = layout.root / "config/valkey.conf"
    path.chmod(0o044)
    owner = path.stat().st_uid
    assert mount_problems(model(layout, user=f"{owner}:64999", valkey="config/valkey.conf"), layout, HERE)


def test_a_secret_is_given_to_its_reader_and_never_opened(layout: Layout) -> None:
    key = layout.root / "config/caddy/certificates/tls key.pem"
    key.touch()
    key.chmod(0o600)
    (problem,) = mount_problems(model(layout, caddy="config/caddy/certificates"), layout, HERE)
    assert problem.reason == (
        "config/caddy/certificates/tls key.pem is private, and caddy (user 64999:64999) cannot read it."
    )
    assert problem.fix == ("give it to that user: sudo chown 64999 'config/caddy/certificates/tls key.pem'")
    close(layout, 0o077)
    opening = mount_problems(model(layout, caddy="config"), layout, HERE)[0]
    subprocess.run(["sh", "-ec", opening.fix], cwd=layout.root, check=True)
    assert key.stat().st_mode & 0o777 == 0o600
    key.unlink()
    assert mount_problems(model(layout, caddy="config"), layout, HERE) == []


def test_a_mount_that_is_not_there_is_named(layout: Layout) -> None:
    (layout.root / "config/valkey.conf").unlink()
    (problem,) = mount_problems(everything(layout), layout, HERE)
    assert problem.reason == "config/valkey.conf is mounted into a container and is not there."
    assert problem.fix == "git checkout -- config/valkey.conf"


@pytest.mark.parametrize(
    ("daemon", "user", "readable"),
    [
        (Daemon(is_here=True, rootless=True), "0:0", True),
        (Daemon(is_here=True, rootless=True), STRANGER, False),
        (Daemon(is_here=True, security=frozenset({"userns"})), "0:0", False),
        (Daemon(is_here=False), STRANGER, True),
    ],
)
def test_who_a_user_of_a_container_is_outside_depends_on_the_daemon(
    layout: Layout, daemon: Daemon, user: str, readable: bool
) -> None:
    (layout.root / "config/valkey.conf").chmod(0o600)
    os.chown(layout.root / "config/valkey.conf", os.getuid(), -1)
    found = mount_problems(model(layout, user=user, valkey="config/valkey.conf"), layout, daemon)
    assert (found == []) is readable


def test_what_the_start_makes_in_the_directory_of_the_stack_is_not_judged_before(layout: Layout) -> None:
    layout.stack_dir.mkdir(mode=0o700)
    assert mount_problems(model(layout, exporter=".stack/credentials"), layout, HERE) == []


@pytest.mark.parametrize(
    ("label", "good"),
    [
        (b"unconfined_u:object_r:user_home_t:s0\0", False),
        (b"system_u:object_r:container_file_t:s0:c1,c2\0", True),
        (b"system_u:object_r:container_ro_file_t:s0\0", True),
    ],
)
def test_selinux_wants_a_label_for_containers(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, label: bytes, good: bool
) -> None:
    monkeypatch.setattr(os, "getxattr", lambda _path, _name: label)
    daemon = Daemon(is_here=True, security=frozenset({"selinux"}))
    found = mount_problems(everything(layout), layout, daemon)
    assert (found == []) is good
    if not good:
        assert found[0].fix == "sudo chcon --recursive --type container_file_t config docs/runbooks"
    assert mount_problems(everything(layout), layout, HERE) == []


def test_images_that_are_built_here_do_not_keep_the_modes_of_the_checkout() -> None:
    lines = (ROOT / "scripts/watch/exporter/Dockerfile").read_text().splitlines()
    copied = [line for line in lines if line.startswith("COPY") and not line.split()[1].endswith(".lock")]
    assert copied == ["COPY --chmod=0755 scripts ./scripts"]
