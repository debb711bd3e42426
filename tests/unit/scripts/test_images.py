"""Files with images, and the lock of their digests; what needs an engine is in tests/scenarios/images."""

from __future__ import annotations

import io
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.core.errors import StackError, UsageError
from scripts.core.runner import Completed
from scripts.docker.images_lock import (
    LocalImage,
    Locked,
    compose_files,
    content_of,
    inspect_image,
    lock_text,
    pin,
    pinned_environment,
    read_lock,
)
from scripts.images.archive import MANIFEST, compress, seal, verify
from scripts.images.commands import changes

from .fakes import FakeRunner, layout_in

DIGEST, OTHER, ID = (f"sha256:{letter * 64}" for letter in "abc")
POSTGRES = "docker.io/library/postgres:17.12"
LOCKED = Locked(DIGEST, ID)


def docker_save(path: Path, **members: bytes) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "images.tar"
    docker_save(path, layer=b"x" * 5000, manifest=b"[]")
    seal(path, {POSTGRES: ID}, "linux/amd64")
    return path


def test_a_sealed_file_tells_what_is_in_it_and_is_still_a_tar_archive(archive: Path) -> None:
    manifest = verify(archive)
    assert (manifest.images, manifest.platform) == ({POSTGRES: ID}, "linux/amd64")
    assert set(manifest.members) == {"layer", "manifest"}
    with tarfile.open(archive) as opened:
        assert opened.getnames() == ["layer", "manifest", MANIFEST]


@pytest.fixture
def compressed(archive: Path) -> Path:
    into = archive.with_name("images.tar.zst")
    compress(archive, into)
    return into


def test_a_compressed_file_is_smaller_and_tells_the_same(archive: Path, compressed: Path) -> None:
    assert verify(compressed) == verify(archive)
    assert compressed.stat().st_size < archive.stat().st_size / 10


@pytest.mark.parametrize("kept", [3, 0.5, 0.99])
def test_a_compressed_file_that_was_cut_off_is_refused(compressed: Path, kept: float) -> None:
    content = compressed.read_bytes()
    compressed.write_bytes(content[: int(kept if kept > 1 else kept * len(content))])
    with pytest.raises(StackError, match=r"cut off|cannot be read"):
        verify(compressed)


def test_one_changed_byte_of_a_compressed_file_is_found(compressed: Path) -> None:
    content = bytearray(compressed.read_bytes())
    content[len(content) // 2] ^= 1
    compressed.write_bytes(content)
    with pytest.raises(StackError):
        verify(compressed)


@pytest.mark.parametrize("position", [600, 5000, 6800])
def test_one_changed_byte_is_found(archive: Path, position: int) -> None:
    content = bytearray(archive.read_bytes())
    content[position] ^= 1
    archive.write_bytes(content)
    with pytest.raises(StackError):
        verify(archive)


@pytest.mark.parametrize("kept", [100, 3000, 6200])
def test_a_file_that_was_cut_off_is_refused(archive: Path, kept: int) -> None:
    archive.write_bytes(archive.read_bytes()[:kept])
    with pytest.raises(StackError, match=r"cut off|cannot be read"):
        verify(archive)


def test_a_file_that_is_not_there_is_told_without_numbers_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"images\.tar cannot be read: No such file or directory\."):
        verify(tmp_path / "images.tar")


def test_a_file_of_docker_save_alone_is_refused(tmp_path: Path) -> None:
    docker_save(tmp_path / "plain.tar", layer=b"x")
    with pytest.raises(StackError, match="has no checksums"):
        verify(tmp_path / "plain.tar")


def test_a_member_that_was_added_later_is_found(archive: Path) -> None:
    with tarfile.open(archive, "a:") as opened:
        opened.addfile(tarfile.TarInfo("stranger"), io.BytesIO())
    with pytest.raises(StackError, match="is damaged: 1 of 2") as caught:
        verify(archive)
    assert caught.value.details == ("stranger",)


def test_what_is_locked_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "images.lock"
    path.write_text(lock_text({POSTGRES: LOCKED}))
    assert read_lock(path) == {POSTGRES: LOCKED}
    assert read_lock(tmp_path / "absent") == {}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "other: {}",
        "images: [a]",
        "images: {a: sha256:1}",
        f"images: {{a: {{digest: '{DIGEST}', id: latest}}}}",
    ],
)
def test_a_damaged_lock_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "images.lock"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"images\.lock") as caught:
        read_lock(path)
    assert "make lock" in caught.value.fix


def test_an_image_that_came_in_a_file_is_known_by_its_id() -> None:
    assert pin(POSTGRES, LOCKED, LocalImage(ID, frozenset(), "linux/amd64")) == POSTGRES


@pytest.mark.parametrize("here", [None, LocalImage(OTHER, frozenset(), "linux/amd64")])
def test_every_other_image_is_asked_for_by_digest(here: LocalImage | None) -> None:
    assert pin(POSTGRES, LOCKED, here) == f"{POSTGRES}@{DIGEST}"


def test_digests_of_other_repositories_do_not_count() -> None:
    row = {"Id": ID, "Os": "linux", "Architecture": "amd64"}
    names = [f"postgres@{DIGEST}", f"registry.acme.example/postgres@{OTHER}"]
    runner = FakeRunner({"image inspect": Completed(0, json.dumps([{**row, "RepoDigests": names}]))})
    found = inspect_image(runner, POSTGRES)
    assert found is not None
    assert replace(found, content="") == LocalImage(ID, frozenset({DIGEST}), "linux/amd64")


# What Docker 26.1 prints of one and the same image, saved by an engine with the classic store and loaded by
# one with that of containerd (`features: {containerd-snapshotter: true}`).
CONFIG = {
    "Hostname": "", "User": "5:5", "Tty": False, "ExposedPorts": {"80/tcp": {}}, "Env": ["A=1", "B=2"],
    "Cmd": None, "Healthcheck": {"Test": ["CMD", "a"], "Interval": 3000000000}, "Volumes": {"/data": {}},
    "WorkingDir": "/data", "Entrypoint": ["/x", "y"], "OnBuild": None, "Labels": {"a": "b"},
}  # fmt: skip
CLASSIC: dict[str, Any] = {
    "Id": "sha256:a713b2aa70c620226a20dc49984389646d05e28c7ddd3da393b0de079a51bd19",
    "RepoTags": ["data.example/acme/probe:1"], "RepoDigests": [], "Architecture": "amd64", "Os": "linux",
    "Config": CONFIG, "Size": 3, "GraphDriver": {"Data": {"MergedDir": "/merged"}, "Name": "overlay2"},
    "RootFS": {"Type": "layers", "Layers": [f"sha256:{'1' * 64}"]},
}  # fmt: skip
CONTAINERD: dict[str, Any] = {
    **CLASSIC,
    "Id": "sha256:d8f35802b11dc625a0dea759e487923ff0cc77cd4caeac8366307d78d76821d9",
    "RepoDigests": [
        "data.example/acme/probe@sha256:d8f35802b11dc625a0dea759e487923ff0cc77cd4caeac8366307d78d76821d9"
    ],
    "Size": 11654, "GraphDriver": {"Data": None, "Name": "overlayfs"},
    "Config": {name: value for name, value in CONFIG.items() if value},  # as Docker 29 has it
}  # fmt: skip


def test_an_image_is_the_same_in_both_of_dockers_image_stores() -> None:
    assert CLASSIC["Id"] != CONTAINERD["Id"]
    assert content_of(CLASSIC) == content_of(CONTAINERD)


@pytest.mark.parametrize(
    "other",
    [
        {"Architecture": "arm64"},
        {"RootFS": {"Layers": [f"sha256:{'2' * 64}"]}},
        {"Config": {**CONFIG, "User": ""}},
        {"Config": {**CONFIG, "Entrypoint": ["/y"]}},
        {"Config": {**CONFIG, "Env": ["A=1"]}},
    ],
)
def test_an_image_that_differs_in_anything_that_counts_is_another_one(other: dict[str, Any]) -> None:
    assert content_of({**CLASSIC, **other}) != content_of(CLASSIC)


def test_a_lock_made_with_one_store_holds_in_the_other(tmp_path: Path) -> None:
    path = tmp_path / "images.lock"
    path.write_text(lock_text({"probe:1": Locked(DIGEST, CLASSIC["Id"], content_of(CLASSIC))}))
    locked = read_lock(path)["probe:1"]
    runner = FakeRunner({"image inspect": Completed(0, json.dumps([CONTAINERD]))})
    assert pin("probe:1", locked, inspect_image(runner, "probe:1")) == "probe:1"
    changed = {**CONTAINERD, "RootFS": {"Layers": [f"sha256:{'2' * 64}"]}}
    runner = FakeRunner({"image inspect": Completed(0, json.dumps([changed]))})
    assert pin("probe:1", locked, inspect_image(runner, "probe:1")) == f"probe:1@{DIGEST}"


def test_a_lock_of_an_older_version_goes_by_the_id(tmp_path: Path) -> None:
    path = tmp_path / "images.lock"
    path.write_text(f"images: {{'{POSTGRES}': {{digest: '{DIGEST}', id: '{ID}'}}}}")
    assert read_lock(path) == {POSTGRES: Locked(DIGEST, ID)}
    assert Locked(DIGEST, ID).is_(LocalImage(ID, frozenset(), "", OTHER))


def test_without_a_lock_compose_is_called_as_ever(tmp_path: Path) -> None:
    runner = FakeRunner()
    assert pinned_environment(layout_in(tmp_path), runner, ["docker", "compose"], {"A": "1"}) == {"A": "1"}
    assert runner.calls == []


def test_with_a_lock_compose_gets_one_more_file(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    layout.images_lock.write_text(lock_text({POSTGRES: LOCKED}))
    services = {"postgres": {"image": POSTGRES}, "valkey": {"image": "docker.io/valkey/valkey:8.1.10"}}
    rules = {"config": Completed(0, json.dumps({"services": services})), "image inspect": Completed(1)}
    environment = pinned_environment(layout, FakeRunner(dict(rules)), ["docker", "compose"], {})
    first, pins = environment["COMPOSE_FILE"].split(os.pathsep)
    assert first == "compose.yaml"
    assert yaml.safe_load(Path(pins).read_text()) == {
        "services": {"postgres": {"image": f"{POSTGRES}@{DIGEST}"}}
    }


def test_the_files_are_those_that_compose_would_read(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    assert compose_files(layout, {}) == ["compose.yaml"]
    (tmp_path / "compose.override.yaml").touch()
    assert compose_files(layout, {}) == ["compose.yaml", "compose.override.yaml"]
    layout.env_file.write_text("COMPOSE_FILE=compose.yaml:mine.yaml\n")
    assert compose_files(layout, {}) == ["compose.yaml", "mine.yaml"]
    assert compose_files(layout, {"COMPOSE_FILE": "a;b", "COMPOSE_PATH_SEPARATOR": ";"}) == ["a", "b"]


def test_changes_of_a_lock_are_shown() -> None:
    before = {"kept:1": LOCKED, "moved:1": LOCKED, "gone:1": LOCKED}
    after = {"kept:1": LOCKED, "moved:1": Locked(OTHER, ID), "new:1": LOCKED}
    assert changes(before, after) == [
        "- gone:1",
        "~ moved:1  sha256:bbbbbbbbbbbb (was sha256:aaaaaaaaaaaa)",
        "+ new:1  sha256:aaaaaaaaaaaa",
    ]
