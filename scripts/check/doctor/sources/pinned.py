"""The table of images of this repository, and the day on which it is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from scripts.check.doctor.facts import Facts, Surroundings
from scripts.images.pinned import Pinned, read_pinned


@dataclass(frozen=True, slots=True)
class PinnedImages:
    """What `scripts/images/pinned.yaml` says of the images."""

    images: tuple[Pinned, ...]
    today: date


def gather_pinned_images(surroundings: Surroundings, _facts: Facts) -> PinnedImages:
    """Return the table."""
    return PinnedImages(read_pinned(), surroundings.now.date())
