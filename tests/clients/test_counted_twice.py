"""What a real pair of instrumentations reports twice is what the doctor looks for."""

from __future__ import annotations

import httpx
import pytest

from scripts.check.doctor.sources.calls import Twice, reported_twice

from .conftest import RunApp


@pytest.mark.parametrize(
    ("app", "expected"),
    [("counted_twice", [("ChatOpenAI", "OpenAI-generation")]), ("langchain_app", []), ("openai_wrapper", [])],
)
def test_only_a_call_of_two_instrumentations_counts_twice(
    run_app: RunApp, client: httpx.Client, app: str, expected: list[tuple[str, str]]
) -> None:
    told = run_app(app)
    traces = [told[name] for name in ("trace_id", "chain", "agent") if name in told]
    rows = [
        row
        for trace in traces
        for row in client.get(
            "/api/public/v2/observations", params={"traceId": trace, "fields": "core,basic,usage"}
        ).json()["data"]
        if row["type"] in ("GENERATION", "EMBEDDING")
    ]
    assert rows
    assert list(reported_twice("acme", rows)) == [Twice("acme", traces[0], *pair) for pair in expected]
