"""`pull`, `lock`, `images save` and `images load`: bring the images of the compose stack, and pin them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from scripts.core.console import WAITING
from scripts.core.errors import EXIT_OK, StackError, UsageError
from scripts.docker.availability import StackImages, find_engine, read_images
from scripts.docker.client import Client
from scripts.docker.compose import Compose
from scripts.docker.failure import pull_state
from scripts.docker.images_lock import (
    LocalImage,
    Locked,
    inspect_image,
    lock_text,
    pin,
    read_lock,
)
from scripts.engines.context import Context
from scripts.settings.envfile import plan_env_change
from scripts.settings.table import GROUPS

from .archive import COMPRESSED, compress, seal, verify

ARCHIVE_TIMEOUT_S = 1800


def pull(context: Context) -> int:
    """Bring every image of the stack: pulled, or built from this repository; locked ones by their digest."""
    compose = _compose(context)
    _pull(context, compose)
    _tag_locked(context, compose)
    _build(context, compose)
    context.console.print("All images are here.")
    return EXIT_OK


def lock(context: Context, *, dry_run: bool) -> int:
    """Pull every image by its tag, and write down what it is. Entries of other profiles stay."""
    compose = _compose(context)
    wanted, known = read_images(compose).pulled, read_images(compose, every_profile=True).pulled
    before = read_lock(context.layout.images_lock)
    _pull(context, compose, by_tag=True)
    after = {name: one for name, one in before.items() if name in known}
    after |= {reference: _resolved(context, reference) for reference in wanted}
    for line in changes(before, after):
        context.console.print(line)
    if after == before:
        context.console.print(f"images.lock is up to date: {len(after)} images.")
    elif not dry_run:
        context.layout.images_lock.write_text(lock_text(after), encoding="utf-8")
        context.console.print(
            f"Wrote images.lock: {len(after)} images. make up uses these digests from now on."
        )
    return EXIT_OK


def save(context: Context, file: Path) -> int:
    """Write every image of the stack into a file with checksums; compressed if its name ends with `.zst`."""
    compose = _compose(context)
    wanted = read_images(compose)
    here = _all_here(context, wanted)
    if file.exists():
        raise UsageError(f"{file} exists.", fix="choose another name, or delete it first.")
    partial = file.with_name(f".{file.name}.partial")
    packed = file.with_name(f".{file.name}.packed")
    try:
        with context.console.working(f"Writing {len(here)} images to {file}"):
            archive = str(partial.resolve())
            compose.client.text("save", "--output", archive, *here, timeout_s=ARCHIVE_TIMEOUT_S)
            platform = next(iter(here.values())).platform
            ids = {reference: image.id for reference, image in here.items()}
            contents = {reference: image.content for reference, image in here.items()}
            seal(partial, ids, platform, contents)
            if file.suffix == COMPRESSED:
                compress(partial, packed)
                packed.replace(file)
            else:
                partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
        packed.unlink(missing_ok=True)
    size = file.stat().st_size / 1e6
    context.console.print(f"Wrote {len(here)} images for {platform} to {file} ({size:.0f} MB).")
    context.console.print(f"There: make images-load FILE={file.name}")
    return EXIT_OK


def load(context: Context, file: Path, *, dry_run: bool) -> int:
    """Check the file, then put its images into the engine, and check what has arrived."""
    with context.console.working(f"Checking {file}"):
        manifest = verify(file)
    if dry_run:
        context.console.print(
            f"{file} is as it was saved: {len(manifest.images)} images, {manifest.platform}."
        )
        return EXIT_OK
    _require_engine(context)
    client = Client(context.runner, timeout_s=ARCHIVE_TIMEOUT_S)
    with context.console.working(f"Loading {len(manifest.images)} images"):
        client.text("load", "--quiet", "--input", str(file.resolve()))
    for reference, identifier in manifest.images.items():
        image = inspect_image(context.runner, reference)
        saved = Locked("", identifier, manifest.contents.get(reference, ""))
        if image is None or not saved.is_(image):
            raise StackError(
                f"{reference} is not what was saved after loading it.",
                fix=f"see what Docker holds: docker image inspect {reference}",
            )
    context.console.print(f"Loaded {len(manifest.images)} images, all as they were saved. Next: make up")
    return EXIT_OK


def changes(before: dict[str, Locked], after: dict[str, Locked]) -> list[str]:
    """Return a line for each image that is locked anew, otherwise, or no longer."""
    lines = []
    for reference in sorted(before.keys() | after.keys()):
        old, new = before.get(reference), after.get(reference)
        if old == new:
            continue
        if new is None:
            lines.append(f"- {reference}")
        else:
            was = f" (was {old.digest[:19]})" if old else ""
            lines.append(f"{'~' if old else '+'} {reference}  {new.digest[:19]}{was}")
    return lines


def _compose(context: Context) -> Compose:
    _require_engine(context)
    # Before the first start there are no secrets yet, and compose reads no file without them.
    change = plan_env_change(GROUPS, context.env_file(), context.environment, lambda: datetime.now(UTC))
    return context.compose(context.settings(change.generated))


def _require_engine(context: Context) -> None:
    engine = find_engine(context.runner)
    if not engine.usable:
        raise UsageError(f"Images need Docker, and {engine.reason}.", fix=f"{engine.fix}, then repeat.")


def _pull(context: Context, compose: Compose, *, by_tag: bool = False) -> None:
    with_clients = compose.with_clients()
    services = compose.checked("config", "--services", extra=with_clients).split()
    argv = ("pull", "--ignore-buildable", "--policy", "always" if by_tag else "missing")
    with context.console.steps("Pulling images") as show:
        done = compose.watched(
            lambda said: show({name: pull_state(name, said) or WAITING for name in services}),
            *argv,
            extra=with_clients,
            pinned=not by_tag,
        )
    fix = "see what the lines above say; a host without registry: make images-load FILE=..."
    compose.require(done, *argv, fix=fix)


def _tag_locked(context: Context, compose: Compose) -> None:
    """Give locked images their tag: Docker pulls by digest without one, and a file of images goes by tags."""
    locked = read_lock(context.layout.images_lock)
    for reference in read_images(compose).pulled:
        one = locked.get(reference)
        by_digest = one and pin(reference, one, inspect_image(context.runner, reference))
        if by_digest and by_digest != reference:
            compose.client.text("tag", by_digest, reference)


def _build(context: Context, compose: Compose) -> None:
    if not read_images(compose).built:
        return
    fix = "it needs a Python package index; or bring the image: make images-load FILE=..."
    with context.console.working("Building the image of the exporter"):
        compose.checked("build", fix=fix)


def _resolved(context: Context, reference: str) -> Locked:
    image = inspect_image(context.runner, reference)
    if image is None or not image.digests:
        raise StackError(
            f"{reference} has no digest of a registry here; it was built or loaded from a file.",
            fix="run make lock on a host that pulls it from the registry.",
        )
    # Several, when a list of platforms was published anew around the same image: each leads to this one.
    return Locked(min(image.digests), image.id, image.content)


def _all_here(context: Context, wanted: StackImages) -> dict[str, LocalImage]:
    found = {reference: inspect_image(context.runner, reference) for reference in wanted.all}
    missing: Sequence[str] = [reference for reference, image in found.items() if image is None]
    if missing:
        raise StackError(
            f"{len(missing)} of {len(found)} images are not here.",
            details=missing,
            fix="run make pull first.",
        )
    return {reference: image for reference, image in found.items() if image}
