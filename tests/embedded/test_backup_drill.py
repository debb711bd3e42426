"""Drills on the embedded engine: a lost host with 20,000 observations, single stores, a disk that is full."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scripts.core import host
from scripts.core.runner import SubprocessRunner
from scripts.data.backup import restore, verify
from scripts.data.backup.errors import Refused, RepositoryError
from scripts.run import smoke
from scripts.settings.envfile import read_env

from .backups import QUICK, Stack, everything, fill, span_of, stack_in, write
from .harness import REPOSITORY
from .spans import read, send, trace_id
from .test_backup import copied, files_of

pytestmark = pytest.mark.slow

OBSERVATIONS, SPANS = 20_000, 5


def content_hash(client: httpx.Client) -> str:
    """Return the SHA-256 of all that a project holds."""
    return hashlib.sha256(json.dumps(everything(client), sort_keys=True).encode()).hexdigest()


def needs_restic() -> None:
    """Skip where there is no restic."""
    if not shutil.which("restic"):
        pytest.skip("restic is not installed (rehearsal/install_tools.sh)")


@pytest.mark.timeout(600)
def test_a_host_with_twenty_thousand_observations_comes_back_by_content(tmp_path: Path) -> None:
    needs_restic()
    stack = stack_in(tmp_path / "stack")
    stack.up()
    try:
        with stack.client() as kosmos, stack.client("zeus") as zeus:
            fill(kosmos, traces=OBSERVATIONS // SPANS, spans=SPANS)
            fill(zeus, traces=3)
            before = content_hash(kosmos)
            # Load goes to the other project, so that the first one has a content to compare.
            acknowledged: list[str] = []
            stop = threading.Event()

            def load() -> None:
                while not stop.is_set():
                    name = trace_id()
                    send(zeus, span_of(name, 0))
                    acknowledged.append(name)

            thread = threading.Thread(target=load)
            thread.start()
            stack.back_up()
            stop.set()
            thread.join()
            assert acknowledged
            later = trace_id()
            send(kosmos, span_of(later, 0))
        assert verify.backup_verify(stack.context, backup="latest", read_all=True) == 0
        password = read_env(stack.layout.env_file).values()["BACKUP_PASSWORD"]
        stack.lose_everything()
        assert stack.with_environment(BACKUP_PASSWORD=password).restore() == 0
        with stack.client() as kosmos:
            assert content_hash(kosmos) == before
            assert read(kosmos, traceId=later) == []
        assert smoke.smoke(stack.context, arguments=["-q", "-k", "not examples"]) == 0
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A stopped stack with a backup, and one trace and one prompt that came after it. Copy it."""
    source = stack_in(tmp_path_factory.mktemp("filled") / "stack", QUICK)
    source.up()
    with source.client() as client:
        fill(client, traces=20)
        source.back_up()
        fill(client, traces=1)
        write(client, "v2/prompts", {"name": "later", "type": "text", "prompt": "after the backup"})
    source.stop()
    return source


@pytest.fixture
def stack(filled: Stack, tmp_path: Path) -> Iterator[Stack]:
    copy = copied(filled, tmp_path / "stack", QUICK)
    yield copy
    copy.stop()


def restore_only(stack: Stack, *stores: str) -> int:
    """Restore some stores of the latest backup."""
    return restore.restore(
        stack.context, backup="latest", dry_run=False, replace_data=True, with_smoke=False, only=stores
    )


def test_events_come_back_alone(stack: Stack) -> None:
    assert restore_only(stack, "events") == 0
    with stack.client() as client:
        assert len(read(client)) == 100
        assert client.get("/api/public/v2/prompts/later?version=1").status_code == 200
        counted = {"view": "observations", "metrics": [{"measure": "count", "aggregation": "count"}]}
        moments = {"fromTimestamp": "2020-01-01T00:00:00Z", "toTimestamp": "2100-01-01T00:00:00Z"}
        query = json.dumps({**counted, **moments, "dimensions": [], "filters": []})
        rows = client.get("/api/public/v2/metrics", params={"query": query}).json()["data"]
        assert int(rows[0]["count_count"]) == 100, "the projection must be that of the restored events"


def test_state_comes_back_alone(stack: Stack) -> None:
    assert restore_only(stack, "state") == 0
    with stack.client() as client:
        assert len(read(client)) == 105
        assert client.get("/api/public/v2/prompts/later?version=1").status_code == 404
        assert client.get("/api/public/v2/prompts/greeting?version=1").status_code == 200


def test_a_store_that_the_engine_does_not_have_is_refused(stack: Stack) -> None:
    before = files_of(stack)
    with pytest.raises(Refused, match="no store clickhouse"):
        restore_only(stack, "clickhouse")
    assert files_of(stack) == before


@pytest.fixture
def small_disk(filled: Stack, tmp_path: Path) -> Iterator[Path]:
    """A file system with room for a stack, its backups, and half of a restore."""
    used = sum(path.stat().st_size for path in filled.layout.root.rglob("*") if path.is_file())
    data = sum(path.stat().st_size for path in filled.layout.embedded_dir.rglob("*") if path.is_file())
    place = tmp_path / "disk"
    place.mkdir()
    size = 4 * used + data // 2
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a file system of its own can be mounted by root only")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_disk_that_is_full_in_the_middle_of_a_restore_changes_nothing(
    filled: Stack, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_restic()
    full = copied(filled, small_disk / "stack", SubprocessRunner(REPOSITORY))
    shutil.rmtree(full.repository_dir)
    free_bytes = host.free_bytes
    monkeypatch.setattr(host, "free_bytes", lambda _: 1 << 40)  # as if it had filled up since the check
    full.back_up()
    before = files_of(full)
    free = free_bytes(small_disk)
    data = sum(path.stat().st_size for path in full.layout.embedded_dir.rglob("*") if path.is_file())
    (small_disk / "ballast").write_bytes(b"\0" * (free - data // 2))
    try:
        with pytest.raises(RepositoryError, match="disk is full"):
            full.restore(replace_data=True)
        assert files_of(full) == before
        (small_disk / "ballast").unlink()
        assert full.restore(replace_data=True) == 0
    finally:
        full.stop()
