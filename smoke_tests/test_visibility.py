"""How long until what was sent can be read: the times that the summary at the end of the run prints."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from smoke_tests.helpers.polling import DEADLINE_S
from smoke_tests.helpers.visibility import record

if TYPE_CHECKING:
    from collections.abc import Callable

    from langfuse import Langfuse

    from smoke_tests.helpers.server import Server

SPANS = 20
SCORES = 5


def test_spans_become_readable(
    langfuse: Langfuse, server: Server, record_property: Callable[[str, object], None]
) -> None:
    for number in range(SPANS):
        sent = langfuse.start_observation(name="visibility", input=number)
        sent.end()
        langfuse.flush()
        flushed = time.monotonic()
        (row,) = server.await_count(1, traceId=sent.trace_id)
        took = time.monotonic() - flushed
        record(record_property, "span", took)
        assert row["input"] == str(number)
        assert took < DEADLINE_S


@pytest.mark.usefixtures("needs_scores")
def test_scores_become_readable(
    langfuse: Langfuse, server: Server, record_property: Callable[[str, object], None]
) -> None:
    for number in range(SCORES):
        trace_id = langfuse.create_trace_id()
        langfuse.create_score(trace_id=trace_id, name="visibility", value=number, data_type="NUMERIC")
        langfuse.flush()
        flushed = time.monotonic()
        (score,) = server.await_scores(1, traceId=trace_id)
        took = time.monotonic() - flushed
        record(record_property, "score", took)
        assert score["value"] == number
        assert took < DEADLINE_S
