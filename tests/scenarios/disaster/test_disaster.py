"""The disaster drill: a host is lost; the commands of the page rebuild it from bundle and backup, timed."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.embedded.documented import Block, Checkout, commands, run_blocks
from tests.scenarios.backup_restore.drill import PROJECTS, seed
from tests.scenarios.conftest import MakeStack
from tests.scenarios.stack import EXAMPLE, ROOT

from .contents import stack_in
from .new_host import lacking, new_host

PAGE = ROOT / "docs" / "how-to" / "recover-from-disaster.md"
OFFLINE = ROOT / "docs" / "how-to" / "install-offline.md"
OBSERVATIONS = 2_000
# Images are compressed on one side and unpacked on the other.
TIMEOUT_S = 1200.0
# What an operator sets before the first start; it comes back with the backup.
SETTINGS = ("ENGINE", "COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "STACK_SIZE", "LANGFUSE_PORT", "S3_PORT")
ROUTES = "ip route show default; ip -6 route show default"


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """Places of the pages that outlive the host, and that of the next one -> where they are here."""
    for name in ("media", "backups", "new"):
        (tmp_path / name).mkdir()
    return {
        "/mnt/media": str(tmp_path / "media"),
        "/mnt/backups": str(tmp_path / "backups"),
        "/srv/new-host/langfuse-stack": str(tmp_path / "new" / "langfuse-stack"),
        "~/bundle-key": str(tmp_path / "media" / "bundle-key"),
    }


@pytest.fixture
def host(make_stack: MakeStack, tmp_path: Path, places: dict[str, str]) -> Checkout:
    """A host with a checkout of its own, whose settings stand in `.env`; not started."""
    stack = make_stack()
    made = Checkout(tmp_path / "host", {"CI": "true"}, places, timeout_s=TIMEOUT_S).make()
    settings = {name: stack.context.environment[name] for name in SETTINGS}
    settings["BACKUP_REPOSITORY"] = places["/mnt/backups"]
    (made.root / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return made


@pytest.fixture
def next_host(tmp_path: Path, places: dict[str, str]) -> Iterator[Checkout]:
    """Another host: no image, no container, no network."""
    if reason := lacking():
        pytest.skip(reason)
    with new_host() as made:
        # Without the examples, as everywhere on stand-ins: they wait for a worker that takes its time.
        environment = {"CI": "true", "DOCKER_HOST": made.docker, "PYTEST_ADDOPTS": "-k 'not example'"}
        yield Checkout(tmp_path / "new", environment, places, within=made.within, timeout_s=TIMEOUT_S)


def test_a_lost_host_is_rebuilt_without_a_network_from_bundle_and_backup_by_the_commands_of_the_page(
    host: Checkout, next_host: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    before, install, restore = commands(PAGE)
    assert _said(next_host, ROUTES) == _said(next_host, "docker image ls --quiet") == ""
    _said(host, f"make init FROM={EXAMPLE} && make up")
    stack = stack_in(host.root)
    seed(stack, OBSERVATIONS)
    run_blocks(host, [commands(OFFLINE)[0]])
    prepared, _ = _timed(host, before)
    settings, images, content = stack.env(), _images(host, stack.name), _content(host, host.root)
    credentials = {project: stack.keys(project) for project in PROJECTS}
    size = (Path(host.replaced["/mnt/media"]) / "langfuse-stack.tar").stat().st_size

    # The host is lost: containers, volumes, networks, disk.
    _said(host, "make destroy YES=1")
    assert stack.leftovers() == {}
    shutil.rmtree(host.root)

    installed, _ = _timed(next_host, install)
    restored, said = _timed(next_host, restore, f"{settings['BACKUP_PASSWORD']}\n")
    with capsys.disabled():
        print(
            f"\nDisaster drill: backup and bundle of {size / 1e6:.0f} MB in {prepared:.0f} s; installed in"
            f" {installed:.0f} s and restored, smoke tests passed, in {restored:.0f} s: from nothing in"
            f" {installed + restored:.0f} s."
        )
    assert " passed" in said
    root = Path(next_host.replaced["/srv/new-host/langfuse-stack"])
    again = stack_in(root)
    # The smoke tests have added what they write.
    found = _content(next_host, root)
    missing = {kind: len(rows - found[kind]) for kind, rows in content.items()}
    assert missing == dict.fromkeys(content, 0)
    assert found["zeus observations"] == content["zeus observations"]
    assert {project: again.keys(project) for project in PROJECTS} == credentials
    assert _images(next_host, stack.name) == images
    # Nothing had to be known but the password: addresses, secrets and sizes came with the backup.
    assert again.env() == settings


def _said(host: Checkout, script: str) -> str:
    """Run commands that must succeed; return what they print."""
    done = host.run(f"set -eo pipefail; {script}")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def _timed(host: Checkout, block: Block, answers: str = "") -> tuple[float, str]:
    """Run a block of a page; return its seconds and what it printed."""
    started = time.monotonic()
    said = run_blocks(host, [block], answers)
    return time.monotonic() - started, said


def _content(host: Checkout, root: Path) -> Mapping[str, set[str]]:
    """Return what can be read on a host: hashes of rows by project and kind."""
    program = f"{sys.executable} -m tests.scenarios.disaster.contents {root}"
    found = {kind: set(rows) for kind, rows in json.loads(_said(host, f"cd {ROOT}; {program}")).items()}
    assert len(found["kosmos observations"]) >= OBSERVATIONS
    assert all(found.values()), "something of everything was seeded"
    return found


def _images(host: Checkout, stack: str) -> list[str]:
    """Return a line of service and id of its image for each container that runs."""
    row = '{{index .Config.Labels "com.docker.compose.service"}} {{.Image}}'
    running = f"docker ps --quiet --filter label=com.docker.compose.project={stack}"
    found = _said(host, f"{running} | xargs docker inspect --format '{row}' | sort").splitlines()
    assert len(found) >= 6
    return found
