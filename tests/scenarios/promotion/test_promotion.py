"""A stack that began on the embedded engine moves to the compose engine with its data and keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scripts.core.errors import EngineError, StackError, UsageError
from scripts.data.transfer import promote
from scripts.engines.base import EngineName
from tests.embedded.backups import everything, fill
from tests.embedded.test_transfer import comparable
from tests.scenarios.conftest import MakeStack
from tests.scenarios.stack import Stack

TRACES, SPANS = 40, 5


def on_embedded(stack: Stack) -> Stack:
    """Return the stack with no engine chosen but the one it remembers; it begins on the embedded one."""
    environment = {**stack.context.environment, "ENGINE": EngineName.EMBEDDED}
    return replace(stack, context=replace(stack.context, environment=environment))


def content(stack: Stack) -> Any:
    """Return what can be read, without what belongs to a moment or an engine."""
    with stack.client() as client:
        found = everything(client)
    # The secret of a connection cannot be read, and a score has another author.
    return comparable({name: found[name] for name in ("observations", "dataset-items")})


@pytest.fixture(scope="module")
def beginning(make_stack: MakeStack) -> Stack:
    """A stack on the embedded engine, with data."""
    stack = make_stack()
    embedded = on_embedded(stack)
    embedded.up()
    with embedded.client() as client:
        fill(client, traces=TRACES, spans=SPANS)
    return stack


def test_a_failure_leaves_the_embedded_engine_as_it_was(
    beginning: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(on_embedded(beginning))

    def fail(*_: object) -> None:
        raise EngineError("the images are gone")

    with monkeypatch.context() as patched:
        patched.setattr("scripts.data.transfer.promote.start_stack", fail)
        with pytest.raises(StackError, match="images are gone"):
            promote.promote(on_embedded(beginning).context, dry_run=False)
    assert content(on_embedded(beginning)) == before


def test_data_and_keys_are_the_same_on_the_other_engine(beginning: Stack) -> None:
    before, keys = content(on_embedded(beginning)), beginning.keys()
    assert promote.promote(on_embedded(beginning).context, dry_run=False) == 0
    try:
        assert beginning.state().healthy
        assert beginning.keys() == keys
        assert content(beginning) == before
        with pytest.raises(UsageError, match="nothing to promote"):
            promote.promote(beginning.context, dry_run=True)
    finally:
        on_embedded(beginning).destroy()
