"""No state of the files is one from which no command leads out: any order of mistakes is tried.

The histories are the same in each run, so that a failure can be repeated. LANGFUSE_HISTORIES=500 drives more
of them, LANGFUSE_HISTORIES_SEED=7 others. The mishaps one by one are slow: a start for each.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from .fakes import Screen
from .histories import MISHAPS, History, NoWayOut, history
from .test_commands import FakeContext, context_in

HISTORIES = int(os.environ.get("LANGFUSE_HISTORIES", "6"))
SEED = int(os.environ.get("LANGFUSE_HISTORIES_SEED", "20261130"))

STEPS = st.lists(
    st.lists(st.sampled_from(MISHAPS), min_size=1, max_size=3).map(tuple), min_size=1, max_size=4
)


@contextmanager
def fresh_context() -> Iterator[FakeContext]:
    with tempfile.TemporaryDirectory(prefix="langfuse-stack-history-") as name:
        yield context_in(Path(name), Screen())


@seed(SEED)
@settings(
    max_examples=HISTORIES,
    database=None,
    phases=[Phase.generate, Phase.shrink] if HISTORIES > 50 else [Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(steps=STEPS, has_copy=st.booleans())
def test_after_any_mishaps_up_works_or_names_what_leads_out(
    steps: list[tuple[str, ...]], has_copy: bool
) -> None:
    with fresh_context() as context, history(context, has_copy=has_copy) as one:
        for mishaps in steps:
            one.step(*mishaps)


@pytest.mark.slow
@pytest.mark.parametrize("mishap", MISHAPS)
def test_each_mishap_alone_is_got_over(mishap: str) -> None:
    with fresh_context() as context, history(context) as one:
        one.step(mishap)


def test_a_message_without_a_way_out_is_found() -> None:
    """The driver follows nothing but what is written."""
    with fresh_context() as context:
        one = History(context)
        with pytest.raises(NoWayOut, match="nothing to do"):
            one._follow("The key pk-lf-1 is refused.\nFix: choose a new public key in config/stack.yaml.")
