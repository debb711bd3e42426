"""A stack with a backup, one for each module."""

from __future__ import annotations

import pytest

from tests.scenarios.conftest import MakeStack
from tests.scenarios.stack import Stack, export, new_id, readable
from tests.waiting import wait_for

from .drill import back_up, client, seed, with_repository


@pytest.fixture(scope="module")
def saved(make_stack: MakeStack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A running stack with a backup, and with a trace that came after it."""
    stack = with_repository(make_stack(), tmp_path_factory.mktemp("backups") / "repository")
    stack.up()
    seed(stack, 100)
    back_up(stack)
    trace = new_id(16)
    with client(stack, "kosmos") as api:
        assert export(api, trace, [new_id(8)]).status_code == 200
        wait_for(lambda: len(readable(api, trace)) == 1, "the trace after the backup")
    return stack
