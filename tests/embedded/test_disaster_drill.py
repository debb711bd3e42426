"""The disaster drill: lose the host, rebuild it from bundle and backup with the page's commands, timed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scripts.settings.envfile import read_env

from .documented import Checkout, commands, embedded_environment, run_blocks
from .harness import REPOSITORY

pytestmark = pytest.mark.slow

PAGE = REPOSITORY / "docs" / "how-to" / "recover-from-disaster.md"
OFFLINE = REPOSITORY / "docs" / "how-to" / "install-offline.md"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Checkout]:
    """A host with a stack; media for bundles and backups lie on other machines."""
    for name in ("media", "backups", "new"):
        (tmp_path / name).mkdir()
    replaced = {
        "/mnt/media": str(tmp_path / "media"),
        "/mnt/backups": str(tmp_path / "backups"),
        "/srv/new-host/langfuse-stack": str(tmp_path / "new" / "langfuse-stack"),
        "~/bundle-key": str(tmp_path / "media" / "bundle-key"),
    }
    environment = {**embedded_environment(), "BACKUP_REPOSITORY": str(tmp_path / "backups")}
    made = Checkout(tmp_path / "host", environment, replaced).make()
    yield made
    for root in (made.root, tmp_path / "new" / "langfuse-stack"):
        if (root / ".stack").is_dir():
            Checkout(root, environment, {}).run("make down")


def projects(root: Path) -> dict[str, str]:
    """Return the secret key of each project by its id."""
    found = sorted((root / ".stack" / "credentials").glob("*.env"))
    return {path.stem: read_env(path).values()["LANGFUSE_SECRET_KEY"] for path in found}


def test_a_lost_host_is_rebuilt_from_bundle_and_backup_with_the_commands_of_the_page(
    host: Checkout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, *after = commands(PAGE)
    assert host.run("make up && make canary && make canary").returncode == 0
    run_blocks(host, [commands(OFFLINE)[0]])
    run_blocks(host, [before])
    password = read_env(host.root / ".env").values()["BACKUP_PASSWORD"]
    keys = projects(host.root)
    with httpx.Client(base_url=f"http://127.0.0.1:{host.environment['LANGFUSE_PORT']}") as client:
        env = read_env(host.root / ".stack" / "credentials" / "default.env").values()
        auth = (env["LANGFUSE_PUBLIC_KEY"], env["LANGFUSE_SECRET_KEY"])
        query = {"fields": "core", "limit": 1000}
        rows = client.get("/api/public/v2/observations", params=query, auth=auth).json()["data"]
        assert len(rows) >= 2

        # The host is lost: its processes, its disk.
        assert host.run("make down").returncode == 0
        shutil.rmtree(host.root)
        host.root.mkdir()

        started = time.monotonic()
        said = run_blocks(host, after, f"{password}\n")
        took = time.monotonic() - started
        with capsys.disabled():
            print(f"\nDisaster drill: from nothing to passed smoke tests in {took:.0f} s.")
        assert " passed" in said
        assert projects(tmp_path / "new" / "langfuse-stack") == keys
        again = client.get("/api/public/v2/observations", params=query, auth=auth).json()["data"]
        assert {row["id"] for row in rows} <= {row["id"] for row in again}
