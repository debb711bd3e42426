"""Restores that must not happen or break in the middle: what was there is there afterwards."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.core import host
from scripts.data.backup.errors import BackupError, Refused, RepositoryError, WrongPassword
from scripts.data.backup.repository import open_repository
from scripts.settings.envfile import read_env
from scripts.stores.clickhouse import ClickHouse
from tests.scenarios.conftest import MakeStack
from tests.scenarios.stack import Stack, export, new_id, readable
from tests.waiting import wait_for

from .drill import (
    back_up,
    bring_back,
    client,
    content_hash,
    password,
    seen_with,
    unchanged,
    with_repository,
)


def test_a_live_stack_is_refused(saved: Stack) -> None:
    with unchanged(saved), pytest.raises(Refused, match="has data"):
        bring_back(saved)


def test_a_wrong_password_is_refused(saved: Stack) -> None:
    with unchanged(saved), pytest.raises(WrongPassword):
        bring_back(seen_with(saved, BACKUP_PASSWORD="0" * 64), replace_data=True)


def test_another_encryption_key_is_refused(saved: Stack, tmp_path: Path) -> None:
    env_file = saved.context.layout.env_file
    kept = shutil.copy(env_file, tmp_path / "env")
    key = read_env(env_file).values()["ENCRYPTION_KEY"]
    with unchanged(saved):
        try:
            env_file.write_text(env_file.read_text().replace(key, "5a" * 32))
            with pytest.raises(Refused, match="ENCRYPTION_KEY"):
                bring_back(saved, replace_data=True)
        finally:
            shutil.copy(kept, env_file)


def test_a_newer_version_is_refused(saved: Stack) -> None:
    with unchanged(saved), pytest.raises(Refused, match="newer version") as caught:
        bring_back(seen_with(saved, LANGFUSE_VERSION="4.58.0"), replace_data=True)
    assert "4.59.0" in caught.value.details[0]


@pytest.mark.parametrize("damage", ["flipped byte", "missing pack"])
def test_a_damaged_repository_is_refused(saved: Stack, tmp_path: Path, damage: str) -> None:
    copy = Path(shutil.copytree(saved.context.environment["BACKUP_REPOSITORY"], tmp_path / "copy"))
    packs = sorted((copy / "data").glob("*/*"), key=lambda path: path.stat().st_size)
    packs[-1].chmod(0o600)
    if damage == "missing pack":
        packs[-1].unlink()
    else:
        content = bytearray(packs[-1].read_bytes())
        content[len(content) // 3] ^= 1
        packs[-1].write_bytes(bytes(content))
    with unchanged(saved), pytest.raises(RepositoryError):
        bring_back(seen_with(saved, BACKUP_REPOSITORY=str(copy)), replace_data=True)


def test_a_disk_that_fills_up_in_the_middle_of_a_restore_changes_nothing(
    saved: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = saved.context.layout.restore_dir
    place.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_of_backup(saved) // 2}", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a file system of its own can be mounted by root only")
    try:
        # As if it had filled up since the check.
        monkeypatch.setattr(host, "free_bytes", lambda _: 1 << 40)
        with unchanged(saved), pytest.raises(RepositoryError, match="disk is full"):
            bring_back(saved, replace_data=True)
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert saved.state().healthy


def test_what_was_there_comes_back_when_the_restored_stores_differ(
    saved: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ClickHouse.counts

    def other(self: ClickHouse) -> dict[str, dict[str, int]]:
        counts = found(self)
        counts["events_full"]["kosmos"] += 1
        return counts

    before = content_hash(saved)
    with monkeypatch.context() as patched:
        patched.setattr(ClickHouse, "counts", other)
        with pytest.raises(BackupError, match="not what was saved") as caught:
            bring_back(saved, replace_data=True)
    assert any("clickhouse.events_full of kosmos: 101 rows" in line for line in caught.value.details)
    assert content_hash(saved) == before


def test_a_backup_comes_back_in_a_second_stack_beside_the_first(saved: Stack, make_stack: MakeStack) -> None:
    back_up(saved)
    repository = Path(saved.context.environment["BACKUP_REPOSITORY"])
    second = with_repository(make_stack(), repository)
    assert bring_back(seen_with(second, BACKUP_PASSWORD=password(saved))) == 0
    assert content_hash(second) == content_hash(saved)
    assert second.keys()["LANGFUSE_BASE_URL"].endswith(second.context.environment["LANGFUSE_PORT"])
    second.destroy()
    assert saved.state().healthy


def test_one_store_comes_back_alone(saved: Stack) -> None:
    later = new_id(16)
    with client(saved, "kosmos") as api:
        assert export(api, later, [new_id(8)]).status_code == 200
        wait_for(lambda: len(readable(api, later)) == 1, "the trace after the backup")
        body = {"name": "after the backup", "type": "text", "prompt": "kept"}
        api.post("/api/public/v2/prompts", json=body).raise_for_status()
    assert bring_back(saved, replace_data=True, only="clickhouse") == 0
    with client(saved, "kosmos") as api:
        names = [row["name"] for row in api.get("/api/public/v2/prompts").json()["data"]]
        assert "after the backup" in names
        assert readable(api, later) == set()


def size_of_backup(stack: Stack) -> int:
    """Return how many bytes the latest backup has."""
    snapshot = open_repository(stack.context, stack.context.settings()).snapshots()[-1]
    return int(snapshot.facts["bytes"])
