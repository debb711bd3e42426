"""The rows that the stand-in of the worker writes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from langfuse_embedded.otlp.batch import DecodeError
from rehearsal.langfuse.rows import event_rows, file_row, json_lines

TRACE, FIRST, SECOND = "0123456789abcdef0123456789abcdef", "0123456789abcdef", "fedcba9876543210"


def export(*span_ids: str) -> list[dict[str, Any]]:
    spans = [
        {
            "traceId": TRACE,
            "spanId": span_id,
            "name": f"span {span_id}",
            "startTimeUnixNano": "1767225600000000000",
            "endTimeUnixNano": "1767225601500000000",
            "attributes": [{"key": "user.id", "value": {"stringValue": "hermes"}}],
        }
        for span_id in span_ids
    ]
    service = {"key": "service.name", "value": {"stringValue": "olympus"}}
    return [
        {
            "resource": {"attributes": [service]},
            "scopeSpans": [{"scope": {"name": "rehearsal"}, "spans": spans}],
        }
    ]


def test_a_span_becomes_a_row_with_the_columns_of_langfuse() -> None:
    row, _ = event_rows("kosmos", "otel/kosmos/one.json", export(FIRST, SECOND))
    expected = {
        "project_id": "kosmos",
        "trace_id": TRACE,
        "span_id": FIRST,
        "name": f"span {FIRST}",
        "start_time": "2026-01-01 00:00:00.000000",
        "end_time": "2026-01-01 00:00:01.500000",
        "user_id": "hermes",
        "service_name": "olympus",
        "scope_name": "rehearsal",
        "blob_storage_file_path": "otel/kosmos/one.json",
    }
    assert {name: row[name] for name in expected} == expected


def test_each_row_carries_its_own_span_with_resource_and_scope() -> None:
    sent = export(FIRST, SECOND)
    sources = [json.loads(row["rehearsal_source"]) for row in event_rows("kosmos", "key", sent)]
    assert [one["scopeSpans"][0]["spans"][0]["spanId"] for one in sources] == [FIRST, SECOND]
    assert all(len(one["scopeSpans"][0]["spans"]) == 1 for one in sources)
    assert all(one["resource"] == sent[0]["resource"] for one in sources)


def test_an_object_with_a_span_that_has_no_id_is_refused() -> None:
    with pytest.raises(DecodeError):
        event_rows("kosmos", "key", [{"scopeSpans": [{"spans": [{"traceId": 7, "spanId": FIRST}]}]}])


def test_the_log_of_objects_leads_from_a_score_to_its_object() -> None:
    row = file_row("kosmos", "score", "s1", "langfuse-events", "kosmos/score/s1/e1.json")
    assert (row["entity_id"], row["event_id"], row["bucket_path"]) == ("s1", "e1", "kosmos/score/s1/e1.json")


def test_rows_are_written_a_line_each() -> None:
    assert json_lines([{"a": 1}, {"a": "zeus\n"}]) == '{"a": 1}\n{"a": "zeus\\n"}'
