"""Run a command in a process that is killed, as a machine that goes down or the OOM killer does it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from scripts.engines.context import Context

ROOT = Path(__file__).parents[1]
BACK_UP = "backup.backup(*contexts, dry_run=False)"
RESTORE = "restore.restore(*contexts, backup='latest', dry_run=False, replace_data=True, with_smoke=False)"
MOVE = "move_to(*contexts, Options(yes=True))"
MOVE_REPLACING = "move_to(*contexts, Options(yes=True, replace=True))"
_PROGRAM = """
import importlib, json, os, sys
from pathlib import Path
import psutil
from scripts.core.console import Console
from scripts.core.layout import Layout
from scripts.data.backup import backup, restore
from scripts.data.move.command import Options, move_to
from scripts.engines.context import Context

place, machine, given = json.load(sys.stdin)

def killed(*_, **__):
    for child in psutil.Process().children() if machine else ():
        child.kill()
    os._exit(9)

def named(place):
    module, _, name = place.partition(":")
    target, *path = importlib.import_module(module), *name.split(".")
    for part in path[:-1]:
        target = getattr(target, part)
    return target, path[-1]

setattr(*named(place), killed)
contexts = [
    Context(Layout(*(path and Path(path) for path in paths)), environment, Console(),
            getattr(*named(runner))(Path.cwd()))
    for paths, environment, runner in given
]
"""


def run_killed(command: str, place: str, *contexts: Context, machine: bool = False) -> None:
    """Run a command until it comes to `place`, where its process ends without cleaning up.

    Args:
        command: one of this module.
        place: a function, such as `scripts.stores.postgres:Postgres.dump`.
        machine: what it has started ends, too.
    """
    given = []
    for context in contexts:
        layout, runner = context.layout, type(context.runner)
        paths = [layout.root, layout.env_file, layout.stack_dir, layout.site]
        texts = [path and str(path) for path in paths]
        given.append((texts, dict(context.environment), f"{runner.__module__}:{runner.__name__}"))
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM + command],
        cwd=ROOT,
        input=json.dumps([place, machine, given]),
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 9, f"It did not come to {place}:\n{done.stdout}{done.stderr}"
