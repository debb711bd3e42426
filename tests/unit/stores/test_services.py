"""Services that a restore starts are the same as those of `make up`: the same images, limits and mounts."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from scripts.core.runner import Completed
from scripts.data.backup.drivers.compose_exchange import start_stores
from scripts.docker.compose import Compose
from scripts.docker.images_lock import Locked, lock_text
from scripts.engines.compose import ComposeEngine
from tests.unit.scripts.fakes import FakeRunner, QuietProgress, layout_in, settings_with

DIGEST, ID = (f"sha256:{letter * 64}" for letter in "ab")
POSTGRES, WEB = "docker.io/library/postgres:17.12", "docker.io/langfuse/langfuse:4.59.0"
MODEL = {"services": {"postgres": {"image": POSTGRES}, "langfuse-web": {"image": WEB}}}
# What makes containers: see docker compose --help.
MAKING = {"up", "run", "create", "scale"}


@pytest.fixture
def runner() -> FakeRunner:
    """A Docker with one CPU, which has pulled the images by their digests only."""

    def inspect(argv: Sequence[str], _: Mapping[str, str] | None) -> Completed:
        return Completed(1)

    rules = {
        "config --format json": Completed(0, json.dumps(MODEL)),
        "image inspect": inspect,
        "docker info": Completed(0, "1 4000000000"),
    }
    return FakeRunner(dict(rules))


def environments(runner: FakeRunner) -> list[dict[str, object]]:
    """Return what the commands that make containers were given."""
    names = ("STACK_DIR", "COMPOSE_FILE", "CLICKHOUSE_CPUS", "WEB_CPUS", "WORKER_CPUS")
    found = []
    for argv, environment in zip(runner.calls, runner.environments, strict=True):
        if argv[:2] == ["docker", "compose"] and not MAKING.isdisjoint(argv):
            assert environment is not None
            found.append({name: environment.get(name) for name in names})
    return found


def test_a_store_starts_from_the_locked_image_with_the_limits_of_make_up(
    tmp_path: Path, runner: FakeRunner
) -> None:
    layout, settings = layout_in(tmp_path), settings_with(STACK_SIZE="ci")
    (tmp_path / "config" / "sizes").mkdir(parents=True)
    (tmp_path / "config" / "sizes" / "ci.env").write_text("CLICKHOUSE_CPUS=2\nWEB_CPUS=1\n")
    layout.images_lock.write_text(lock_text({POSTGRES: Locked(DIGEST, ID), WEB: Locked(DIGEST, ID)}))
    start_stores(Compose(layout, settings, {"PATH": "/bin"}, runner))
    started = environments(runner)
    ComposeEngine(layout, settings, {"PATH": "/bin"}, runner, QuietProgress()).start({})
    assert len(started) == 3  # the stores, the roles and the buckets
    assert [given for given in environments(runner) if given != started[0]] == []
    pins = str(started[0]["COMPOSE_FILE"]).split(os.pathsep)[-1]
    assert yaml.safe_load(Path(pins).read_text())["services"] == {
        "postgres": {"image": f"{POSTGRES}@{DIGEST}"},
        "langfuse-web": {"image": f"{WEB}@{DIGEST}"},
    }
    assert started[0]["CLICKHOUSE_CPUS"] == "1"
    assert started[0]["STACK_DIR"] == str(layout.stack_dir)
