"""Somebody has deleted the volume of one store."""

from __future__ import annotations

import docker
import pytest

from scripts.core.errors import EngineError
from tests.scenarios.report import Report
from tests.scenarios.stack import Stack


def test_up_names_the_missing_volume_and_makes_no_empty_one(
    shared: Stack, engine: docker.DockerClient, report: Report
) -> None:
    """With the volume back, it starts; Valkey's, as this stack goes on to be used."""
    shared.down()
    name = f"{shared.name}_valkey"
    try:
        engine.volumes.get(name).remove()
        report.add("volume_missing", "volume of valkey deleted")
        before = shared.leftovers()
        with pytest.raises(EngineError, match=f"Volume {name} is missing") as caught:
            shared.up()
        assert shared.leftovers() == before
        command = caught.value.fix.partition("docker volume create ")[2].rstrip(".")
        assert command.split()[-1] == name
    finally:
        labels = {"com.docker.compose.project": shared.name, "com.docker.compose.volume": "valkey"}
        engine.volumes.create(name, labels=labels)
        shared.up()
    assert shared.state().healthy
