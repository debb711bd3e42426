"""A stack of the old version, one for each module."""

from __future__ import annotations

import pytest

from tests.scenarios.backup_restore.drill import seed, with_repository
from tests.scenarios.conftest import MakeStack
from tests.scenarios.stack import Stack


@pytest.fixture(scope="module")
def seeded(make_stack: MakeStack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Return a running stack of the old version with something of everything in it. Tests leave it so."""
    stack = with_repository(make_stack(), tmp_path_factory.mktemp("backups") / "repository")
    stack.up()
    seed(stack, 100)
    return stack
