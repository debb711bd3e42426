"""`make down`, `make up` again, then `make destroy`."""

from __future__ import annotations

from tests.scenarios.stack import Stack, export, new_id, wait_readable


def test_a_second_start_keeps_data_and_keys_and_destroy_leaves_nothing(stack: Stack) -> None:
    """What was written before is read after it, with the same key."""
    stack.up()
    keys = stack.keys()
    trace_id, span_ids = new_id(16), {new_id(8) for _ in range(5)}
    prompt = {"name": "rehearsed", "type": "text", "prompt": "Say {{what}}", "labels": ["production"]}
    with stack.client() as client:
        assert export(client, trace_id, sorted(span_ids)).status_code == 200
        assert wait_readable(client, trace_id, span_ids) == set()
        client.post("/api/public/v2/prompts", json=prompt).raise_for_status()

    stack.down()
    assert set(stack.leftovers()) == {"volumes"}
    assert not stack.state().running

    stack.up()
    assert stack.keys() == keys
    with stack.client() as client:
        assert wait_readable(client, trace_id, span_ids) == set()
        kept = client.get("/api/public/v2/prompts/rehearsed").raise_for_status().json()
    assert kept["prompt"] == prompt["prompt"]

    stack.destroy()
    assert stack.leftovers() == {}
