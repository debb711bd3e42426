"""A stack of the old version, one for each module."""

from __future__ import annotations

import pytest

from tests.scenarios.conftest import MakeStack
from tests.scenarios.stack import Stack

from .drill import started


@pytest.fixture(scope="module")
def seeded(make_stack: MakeStack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Return a running stack of the old version with something of everything in it. Tests leave it so."""
    return started(make_stack(), tmp_path_factory.mktemp("backups"))
