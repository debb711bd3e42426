"""Which images a stack needs, by what stores it has: those that are pulled, locked, saved and bundled."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scripts.core.runner import SubprocessRunner
from scripts.docker.availability import read_images
from scripts.docker.compose import Compose
from scripts.settings.envfile import parse_env
from scripts.settings.table import SETTINGS
from scripts.settings.values import load_settings
from tests.unit.stores.test_external import EXTERNAL

from .conftest import LAYOUT, ROOT, _generated, without_compose

S3 = (
    "S3_ENDPOINT=https://s3.acme.example\nS3_PUBLIC_ENDPOINT=https://s3.acme.example\n"
    "S3_ACCESS_KEY_ID=obviously-fake-key-id\nS3_SECRET_ACCESS_KEY=obviously-fake-secret-key\n"
)
SERVER = {"langfuse", "langfuse-worker"}
DATABASES = {"postgres", "clickhouse-server", "valkey"}
BUNDLED = SERVER | DATABASES | {"seaweedfs"}


def needed(text: str) -> set[str]:
    """Return the names of the images of a stack with these settings, without registry and tag."""
    if reason := without_compose():
        pytest.skip(f"{reason}: compose.yaml cannot be read as Docker Compose reads it")
    given = parse_env(text).values()
    lines = [line for line in _generated().splitlines() if line.partition("=")[0] not in given]
    settings = load_settings(SETTINGS, parse_env("\n".join([*lines, text])), {})
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    images = read_images(Compose(LAYOUT, settings, environment, SubprocessRunner(Path(ROOT)))).all
    return {image.rpartition("/")[2].partition(":")[0] for image in images}


@pytest.mark.parametrize(
    ("external", "images"),
    [
        (EXTERNAL, SERVER | DATABASES | {"seaweedfs"}),
        (EXTERNAL + S3, SERVER | DATABASES),
        (EXTERNAL.splitlines()[1], BUNDLED),
    ],
    ids=["databases", "all", "PostgreSQL"],
)
def test_external_databases_need_their_clients_and_external_objects_need_nothing(
    external: str, images: set[str]
) -> None:
    assert needed(external) == images
