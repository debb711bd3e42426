"""A container gets a password that its store does not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.core.errors import EngineError
from tests.scenarios.stack import Stack

BROKEN = Path(__file__).parent / "compose.yaml"


def test_up_fails_and_shows_which_service_complains_about_which_variable(stack: Stack) -> None:
    """And it leaves nothing running that looks like a stack."""
    with pytest.raises(EngineError) as caught:
        stack.with_files(BROKEN).up()
    assert "langfuse-web" in str(caught.value)
    assert "REDIS_AUTH" in str(caught.value)
    assert set(stack.leftovers()) == {"volumes"}


def test_with_the_right_secret_the_same_stack_starts(stack: Stack) -> None:
    """The failed start has left data that the next one goes on with."""
    stack.up()
    assert stack.state().healthy
