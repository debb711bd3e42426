"""Stores that a start would make older than what has written their data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scripts.core.compatibility import numbers_of
from scripts.docker.containers import Container

from .base import Obstacle


def older_stores(containers: Sequence[Container], model: Mapping[str, Any]) -> list[Obstacle]:
    """Return the services that `docker compose config` gives an older image on the same volume. Pure."""
    return [
        Obstacle(
            f"{one.service} ran as {_tag(one.image)}; compose.yaml makes it {_tag(wanted)}, and an older "
            "version may not read the data.",
            f"keep `image: {one.image}` in compose.override.yaml; the way on is in docs/how-to/upgrade.md, "
            "ClickHouse and PostgreSQL (make down forgets what ran)",
        )
        for one in containers
        if (wanted := _image(model, one.service))
        and _name(one.image) == _name(wanted)
        and numbers_of(_tag(one.image)) > numbers_of(_tag(wanted)) > ()
        and set(one.volumes.items()) & _volumes(model, one.service)
    ]


def _image(model: Mapping[str, Any], service: str) -> str:
    return str(model.get("services", {}).get(service, {}).get("image", ""))


def _name(image: str) -> str:
    return image.partition("@")[0].rpartition(":")[0]


def _tag(image: str) -> str:
    return image.partition("@")[0].rpartition(":")[2]


def _volumes(model: Mapping[str, Any], service: str) -> set[tuple[str, str]]:
    """Return the directories of a service with the full names of the volumes there."""
    return {
        (mount["target"], model["volumes"][mount["source"]]["name"])
        for mount in model["services"][service].get("volumes", ())
        if mount.get("type") == "volume" and mount.get("source") in model.get("volumes", {})
    }
