"""Remove stacks that an interrupted rehearsal left in an engine: by the beginning of their names."""

from __future__ import annotations

from contextlib import closing
from typing import Any

LABEL = "com.docker.compose.project"


def remove_leftovers(run: str) -> list[str]:
    """Remove all that belongs to stacks whose names begin with `run`; return what that was."""
    import docker

    removed = []
    with closing(docker.from_env()) as engine:
        for container in engine.containers.list(all=True, filters={"label": LABEL}):
            if container.labels[LABEL].startswith(run):
                container.remove(force=True)
                removed.append(f"container {container.name}")
        networks: list[Any] = engine.networks.list(filters={"label": LABEL})
        for network in networks:
            if network.attrs["Labels"][LABEL].startswith(run):
                network.remove()
                removed.append(f"network {network.name}")
        volumes: list[Any] = engine.volumes.list(filters={"label": LABEL})
        for volume in volumes:
            if volume.attrs["Labels"][LABEL].startswith(run):
                volume.remove()
                removed.append(f"volume {volume.name}")
    return removed
