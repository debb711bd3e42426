"""Images: pulled, locked by digest, carried in a file to an engine that reaches no registry."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from scripts.core.console import Console
from scripts.core.errors import CommandFailed, StackError, UsageError
from scripts.core.layout import Layout
from scripts.core.runner import Completed, SubprocessRunner
from scripts.docker.availability import find_images
from scripts.engines.context import Context
from scripts.images import commands
from scripts.images.archive import verify
from tests.scenarios.stack import Stack

from .registry import registry

COMPOSE = Path(__file__).parent / "compose.yaml"
NAMES = ("first", "second")


class Images:
    """Small images in a registry, and a stack of them in a directory of its own."""

    def __init__(self, engine: docker.DockerClient, address: str, context: Context) -> None:
        self.engine = engine
        self.address = address
        self.context = context

    def reference(self, name: str) -> str:
        """Return the tag that the stack names."""
        return f"{self.address}/acme/{name}:1.0.0"

    def publish(self, name: str, content: str) -> str:
        """Put an image with one small file into the registry under its tag; return its id."""
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as archive:
            entry = tarfile.TarInfo("content")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content.encode()))
        repository, _, tag = self.reference(name).rpartition(":")
        self.engine.api.import_image_from_data(layer.getvalue(), repository=repository, tag=tag)
        identifier = self.id(name)
        self.engine.images.push(repository, tag=tag)
        self.forget(name)
        return identifier

    def forget(self, *names: str) -> None:
        """Remove images from the engine, not from the registry."""
        for image in self.engine.images.list(filters={"reference": f"{self.address}/acme/*"}):
            if not names or self.reference(names[0]) in image.tags or not image.tags:
                self.engine.images.remove(image.id, force=True)

    def id(self, name: str) -> str:
        """Return what the engine holds under the tag."""
        return str(self.engine.images.get(self.reference(name)).id)

    def usable(self) -> bool:
        """Return whether `up` would find every image."""
        settings = self.context.settings({"LANGFUSE_INIT_USER_PASSWORD": "test-password"})
        return find_images(self.context.compose(settings)).usable


@pytest.fixture
def images(stack: Stack, engine: docker.DockerClient, tmp_path: Path) -> Iterator[Images]:
    """Two images in a registry, none of them in the engine."""
    shutil.copy(COMPOSE, tmp_path)
    with registry() as address:
        environment = {**stack.context.environment, "COMPOSE_FILE": "compose.yaml", "REGISTRY": address}
        layout = Layout(tmp_path, tmp_path / ".env", tmp_path / "stack")
        context = Context(layout, environment, Console(), SubprocessRunner(tmp_path))
        made = Images(engine, address, context)
        for name in NAMES:
            made.publish(name, f"{name} of the first day")
        yield made
        made.forget()


def test_a_locked_image_stays_what_it_is_when_its_tag_moves(images: Images) -> None:
    """And without a lock the new one comes."""
    assert commands.lock(images.context, dry_run=False) == 0
    locked = yaml.safe_load(images.context.layout.images_lock.read_text())["images"]
    assert set(locked) == {images.reference(name) for name in NAMES}
    before = locked[images.reference("first")]
    assert before["id"] == images.id("first")

    images.forget()
    moved = images.publish("first", "something else")
    assert commands.pull(images.context) == 0
    pinned = images.engine.images.get(f"{images.reference('first')}@{before['digest']}")
    assert pinned.id == before["id"] != moved

    images.forget()
    images.context.layout.images_lock.unlink()
    assert commands.pull(images.context) == 0
    assert images.id("first") == moved


def test_lock_shows_what_has_changed_and_a_second_run_changes_nothing(
    images: Images, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a dry run shows is not written."""
    context = replace(images.context, console=Console())
    commands.lock(context, dry_run=True)
    assert f"+ {images.reference('first')}  sha256:" in capsys.readouterr().out
    assert not context.layout.images_lock.exists()
    commands.lock(context, dry_run=False)
    images.publish("second", "a later day")
    context = replace(images.context, console=Console())
    capsys.readouterr()
    commands.lock(context, dry_run=False)
    assert f"~ {images.reference('second')}  sha256:" in capsys.readouterr().out
    commands.lock(replace(images.context, console=Console()), dry_run=False)
    assert "images.lock is up to date: 2 images." in capsys.readouterr().out


def test_a_file_brings_locked_images_to_an_engine_without_a_registry(images: Images, tmp_path: Path) -> None:
    """They have no digest there: their id is compared."""
    commands.lock(images.context, dry_run=False)
    saved = {name: images.id(name) for name in NAMES}
    archive = tmp_path / "images.tar"
    assert commands.save(images.context, archive) == 0

    images.forget()
    with pytest.raises(StackError, match="2 of 2 images are not here"):
        commands.save(images.context, tmp_path / "again.tar")
    assert commands.load(images.context, archive, dry_run=True) == 0
    with pytest.raises(docker.errors.ImageNotFound):
        images.id("first")
    assert commands.load(images.context, archive, dry_run=False) == 0
    assert {name: images.id(name) for name in NAMES} == saved
    assert images.usable()


class Blind(SubprocessRunner):
    """A client that reaches no registry, as behind a proxy that only the daemon has."""

    def run(self, argv: Sequence[str], **options: Any) -> Completed:
        if list(argv[:2]) == ["docker", "manifest"]:
            return Completed(1, "", "no such host")
        return super().run(argv, **options)


def test_a_registry_that_only_the_daemon_reaches_counts(images: Images, tmp_path: Path) -> None:
    """It begins to pull one image; what nobody reaches is told in the words of Docker."""
    images.forget()
    images.context = replace(images.context, runner=Blind(tmp_path))
    assert images.usable()
    images.forget()
    images.context = replace(
        images.context, environment={**images.context.environment, "REGISTRY": "127.0.0.1:1"}
    )
    assert not images.usable()


def test_of_an_external_store_the_client_is_pulled_locked_and_carried_and_nothing_else(
    images: Images, tmp_path: Path
) -> None:
    password = "obviously-fake"
    images.context.layout.env_file.write_text(
        f"DATABASE_URL=postgresql://acme:{password}@pg.acme.example/langfuse\n"
    )
    assert commands.lock(images.context, dry_run=False) == 0
    locked = yaml.safe_load(images.context.layout.images_lock.read_text())["images"]
    assert set(locked) == {images.reference("second")}
    images.forget()
    assert commands.pull(images.context) == 0
    archive = tmp_path / "images.tar"
    assert commands.save(images.context, archive) == 0
    assert set(verify(archive).images) == {images.reference("second")}
    with pytest.raises(docker.errors.ImageNotFound):
        images.id("first")


def test_a_damaged_file_loads_nothing(images: Images, tmp_path: Path) -> None:
    """One byte is enough."""
    commands.pull(images.context)
    archive = tmp_path / "images.tar"
    commands.save(images.context, archive)
    images.forget()
    content = archive.read_bytes()
    damaged = content.replace(b"first of the first day", b"first of the worst day")
    assert damaged != content
    archive.write_bytes(damaged)
    with pytest.raises(StackError, match=r"is damaged: 1 of \d+ files in it differ"):
        commands.load(images.context, archive, dry_run=False)
    with pytest.raises(docker.errors.ImageNotFound):
        images.id("first")


def test_a_file_is_not_overwritten(images: Images, tmp_path: Path) -> None:
    """It may be the only one."""
    commands.pull(images.context)
    (tmp_path / "images.tar").write_text("precious")
    with pytest.raises(UsageError, match="exists"):
        commands.save(images.context, tmp_path / "images.tar")
    assert (tmp_path / "images.tar").read_text() == "precious"


def test_without_an_answer_of_the_registry_nothing_is_locked(images: Images) -> None:
    """The last lines of docker name the address."""
    images.forget()
    nowhere = {**images.context.environment, "REGISTRY": "127.0.0.1:1"}
    with pytest.raises(CommandFailed) as caught:
        commands.lock(replace(images.context, environment=nowhere), dry_run=False)
    assert "127.0.0.1:1" in str(caught.value)
    assert not images.context.layout.images_lock.exists()
