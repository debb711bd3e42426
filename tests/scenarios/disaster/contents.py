"""What a stack in a checkout holds, row by row; as a program for one in a network that the test is not in."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from scripts.core.console import Console
from scripts.core.layout import Layout
from scripts.core.runner import SubprocessRunner
from scripts.engines.context import Context
from scripts.settings.envfile import read_env
from tests.embedded.backups import everything
from tests.scenarios.backup_restore.drill import PROJECTS, client, comparable
from tests.scenarios.stack import Stack

# By the name that was seeded: a page has room for no more than a hundred.
SCORES = "v3/scores?fields=core,details,subject&name=helpful"


def stack_in(root: Path) -> Stack:
    """Return the stack of a checkout, as its `.env` describes it."""
    settings = read_env(root / ".env").values()
    layout = Layout(root, root / ".env", root / ".stack")
    environment = {"PATH": os.environ["PATH"], **settings}
    return Stack(
        settings["COMPOSE_PROJECT_NAME"], Context(layout, environment, Console(), SubprocessRunner(root))
    )


def contents(stack: Stack) -> dict[str, list[str]]:
    """Return a hash of each row that can be read, by project and kind."""
    found: dict[str, list[str]] = {}
    for project in PROJECTS:
        with client(stack, project) as api:
            kinds = {kind: rows for kind, rows in everything(api).items() if "scores" not in kind}
            kinds["scores"] = api.get(f"/api/public/{SCORES}").raise_for_status().json()
        for kind, rows in kinds.items():
            found[f"{project} {kind}"] = sorted(map(_hash, rows["data"] if isinstance(rows, dict) else rows))
    return found


def _hash(row: Any) -> str:
    return hashlib.sha256(json.dumps(comparable(row), sort_keys=True).encode()).hexdigest()


if __name__ == "__main__":
    print(json.dumps(contents(stack_in(Path(sys.argv[1])))))
