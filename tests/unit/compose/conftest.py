"""The compose file as Docker Compose reads it; needs its command, no engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from scripts.core.layout import Layout
from scripts.docker.compose import compose_command, compose_environment
from scripts.settings.envfile import parse_env, plan_env_change
from scripts.settings.table import GROUPS, SETTINGS
from scripts.settings.values import load_settings

ROOT = Path(__file__).parents[3]
LAYOUT = Layout(root=ROOT, env_file=ROOT / "no-such.env", stack_dir=ROOT / "no-such")

Render = Callable[..., dict[str, Any]]


@cache
def without_compose() -> str:
    """Why `docker compose` cannot be used here, or an empty string."""
    if not shutil.which("docker"):
        return "docker is not installed"
    done = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False, text=True)
    return "" if done.returncode == 0 else "docker has no compose plugin"


@cache
def _generated() -> str:
    change = plan_env_change(GROUPS, None, {}, lambda: datetime.now(UTC))
    return change.text


def run_config(text: str, *arguments: str, without: str = "") -> subprocess.CompletedProcess[str]:
    """Run `docker compose config` on a fresh `.env` with `text` added to it, lacking just one variable.

    What is derived from the variable stays: Compose names one missing variable, not always the same one.
    """
    if reason := without_compose():
        pytest.skip(f"{reason}: compose.yaml cannot be read as Docker Compose reads it")
    settings = load_settings(SETTINGS, parse_env("\n".join([*_generated().splitlines(), text])), {})
    environment = compose_environment({"PATH": os.environ["PATH"], "HOME": "/nonexistent"}, settings)
    environment.pop(without, None)
    return subprocess.run(
        [*compose_command(LAYOUT, settings), "config", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@cache
def _parsed(text: str) -> dict[str, Any]:
    done = run_config(text, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "docker compose warns"
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


@pytest.fixture
def render() -> Render:
    """Return the parsed configuration of a stack with these settings; a copy that a test may change."""
    return lambda **settings: deepcopy(
        _parsed("".join(f"{name}={value}\n" for name, value in settings.items()))
    )
