"""Values of `.env` that Docker Compose could change: it reads them as the scripts do."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from scripts.settings.envfile import read_env, write_values
from tests.unit.scripts.test_env_file import HOSTILE

from .conftest import without_compose

FILE = "services: {one: {image: x, environment: {VALUE: '${SALT:?}'}}}\n"


@pytest.mark.parametrize("value", HOSTILE)
def test_docker_compose_reads_a_written_value_as_it_is(tmp_path: Path, value: str) -> None:
    if reason := without_compose():
        pytest.skip(f"{reason}: .env cannot be read as Docker Compose reads it")
    (tmp_path / "compose.yaml").write_text(FILE)
    write_values(tmp_path / ".env", {"SALT": value})
    done = subprocess.run(
        ["docker", "compose", "--project-name", "acme", "config", "--format", "json"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    shown = json.loads(done.stdout)["services"]["one"]["environment"]["VALUE"]
    # A dollar is shown as two, so that the output can be read once more.
    assert shown.replace("$$", "$") == value == read_env(tmp_path / ".env").values()["SALT"]
