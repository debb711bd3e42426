"""`make down`, then `make up` again; `make destroy` of what was never used again."""

from __future__ import annotations

from tests.scenarios.report import Report
from tests.scenarios.stack import Stack, export, new_id, wait_readable


def test_a_second_start_keeps_data_and_keys(shared: Stack, report: Report) -> None:
    """What was written before is read after it, with the same key."""
    keys = shared.keys()
    trace_id, span_ids = new_id(16), {new_id(8) for _ in range(5)}
    prompt = {"name": "rehearsed", "type": "text", "prompt": "Say {{what}}", "labels": ["production"]}
    with shared.client() as client:
        assert export(client, trace_id, sorted(span_ids)).status_code == 200
        assert wait_readable(client, trace_id, span_ids) == set()
        made = client.post("/api/public/v2/prompts", json=prompt).raise_for_status().json()

    shared.down()
    assert set(shared.leftovers()) == {"volumes"}
    assert not shared.state().running

    shared.up()
    assert shared.keys() == keys
    with shared.client() as client:
        lost = wait_readable(client, trace_id, span_ids)
        report.add("second_start_keeps_data", "down and up", acknowledged=len(span_ids), lost=len(lost))
        assert lost == set()
        kept = client.get("/api/public/v2/prompts/rehearsed").raise_for_status().json()
    assert (kept["prompt"], kept["version"], kept["createdAt"]) == (
        prompt["prompt"],
        made["version"],
        made["createdAt"],
    )
