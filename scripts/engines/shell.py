"""Take from the caller's environment what is meant for this stack, not for another Compose project."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scripts.core.layout import DEFAULT_STACK_DIR, Layout
from scripts.docker.identity import last_name
from scripts.settings.envfile import read_env

FILES = "COMPOSE_FILE"
SEPARATOR = "COMPOSE_PATH_SEPARATOR"
PROJECT = "COMPOSE_PROJECT_NAME"
# Make hands down what is in its command, and nothing of what was exported before:
# https://www.gnu.org/software/make/manual/html_node/Options_002fRecursion.html
MAKE = "MAKEFLAGS"
# Speed and looks; all else that Compose reads would change what is started or deleted.
_HARMLESS = frozenset({"COMPOSE_PARALLEL_LIMIT", "COMPOSE_HTTP_TIMEOUT"})


@dataclass(frozen=True, slots=True)
class OwnEnvironment:
    """The environment that commands see, and what was left out of it."""

    values: Mapping[str, str]
    warnings: tuple[str, ...]


def own_environment(layout: Layout, environment: Mapping[str, str]) -> OwnEnvironment:
    """Return the environment without what belongs to another project.

    - A list of compose files counts when it begins with this checkout's compose.yaml and adds files of this
      checkout to it. Others belong in compose.override.yaml, or into COMPOSE_FILE in `.env`.
    - A name counts where it is in the command, `make up COMPOSE_PROJECT_NAME=acme`, before the first
      start and where `.env` gives none: from then on the stack has it, whether a command names it or not.
      One that was exported may be another project's.
    - The name in `.env` is that of the stack in `.stack`. One beside it (`STACK_DIR`) may have another.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith("COMPOSE_") or name in _HARMLESS
    }
    warnings = []
    if files := environment.get(FILES):
        separator = environment.get(SEPARATOR) or os.pathsep
        if _adds_to_ours(layout.root, files.split(separator)):
            kept |= {FILES: files, SEPARATOR: separator}
        else:
            warnings.append(
                f"{FILES}={files} in the environment is not of this checkout and is not used; to add files, "
                "write compose.override.yaml."
            )
    in_file, ours = _names(layout)
    if ours:
        kept[PROJECT] = ours
    name = environment.get(PROJECT, "")
    if name and not ours and f"{PROJECT}={name}" in environment.get(MAKE, "").split():
        kept[PROJECT] = name
    elif name and not (ours or in_file):
        warnings.append(
            f"{PROJECT}={name} in the environment may be another project's and is not used; to call this "
            f"stack so: echo {PROJECT}={name} >> .env."
        )
    elif name and name != (ours or in_file):
        warnings.append(
            f"{PROJECT}={name} in the environment is not used: this stack is called {ours or in_file}."
        )
    return OwnEnvironment(kept, tuple(warnings))


def _names(layout: Layout) -> tuple[str, str]:
    """Return the name in `.env`, and that of the stack; empty for none or unreadable files."""
    in_file = last = ""
    with suppress(OSError):  # what needs them will say that they cannot be read
        in_file = read_env(layout.env_file).values().get(PROJECT, "")
    with suppress(OSError):
        last = last_name(layout)
    beside = layout.stack_dir.resolve() != (layout.root / DEFAULT_STACK_DIR).resolve()
    return in_file, last if beside else in_file or last


def _adds_to_ours(root: Path, files: list[str]) -> bool:
    paths = [(root / name).resolve() for name in files]
    inside = all(path.is_file() and path.is_relative_to(root.resolve()) for path in paths)
    return inside and len(paths) > 1 and paths[0] == (root / "compose.yaml").resolve()
