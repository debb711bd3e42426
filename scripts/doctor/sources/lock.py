"""The digests that a connected host resolved to `images.lock`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from scripts.doctor.facts import Facts, Surroundings

_PINNED = re.compile(r"^\s*([^\s#@]+:[^\s@]+)[@\s=:]+\s*(sha256:[0-9a-f]{64})", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ImagesLock:
    """Image with its tag -> digest; empty without a file."""

    digests: Mapping[str, str]


def gather(surroundings: Surroundings, _facts: Facts) -> ImagesLock:
    """Return what `images.lock` says."""
    path = surroundings.context.layout.root / "images.lock"
    return ImagesLock(parse(path.read_text(encoding="utf-8")) if path.exists() else {})


def parse(text: str) -> dict[str, str]:
    """Return the image and digest of each line."""
    return {match[1]: match[2] for match in _PINNED.finditer(text)}
