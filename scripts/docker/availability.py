"""Ask Docker what is there: an engine, Compose, images here or in a registry."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from scripts.core.errors import CommandFailed, StackError
from scripts.core.runner import Runner

from .client import Client
from .compose import ALL_PROFILES, Compose

ENGINE_TIMEOUT_S = 5.0
REGISTRY_TIMEOUT_S = 10.0
# What Docker says of a layer; the manifest that lists it has arrived then.
_DOWNLOADS = re.compile(r"Pulling fs layer|Downloading|Already exists|Waiting|Pull complete|Extracting")
# start_interval of health checks: https://docs.docker.com/engine/release-notes/25.0/
MINIMUM_ENGINE = (25, 0)
# Podman's Docker API lacks parts that compose.yaml needs, such as start_interval of health checks.
PODMAN_FIX = "install Docker (docs/how-to/install-on-a-host.md); the embedded engine needs neither"
# The name of a port; tests/unit/compose/compose_attributes.yaml has what this version knows.
MINIMUM_COMPOSE = (2, 25)


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether something can be used; `reason` says what was seen, `fix` what to do if it cannot.

    With `answers` an engine can be used, and only Compose cannot.
    """

    usable: bool
    reason: str
    fix: str = ""
    answers: bool = False


def find_engine(runner: Runner) -> Finding:
    """Return whether a Docker engine answers and Compose is installed."""
    client = Client(runner, timeout_s=ENGINE_TIMEOUT_S)
    try:
        engine = client.run("version", "--format", "{{.Server.Version}}")
        if engine.returncode != 0:
            return _without_answer(engine.stderr)
        compose = client.run("compose", "version", "--short")
    except StackError:
        return Finding(False, "Docker is not installed or does not answer", "install Docker, or start it")
    if compose.returncode != 0:
        return Finding(
            False,
            "Docker has no compose plugin",
            f"install Docker Compose {version_text(MINIMUM_COMPOSE)} or later",
            answers=True,
        )
    for name, said, minimum in (
        ("Docker", engine.stdout, MINIMUM_ENGINE),
        ("Docker Compose", compose.stdout, MINIMUM_COMPOSE),
    ):
        if (found := _version(said)) and found < minimum:
            if is_podman(runner):
                return Finding(False, "what answers as Docker is Podman", PODMAN_FIX)
            older = f"{name} {said.strip()} is older than {version_text(minimum)}"
            fix = f"update {name} to {version_text(minimum)} or later"
            return Finding(False, older, fix, answers=minimum is MINIMUM_COMPOSE)
    return Finding(True, f"Docker {engine.stdout.strip()} answers")


def _without_answer(said: str) -> Finding:
    """Return why the daemon could not be asked, by what the client says."""
    if "permission denied" in said.lower():
        fix = 'sudo usermod --append --groups docker "$USER", then log in again'
        return Finding(False, "this user may not use Docker", fix)
    return Finding(False, "no Docker engine answers", "start Docker")


def is_podman(runner: Runner) -> bool:
    """Return whether Podman answers, by its own `docker` program or behind Docker's."""
    client = Client(runner, timeout_s=ENGINE_TIMEOUT_S)
    said = client.run("version", "--format", "json").stdout
    return "podman" in f"{client.run('--version').stdout}{said}".lower()


def version_text(version: tuple[int, ...]) -> str:
    """Return a version as people write it."""
    return ".".join(map(str, version))


def _version(text: str) -> tuple[int, ...]:
    found = re.match(r"v?(\d+)\.(\d+)", text.strip())
    return tuple(map(int, found.groups())) if found else ()


def find_images(compose: Compose) -> Finding:
    """Return whether all images of the stack are here or can be pulled; registries get 10 s in all.

    First this machine asks the registries, which downloads nothing. What it cannot see the daemon may: it has
    mirrors, a proxy and a network of its own. So where an image is not found the daemon begins to pull it.
    """
    try:
        services = compose.model(pinned=True)["services"]
    except CommandFailed as error:
        return Finding(
            False, f"compose.yaml is not usable: {' '.join(error.details)}", "correct compose.yaml"
        )
    wanted = {one["image"]: name for name, one in sorted(services.items()) if not one.get("build")}
    here = compose.client
    absent = [image for image in sorted(wanted) if here.run("image", "inspect", image).returncode != 0]
    if not absent:
        return Finding(True, f"all {len(wanted)} images are here")
    deadline = time.monotonic() + REGISTRY_TIMEOUT_S
    unavailable = _not_in_registry(compose.client, absent, deadline - REGISTRY_TIMEOUT_S / 2)
    if not unavailable:
        return Finding(True, f"{len(absent)} of {len(wanted)} images can be pulled")
    first = next(iter(unavailable))
    left = max(1.0, deadline - time.monotonic())
    refusal = _refusal_of_daemon(compose, wanted[first], left)
    if not refusal:
        return Finding(True, f"{len(absent)} of {len(wanted)} images can be pulled by Docker's daemon")
    names = f"{', '.join(list(unavailable)[:2])}{', ...' if len(unavailable) > 2 else ''}"
    return Finding(
        False,
        f"{len(unavailable)} of {len(wanted)} images are neither here nor to be pulled ({names}); {refusal}",
        "give this machine access to a registry, or bring the images: make images-load FILE=",
    )


class _Answered(Exception):
    """The registry has given a manifest: what follows is the download."""


def _refusal_of_daemon(compose: Compose, service: str, timeout_s: float) -> str:
    """Let the daemon begin to pull an image; return an empty text when it can, else what was said."""

    def look(said: str) -> None:
        if _DOWNLOADS.search(said):
            raise _Answered

    argv = ("pull", "--policy", "missing", service)
    try:
        done = compose.watched(look, *argv, every_s=0.5, timeout_s=timeout_s)
    except _Answered:
        return ""
    except StackError:
        return f"the registry did not answer Docker within {REGISTRY_TIMEOUT_S:.0f} s"
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return (
        f"Docker says: {lines[-1].removeprefix('Error response from daemon: ')}" if lines else "Docker failed"
    )


@dataclass(frozen=True, slots=True)
class StackImages:
    """The images of a stack as it is configured, sorted.

    Attributes:
        pulled: those of registries.
        built: those that are made from this repository; no registry has them.
    """

    pulled: tuple[str, ...]
    built: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Both."""
        return (*self.pulled, *self.built)


def read_images(compose: Compose, *, every_profile: bool = False) -> StackImages:
    """Return which images the stack needs, by tag; those of what reaches its external stores are among them.

    Raises:
        CommandFailed: the compose file is not usable.
    """
    services = compose.model(ALL_PROFILES if every_profile else compose.with_clients())["services"].values()
    built = {service["image"] for service in services if service.get("build")}
    return StackImages(
        tuple(sorted({service["image"] for service in services} - built)), tuple(sorted(built))
    )


def _not_in_registry(client: Client, images: Sequence[str], deadline: float) -> list[str]:
    def missing(image: str) -> bool:
        left = deadline - time.monotonic()
        if left <= 0:
            return True
        try:
            return client.run("manifest", "inspect", image, timeout_s=left).returncode != 0
        except StackError:
            return True

    with ThreadPoolExecutor(max_workers=8) as pool:
        return [image for image, gone in zip(images, pool.map(missing, images), strict=True) if gone]
