"""What a connected host resolved to `images.lock`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scripts.check.doctor.facts import Facts, Surroundings
from scripts.docker.images_lock import Locked, read_lock


@dataclass(frozen=True, slots=True)
class ImagesLock:
    """Image with its tag -> what it is; empty without a file."""

    images: Mapping[str, Locked]


def gather_images_lock(surroundings: Surroundings, _facts: Facts) -> ImagesLock:
    """Return what `images.lock` says. Raises UsageError for a damaged one."""
    return ImagesLock(read_lock(surroundings.context.layout.images_lock))
