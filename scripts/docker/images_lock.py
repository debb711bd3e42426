"""images.lock: the digests that `make lock` resolved, and how compose is made to use them.

A tag can be moved to another image; a digest cannot. An image that came in a file (`make images-load`) has no
digest of a registry, so the lock also knows its content. Docker's id does not help: it is the digest of the
configuration in the classic image store and that of the manifest in containerd's, which Docker 29 uses.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts.core.errors import UsageError
from scripts.core.layout import Layout, write_private
from scripts.core.runner import Runner
from scripts.settings.envfile import read_env

from .client import Client

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_RUN_BY = (
    *("Env", "Entrypoint", "Cmd", "User", "WorkingDir", "ExposedPorts", "Volumes", "Labels", "StopSignal"),
    *("Healthcheck", "Shell"),
)
"""Fields of an image's configuration."""
_FIX = "make it anew on a host that reaches the registry: make lock"
_HEAD = """\
## What a registry answered for the images of compose.yaml, written by `make lock` and used by `make up` from
## then on. `content` recognises an image that came in a file. Keep this file under version control.
"""


@dataclass(frozen=True, slots=True)
class Locked:
    """What an image is: its digest in the registry, its id where it was locked, and its content.

    Attributes:
        content: see `content_of`; empty in a lock of an older version, where the id counts.
    """

    digest: str
    id: str
    content: str = ""

    def is_(self, image: LocalImage) -> bool:
        """Return whether an image here is this one."""
        return image.content == self.content if self.content else image.id == self.id


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image in the engine: its id, the digests by which its own registry knows it, and its content."""

    id: str
    digests: frozenset[str]
    platform: str
    content: str = ""


def inspect_image(runner: Runner, reference: str) -> LocalImage | None:
    """Return what the engine knows of an image, or None when it is not here."""
    done = Client(runner).run("image", "inspect", reference)
    if done.returncode != 0:
        return None
    row = json.loads(done.stdout)[0]
    repository = _familiar(reference.partition("@")[0].rpartition(":")[0])
    names = [name.rpartition("@") for name in row.get("RepoDigests") or ()]
    digests = frozenset(digest for name, _, digest in names if _familiar(name) == repository)
    platform = f"{row.get('Os', '')}/{row.get('Architecture', '')}"
    return LocalImage(row["Id"], digests, platform, content_of(row))


def content_of(image: Mapping[str, Any]) -> str:
    """Return a digest of what an image consists of: the same in both of Docker's image stores.

    Its layers as they are unpacked, its platform, and how it is run, from what `docker image inspect` prints.
    """
    config = image.get("Config") or {}
    parts = {
        "platform": [image.get("Os"), image.get("Architecture"), image.get("Variant") or ""],
        "layers": (image.get("RootFS") or {}).get("Layers") or [],
        # Versions of Docker write what is empty as null, as an empty list, or not at all.
        **{name: config.get(name) or None for name in _RUN_BY},
    }
    return f"sha256:{hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()}"


def _familiar(repository: str) -> str:
    """Return the name of a repository as Docker shortens it."""
    return repository.removeprefix("docker.io/").removeprefix("library/")


def read_lock(path: Path) -> dict[str, Locked]:
    """Return the locked images by reference; empty without a file. Raises UsageError for a damaged one."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"{path.name} cannot be read: {error}", fix=_FIX) from error
    images = document.get("images") if isinstance(document, dict) else None
    if not isinstance(images, dict):
        raise UsageError(f"{path.name} has no list `images`.", fix=_FIX)
    locked = {}
    for reference, entry in images.items():
        known = {"content": entry.get("id"), **entry} if isinstance(entry, dict) else {}
        values = [known.get(key) for key in ("digest", "id", "content")]
        if not all(isinstance(value, str) and _DIGEST.fullmatch(value) for value in values):
            raise UsageError(
                f"{path.name}: {reference} has no digest and id of the form sha256:...", fix=_FIX
            )
        content = str(values[2]) if "content" in entry else ""
        locked[str(reference)] = Locked(str(values[0]), str(values[1]), content)
    return locked


def lock_text(images: Mapping[str, Locked]) -> str:
    """Return the content of the file."""
    rows = {
        name: {key: value for key, value in asdict(one).items() if value}
        for name, one in sorted(images.items())
    }
    return _HEAD + yaml.safe_dump({"images": rows}, sort_keys=False, width=200)


def pin(reference: str, locked: Locked, here: LocalImage | None) -> str:
    """Return what compose has to use for a locked image: exactly that one, or the tag of one that is it."""
    return reference if here and locked.is_(here) else f"{reference}@{locked.digest}"


def pinned_environment(
    layout: Layout, runner: Runner, compose: list[str], environment: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of compose commands with which locked images are used.

    Without images.lock that is the given one. Else a compose file with the pins is written and added to them.

    Args:
        compose: the beginning of a compose command.

    Raises:
        UsageError: images.lock is damaged, or compose.yaml is not usable.
    """
    lock = read_lock(layout.images_lock)
    if not lock:
        return dict(environment)
    argv = [*compose, "config", "--format", "json"]
    done = runner.run(argv, env=environment)
    if done.returncode != 0:
        raise UsageError(f"compose.yaml is not usable: {done.stderr.strip()}", fix="correct compose.yaml.")
    services = json.loads(done.stdout)["services"]
    images = {name: service["image"] for name, service in services.items() if service["image"] in lock}
    pins = {
        name: {"image": pin(image, lock[image], inspect_image(runner, image))}
        for name, image in images.items()
    }
    path = layout.stack_dir / "images.compose.yaml"
    write_private(path, yaml.safe_dump({"services": pins}, width=200))
    files = [*compose_files(layout, environment), str(path)]
    return {**environment, "COMPOSE_FILE": os.pathsep.join(files), "COMPOSE_PATH_SEPARATOR": os.pathsep}


def compose_files_variables(layout: Layout, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that make compose use the files of a stack without reading its `.env`."""
    return {
        "COMPOSE_FILE": os.pathsep.join(compose_files(layout, environment)),
        "COMPOSE_PATH_SEPARATOR": os.pathsep,
    }


def compose_files(layout: Layout, environment: Mapping[str, str]) -> list[str]:
    """Return the files that compose would read by itself: those of COMPOSE_FILE, or the usual ones."""
    in_file = read_env(layout.env_file).values() if layout.env_file.exists() else {}
    chosen = environment.get("COMPOSE_FILE") or in_file.get("COMPOSE_FILE")
    if chosen:
        separator = environment.get("COMPOSE_PATH_SEPARATOR") or in_file.get("COMPOSE_PATH_SEPARATOR")
        return chosen.split(separator or os.pathsep)
    overrides = [
        name for name in ("compose.override.yaml", "compose.override.yml") if (layout.root / name).exists()
    ]
    return ["compose.yaml", *overrides[:1]]
