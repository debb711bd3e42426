"""Where the files of a stack are, by its settings: two of them say so before all others are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from scripts.core.layout import Layout, default_layout

from .envfile import read_env

CONFIG_DIR = "STACK_CONFIG_DIR"


def layout_of(root: Path, environment: Mapping[str, str]) -> Layout:
    """Return the layout of the repository at `root`."""
    layout = default_layout(root, environment)
    return with_site(layout, layout.env_file, environment)


def with_site(layout: Layout, env_file: Path, environment: Mapping[str, str]) -> Layout:
    """Return the layout with the site's configuration where the environment, or else that file, says."""
    named = environment.get(CONFIG_DIR, "")
    if not named:
        try:
            named = read_env(env_file).values().get(CONFIG_DIR, "")
        except (OSError, UnicodeError):  # who reads the settings says so
            named = ""
    return replace(layout, site=(layout.root / Path(named).expanduser()).resolve()) if named else layout
