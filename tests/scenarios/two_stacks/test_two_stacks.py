"""Two stacks on one host."""

from __future__ import annotations

from tests.scenarios.report import Report
from tests.scenarios.stack import Stack, export, new_id, readable, wait_readable


def test_two_stacks_share_neither_keys_nor_data_nor_fate(shared: Stack, stack: Stack, report: Report) -> None:
    """A key or a trace of one means nothing to the other, and one outlives the other."""
    stack.up()
    trace_id, span_ids = new_id(16), {new_id(8)}
    with shared.client() as client:
        assert export(client, trace_id, sorted(span_ids)).status_code == 200
        assert wait_readable(client, trace_id, span_ids) == set()
    with stack.client() as client:
        assert readable(client, trace_id) == set()
    with stack.client(shared.keys()) as stranger:
        assert stranger.get("/api/public/projects").status_code == 401

    stack.destroy()
    assert stack.leftovers() == {}
    assert shared.state().healthy
    with shared.client() as client:
        lost = span_ids - readable(client, trace_id)
    report.add("two_stacks", "the other one destroyed", acknowledged=len(span_ids), lost=len(lost))
    assert lost == set()
