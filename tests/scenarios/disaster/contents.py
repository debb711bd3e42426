"""What a stack in a checkout holds, as hashes; as a program for one in a network that the test is not in."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from scripts.core.console import Console
from scripts.core.context import Context
from scripts.core.layout import Layout
from scripts.core.runner import SubprocessRunner
from scripts.core.settings.envfile import read_env
from tests.scenarios.backup_restore.drill import content_hash
from tests.scenarios.stack import Stack


def stack_in(root: Path) -> Stack:
    """Return the stack of a checkout, as its `.env` describes it."""
    settings = read_env(root / ".env").values()
    layout = Layout(root, root / ".env", root / ".stack")
    environment = {"PATH": os.environ["PATH"], **settings}
    return Stack(
        settings["COMPOSE_PROJECT_NAME"], Context(layout, environment, Console(), SubprocessRunner(root))
    )


if __name__ == "__main__":
    print(json.dumps(content_hash(stack_in(Path(sys.argv[1])))))
