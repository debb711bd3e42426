"""Spans in, observations out: what is stored, replaced, paged, filtered, and deleted."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable

import httpx
import pytest
import zstandard

from .conftest import StartEngine
from .harness import RunningEngine
from .spans import ALL_GROUPS, OBSERVATIONS, TRACES, export, read, send, span, span_id, trace_id


def test_an_exported_trace_is_readable_when_the_export_is_answered(client: httpx.Client) -> None:
    trace, root = trace_id(), span_id()
    attributes = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.input": "Where is my parcel?",
        "langfuse.observation.output": '{"answer": "In Athens"}',
        "langfuse.observation.model.name": "gpt-4o",
        "langfuse.observation.usage_details": '{"input": 1000, "output": 100}',
        "user.id": "zeus",
        "session.id": "kosmos-1",
        "langfuse.trace.tags": ["support"],
    }
    send(
        client,
        span(trace, "agent", id=root, start=1_768_471_200_000, duration=1500),
        span(trace, "chat", parent=root, start=1_768_471_200_250, duration=750, attributes=attributes),
    )
    chat, agent = read(client, traceId=trace, fields=ALL_GROUPS)
    assert (agent["name"], agent["parentObservationId"], agent["isRootObservation"]) == ("agent", None, True)
    assert agent["startTime"] == "2026-01-15T10:00:00.000Z"
    assert (agent["latency"], agent["type"], agent["input"]) == (1.5, "SPAN", None)
    assert (chat["type"], chat["parentObservationId"], chat["latency"]) == ("GENERATION", root, 0.75)
    assert (chat["input"], chat["output"]) == ("Where is my parcel?", '{"answer": "In Athens"}')
    assert (chat["userId"], chat["sessionId"], chat["tags"]) == ("zeus", "kosmos-1", ["support"])
    assert chat["usageDetails"] == {"input": 1000, "output": 100, "total": 1100}
    assert chat["totalCost"] == pytest.approx(1000 * 2.5e-6 + 100 * 10e-6)
    assert (chat["inputPrice"], chat["outputPrice"]) == ("0.0000025", "0.00001")


def test_a_span_sent_again_replaces_the_earlier_one(client: httpx.Client) -> None:
    trace, one, other = trace_id(), span_id(), span_id()
    send(client, span(trace, "first", id=one), span(trace, "other", id=other))
    send(client, span(trace, "second", id=one, attributes={"langfuse.observation.output": "done"}))
    found = {item["id"]: item for item in read(client, traceId=trace, fields="basic,io")}
    assert {name: item["name"] for name, item in found.items()} == {one: "second", other: "other"}
    assert found[one]["output"] == "done"


def test_a_span_twice_in_one_export_is_stored_once_as_sent_last(client: httpx.Client) -> None:
    trace, one = trace_id(), span_id()
    send(client, span(trace, "first", id=one), span(trace, "second", id=one))
    assert [item["name"] for item in read(client, traceId=trace)] == ["second"]


def test_ids_that_are_not_hex_come_back_as_sent(client: httpx.Client) -> None:
    send(client, span("Trace-Ω", id="ABCDEF"), span("Trace-Ω", id="abc", parent="ABCDEF"))
    found = read(client, traceId="Trace-Ω")
    assert {(item["id"], item["parentObservationId"]) for item in found} == {
        ("ABCDEF", None),
        ("abc", "ABCDEF"),
    }


def test_gzip_and_plain_exports_give_the_same(client: httpx.Client) -> None:
    trace = trace_id()
    body = gzip.compress(json.dumps(export(span(trace, "packed"))).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert client.post(TRACES, content=body, headers=headers).status_code == 200
    assert [item["name"] for item in read(client, traceId=trace)] == ["packed"]


@pytest.mark.parametrize(
    ("name", "compress"), [("deflate", zlib.compress), ("zstd", zstandard.ZstdCompressor().compress)]
)
def test_other_compressions_are_refused_as_on_the_server(
    client: httpx.Client, name: str, compress: Callable[[bytes], bytes]
) -> None:
    trace = trace_id()
    body = compress(json.dumps(export(span(trace))).encode())
    headers = {"content-type": "application/json", "content-encoding": name}
    answer = client.post(TRACES, content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (400, {"error": "Failed to parse OTel JSON Trace"})
    assert read(client, traceId=trace) == []


def test_pages_hold_every_observation_once_newest_first(client: httpx.Client) -> None:
    trace = trace_id()
    # Many of one millisecond: the order among them must be the same on every page.
    send(client, *(span(trace, f"step {n}", start=1_768_471_200_000 + n // 10) for n in range(57)))
    found = read(client, traceId=trace, limit="10")
    assert len({item["id"] for item in found}) == len(found) == 57
    times = [item["startTime"] for item in found]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("start", [-62_135_596_801_000, -1, 253_402_300_800_000, 8_640_000_000_000_000])
def test_pages_go_on_behind_a_time_that_no_calendar_has(client: httpx.Client, start: int) -> None:
    trace = trace_id()
    send(client, *(span(trace, start=start, duration=0, name=f"s{number}") for number in range(3)))
    assert sorted(item["name"] for item in read(client, traceId=trace, limit="1")) == ["s0", "s1", "s2"]


def test_texts_that_no_store_likes_are_kept_and_spoil_nothing(client: httpx.Client) -> None:
    trace = trace_id()
    attributes = {
        "langfuse.observation.input": "lone \ud800 surrogate",
        "session.id": "nul \0 inside",
        "langfuse.observation.metadata.huge": str(10**40),
        "langfuse.observation.usage_details": json.dumps({"input": 10**30}),
        "langfuse.observation.type": "generation",
    }
    send(client, span(trace, "odd", attributes=attributes), span(trace, "plain"))
    found = {item["name"]: item for item in read(client, traceId=trace, fields=ALL_GROUPS)}
    assert set(found) == {"odd", "plain"}
    assert found["odd"]["input"] == "lone \N{REPLACEMENT CHARACTER} surrogate"
    assert found["odd"]["sessionId"] == "nul \0 inside"
    assert [item["id"] for item in read(client, sessionId="nul \0 inside")] == [found["odd"]["id"]]


def test_another_project_sees_and_replaces_nothing(client: httpx.Client, engine: RunningEngine) -> None:
    trace, one = trace_id(), span_id()
    send(client, span(trace, "ours", id=one))
    with engine.client_for(engine.provision("hermes")) as other:
        assert read(other, traceId=trace) == []
        send(other, span(trace, "theirs", id=one))
        assert [item["name"] for item in read(other, traceId=trace)] == ["theirs"]
        other.delete(f"/api/public/traces/{trace}").raise_for_status()
        assert read(other, traceId=trace) == []
    assert [item["name"] for item in read(client, traceId=trace)] == ["ours"]


def test_metadata_is_cut_unless_expanded_or_read_with_input(client: httpx.Client) -> None:
    trace = trace_id()
    send(client, span(trace, attributes={"langfuse.observation.metadata.note": "x" * 300}))

    def note(**query: str) -> int:
        return len(read(client, traceId=trace, **query)[0]["metadata"]["note"])

    assert note(fields="metadata") == 200
    assert note(fields="metadata", expandMetadata="note") == 300
    assert note(fields="metadata,io") == 300


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ({"type": "string", "column": "name", "operator": "starts with", "value": "look"}, 1),
        ({"type": "string", "column": "name", "operator": "ends with", "value": ""}, 2),
        ({"type": "number", "column": "latency", "operator": ">", "value": 0.015}, 1),
        ({"type": "stringObject", "column": "metadata", "key": "tier", "operator": "=", "value": "gold"}, 1),
        (
            {
                "type": "stringObject",
                "column": "metadata",
                "key": "tier",
                "operator": "matches",
                "value": "GOLD",
            },
            0,
        ),
        ({"type": "string", "column": "output", "operator": "matches", "value": "parcel 7"}, 1),
        ({"type": "string", "column": "output", "operator": "matches", "value": "parce"}, 0),
        ({"type": "null", "column": "parentObservationId", "operator": "is null", "value": ""}, 2),
        ({"type": "string", "column": "id", "operator": "contains", "value": ""}, 2),
    ],
)
def test_a_filter_finds_what_it_says(client: httpx.Client, condition: dict[str, object], count: int) -> None:
    trace = trace_id()
    found = {
        "langfuse.observation.output": "The parcel 7 is here",
        "langfuse.observation.metadata.tier": "gold",
    }
    send(client, span(trace, "lookup", duration=20, attributes=found), span(trace, "reply", duration=10))
    assert len(read(client, traceId=trace, filter=json.dumps([condition]))) == count


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"cursor": "e30="}, "Invalid request data"),
        ({"cursor": "e3"}, "Invalid cursor format"),
        ({"cursor": ""}, "Invalid cursor format"),
        ({"limit": "-1"}, "Invalid request data"),
        ({"parseIoAsJson": "1"}, "Invalid request data"),
        ({"filter": "[{"}, "Invalid JSON in filter parameter"),
        ({"limit": "1001"}, "Invalid request data"),
        (
            {"filter": '[{"type":"string","column":"nope","operator":"=","value":""}]'},
            "Column nope does not match a UI / CH table mapping.",
        ),
        (
            {"filter": '[{"type":"string","column":"name","operator":"matches","value":"x"}]'},
            "`matches` is only supported for input, output, and metadata filters.",
        ),
    ],
)
def test_a_query_that_cannot_be_served_is_refused(
    client: httpx.Client, query: dict[str, str], message: str
) -> None:
    answer = client.get(OBSERVATIONS, params=query)
    assert (answer.status_code, answer.json()["message"]) == (400, message)


@pytest.mark.parametrize(
    ("headers", "name", "version"),
    [
        ({"x-langfuse-sdk-name": "python", "x-langfuse-sdk-version": "4.18.0"}, "python", "4.18.0"),
        ({"x_langfuse_sdk_name": "javascript", "x_langfuse_sdk_version": "3.39.0"}, "javascript", "3.39.0"),
        ({"x-langfuse-sdk-name": "python"}, "python", "unknown"),
        ({"x-langfuse-sdk-name": "", "x-langfuse-sdk-version": ""}, "unknown", "unknown"),
        ({}, "unknown", "unknown"),
    ],
)
def test_observations_are_found_by_who_sent_them(
    client: httpx.Client, headers: dict[str, str], name: str, version: str
) -> None:
    trace = trace_id()
    assert client.post(TRACES, json=export(span(trace)), headers=headers).status_code == 200
    sent = client.get("/api/public/projects").request.headers["authorization"]
    public_key = base64.b64decode(sent.removeprefix("Basic ")).decode().split(":")[0]
    for column, value in (
        ("ingestionSdkName", name),
        ("SDK Name", name),
        ("ingestionSdkVersion", version),
        ("SDK Version", version),
        ("ingestionApiKey", public_key),
        ("API Key", public_key),
    ):
        for operator, count in (("any of", 1), ("none of", 0)):
            condition = {"type": "stringOptions", "column": column, "operator": operator, "value": [value]}
            of_trace = {"type": "string", "column": "traceId", "operator": "=", "value": trace}
            assert len(read(client, filter=json.dumps([of_trace, condition]))) == count, column


def test_a_deleted_trace_is_gone_and_others_stay(client: httpx.Client) -> None:
    gone, also_gone, kept = trace_id(), trace_id(), trace_id()
    for trace in (gone, also_gone, kept):
        send(client, span(trace), span(trace))
    answer = client.delete(f"/api/public/traces/{gone}")
    assert (answer.status_code, answer.json()) == (200, {"message": "Trace deleted successfully"})
    answer = client.request("DELETE", "/api/public/traces", json={"traceIds": [also_gone, "never-was"]})
    assert (answer.status_code, answer.json()) == (200, {"message": "Traces deleted successfully"})
    assert [len(read(client, traceId=trace)) for trace in (gone, also_gone, kept)] == [0, 0, 2]


def test_deleting_without_ids_is_refused(client: httpx.Client) -> None:
    answer = client.request("DELETE", "/api/public/traces", json={})
    assert answer.status_code == 400
    assert answer.json()["error"][0]["path"] == ["traceIds"]


def test_an_ingest_lag_hides_what_is_stored_already(start_engine: StartEngine) -> None:
    engine = start_engine(INGEST_LAG_MS="3600000")
    trace = trace_id()
    send(engine.client, span(trace))
    assert read(engine.client, traceId=trace) == []
    assert engine.stop() == 0
    again = start_engine(data_dir=engine.data_dir)
    assert len(read(again.client, traceId=trace)) == 1


def test_too_large_and_exploding_bodies_are_refused_and_the_engine_lives_on(
    start_engine: StartEngine,
) -> None:
    engine = start_engine(EMBEDDED_MAX_OTLP_BYTES="100000")
    headers = {"content-type": "application/x-protobuf"}
    # After a 413 the engine takes no request over the same connection, as the server.
    large = engine.client.post(TRACES, content=b"\0" * 100_001, headers={**headers, "connection": "close"})
    assert large.status_code == 413
    bomb = gzip.compress(b"\0" * 50_000_000)
    exploded = engine.client.post(TRACES, content=bomb, headers={**headers, "content-encoding": "gzip"})
    assert (exploded.status_code, exploded.json()) == (400, {"error": "Failed to decompress request body"})
    trace = trace_id()
    send(engine.client, span(trace))
    assert len(read(engine.client, traceId=trace)) == 1
