"""A start does not put an older store on data that a newer one has written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.core.runner import Completed
from scripts.docker.containers import container_of
from scripts.engines.compose_older import older_stores

from .compose_fakes import container, docker_shows, make_engine
from .fakes import FakeRunner

IMAGE = "docker.io/clickhouse/clickhouse-server"
DATA = "/var/lib/clickhouse"


def runs(tag: str, volume: str = "langfuse-stack_clickhouse") -> dict[str, Any]:
    row = container("clickhouse")
    row["Config"]["Image"] = f"{IMAGE}:{tag}"
    row["Mounts"] = [
        {"Type": "volume", "Name": volume, "Destination": DATA},
        {"Type": "bind", "Source": "/srv/config", "Destination": "/etc/clickhouse-server/config.d"},
    ]
    return row


def wants(image: str, volume: str = "clickhouse") -> dict[str, Any]:
    mounts = [{"type": "volume", "source": volume, "target": DATA}, {"type": "tmpfs", "target": "/run"}]
    names = {volume: {"name": f"langfuse-stack_{volume}"}}
    return {"services": {"clickhouse": {"image": image, "volumes": mounts}}, "volumes": names}


def test_an_older_clickhouse_on_the_same_volume_is_refused_with_the_line_that_keeps_the_newer_one() -> None:
    (found,) = older_stores([container_of(runs("26.4.4.38"))], wants(f"{IMAGE}:26.3.37.3"))
    assert found.reason.startswith("clickhouse ran as 26.4.4.38; compose.yaml makes it 26.3.37.3")
    assert f"`image: {IMAGE}:26.4.4.38` in compose.override.yaml" in found.fix


@pytest.mark.parametrize(
    ("ran", "model"),
    [
        ("26.3.37.3", wants(f"{IMAGE}:26.3.37.3@sha256:{'ab' * 32}")),
        ("26.3.37.3", wants(f"{IMAGE}:26.8.15.10")),
        ("26.4.4.38", wants(f"{IMAGE}:26.3.37.3", volume="clickhouse-26-3")),
        ("26.4.4.38", wants("registry.acme.example/clickhouse:26.3.37.3")),
        ("26.4.4.38", wants(f"{IMAGE}:latest")),
        ("26.4.4.38", {"services": {}}),
    ],
    ids=["the same", "newer", "a volume of its own", "another image", "no number", "not bundled any more"],
)
def test_nothing_else_is(ran: str, model: dict[str, Any]) -> None:
    assert older_stores([container_of(runs(ran))], model) == []


@pytest.mark.parametrize("state", ["running", "exited"])
def test_make_up_stops_before_it_changes_anything(tmp_path: Path, state: str) -> None:
    row = runs("26.4.4.38")
    row["State"]["Status"] = state
    answers = docker_shows(row)
    answers["config --format json"] = Completed(0, json.dumps(wants(f"{IMAGE}:26.3.37.3")))
    reasons = [one.reason for one in make_engine(tmp_path, FakeRunner(answers)).obstacles()]
    assert [one for one in reasons if one.startswith("clickhouse ran as 26.4.4.38")]
