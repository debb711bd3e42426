"""Say how a setting is given another value so that it holds for every later command."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping

from scripts.core.layout import Layout

from .envfile import read_env


def lasting_command(layout: Layout, environment: Mapping[str, str], name: str, value: str) -> str:
    """Return a shell command that sets `name` to `value` in `.env`, also where the shell sets it now.

    A value on the command line of one `make` would be gone with the next.
    """
    path = shlex.quote(layout.shown(layout.env_file))
    command = f"echo {shlex.quote(f'{name}={value}')} >> {path}"
    if name in read_env(layout.env_file).values():
        line = f"s|^[[:space:]]*(export[[:space:]]+)?{name}[[:space:]]*=.*|{name}={value}|"
        # BSD's sed takes the next argument as the ending of a copy.
        in_place = "-i ''" if sys.platform == "darwin" else "-i"
        command = f"sed -E {in_place} {shlex.quote(line)} {path}"
    return f"unset {name}; {command}" if environment.get(name) else command
