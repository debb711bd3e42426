"""Large answers are made beside the event loop, and say the same as small ones."""

from __future__ import annotations

import httpx
import pytest

from .harness import RunningEngine
from .spans import send, span, trace_id

SPANS = 30
# Together more than the event loop reads, alone less.
LENGTHS = (100, 100_000)
KEYS = ("langfuse.observation.input", "langfuse.observation.output")


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("at_once", [1, SPANS])
def test_a_trace_of_long_texts_is_read_as_it_was_sent(
    client: httpx.Client, length: int, at_once: int
) -> None:
    trace = trace_id()
    texts = [f"{number} {chr(97 + number % 26) * length}" for number in range(SPANS)]
    spans = [span(trace, attributes=dict.fromkeys(KEYS, text)) for text in texts]
    for begin in range(0, SPANS, at_once):
        send(client, *spans[begin : begin + at_once])
    query = {"traceId": trace, "fields": "core,io", "limit": 100}
    answer = client.get("/api/public/v2/observations", params=query)
    rows = answer.raise_for_status().json()["data"]
    assert sorted(row["input"] for row in rows) == sorted(texts)
    assert [row["output"] for row in rows] == [row["input"] for row in rows]
    again = client.get(
        "/api/public/v2/observations", params=query, headers={"if-none-match": answer.headers["etag"]}
    )
    assert again.status_code == 304


def test_a_page_of_large_items_is_the_items(engine: RunningEngine, client: httpx.Client) -> None:
    client.post("/api/public/v2/datasets", json={"name": "large"}).raise_for_status()
    written = {}
    for number in range(5):
        value = [number, "x" * 400_000, 1.0]
        made = client.post("/api/public/dataset-items", json={"datasetName": "large", "input": value})
        written[made.raise_for_status().json()["id"]] = value
    page = client.get("/api/public/dataset-items", params={"datasetName": "large", "limit": 3}).json()
    rest = client.get(
        "/api/public/dataset-items", params={"datasetName": "large", "limit": 3, "page": 2}
    ).json()
    assert page["meta"] == {"page": 1, "limit": 3, "totalItems": 5, "totalPages": 2}
    assert {one["id"]: one["input"] for one in [*page["data"], *rest["data"]]} == written
    # What was answered is there at once, for readers of another connection too.
    for item_id in list(written)[:2]:
        assert client.delete(f"/api/public/dataset-items/{item_id}").is_success
        left = client.get("/api/public/dataset-items", params={"datasetName": "large"}).json()["data"]
        assert item_id not in {one["id"] for one in left}
