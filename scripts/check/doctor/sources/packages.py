"""The Python packages of this environment against the lock file."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib import metadata

from scripts.check.doctor.facts import Facts, Surroundings

_PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)(?:\s*;\s*([^\\]+))?")


@dataclass(frozen=True, slots=True)
class Packages:
    """What is installed.

    Attributes:
        python: version of Python.
        sdk: version of the Langfuse SDK, or empty.
        differing: packages of the lock file that are missing or of another version; None without the file.
    """

    python: tuple[int, int, int]
    sdk: str
    differing: tuple[str, ...] | None


def gather_packages(surroundings: Surroundings, _facts: Facts) -> Packages:
    """Return what is installed."""
    lock = surroundings.context.layout.root / "requirements/runtime.lock"
    differing = tuple(differences(lock.read_text(encoding="utf-8"))) if lock.exists() else None
    return Packages(sys.version_info[:3], _installed("langfuse"), differing)


def differences(lock: str) -> list[str]:
    """Return what differs from the pins of a lock file, of those that apply to this system."""
    from packaging.markers import Marker

    found = []
    for line in lock.splitlines():
        match = _PIN.match(line)
        if not match or (match[3] and not Marker(match[3].strip()).evaluate()):
            continue
        name, wanted = match[1], match[2]
        installed = _installed(name)
        if installed != wanted:
            found.append(f"{name} {installed}, not {wanted}" if installed else f"{name} is missing")
    return found


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
