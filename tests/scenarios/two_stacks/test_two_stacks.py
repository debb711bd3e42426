"""Two stacks on one host."""

from __future__ import annotations

from collections.abc import Callable

from tests.scenarios.stack import Stack, export, new_id, readable, wait_readable


def test_two_stacks_share_neither_keys_nor_data_nor_fate(make_stack: Callable[[], Stack]) -> None:
    """A key or a trace of one means nothing to the other, and one outlives the other."""
    first, second = make_stack(), make_stack()
    first.up()
    second.up()
    trace_id, span_ids = new_id(16), {new_id(8)}
    with first.client() as client:
        assert export(client, trace_id, sorted(span_ids)).status_code == 200
        assert wait_readable(client, trace_id, span_ids) == set()
    with second.client() as client:
        assert readable(client, trace_id) == set()
    with second.client(first.keys()) as stranger:
        assert stranger.get("/api/public/projects").status_code == 401

    first.destroy()
    assert first.leftovers() == {}
    assert second.state().healthy
