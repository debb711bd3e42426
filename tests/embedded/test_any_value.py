"""Whatever routes accept, every read route and every page answers: no stored value can make a read fail."""

from __future__ import annotations

import json
import math
import secrets
from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from langfuse_embedded.http.access import Access
from langfuse_embedded.routes import all_operations, refused

from .harness import DEFAULT_KEYS, RunningEngine
from .viewer_client import EMAIL, PASSWORD, visitor

_PUBLIC = "/api/public"
_EDGES = (
    *(sign * (2**bits + more) for bits in (0, 31, 32, 53, 63, 64) for more in (-1, 0, 1) for sign in (1, -1)),
    *(0.1, 1.5, 1e-7, 1e18, 1e19, 1e21, 1e300, 1.7976931348623157e308, 5e-324, -1e308, 999_999.999999),
)
_numbers = st.one_of(st.sampled_from(_EDGES), st.integers(), st.floats(allow_nan=False, allow_infinity=False))
_texts = st.one_of(
    st.sampled_from(["", "a", "\x00", "\ud800", "\U0001f600", "%", "1e999", "NaN", "[", '{"a":1}', "0x10"]),
    st.text(max_size=20),
)
_values = st.recursive(
    st.one_of(st.none(), st.booleans(), _numbers, _texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_texts, inner, max_size=3)),
    max_leaves=8,
)
_MOMENT = 1_780_000_000_000_000_000
_moments = st.sampled_from([0, 1, 10**9, 2**53, 2**63 - 1, 2**63, 2**64 - 1, _MOMENT, _MOMENT - 1])
# What protobuf holds and JSON cannot spell, or reads as a tree of ten thousand levels.
_DOUBLES = (math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308)
_DEEP = ("[" * 10_000 + "]" * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000, "[" * 10_000)
_details = st.dictionaries(
    st.sampled_from(["input", "output", "total", "cache", "input_audio", "e\u0301"]), _numbers, max_size=4
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """An engine in `dual` mode, which has the most routes, with a login for its pages."""
    environment = {
        "LANGFUSE_MIGRATION_V4_WRITE_MODE": "dual",
        "LANGFUSE_INIT_USER_EMAIL": EMAIL,
        "LANGFUSE_INIT_USER_PASSWORD": PASSWORD,
    }
    engine = RunningEngine(tmp_path_factory.mktemp("any") / "data", environment).start()
    yield engine
    assert engine.stop() == 0, engine.log()


@pytest.fixture(scope="module")
def viewer(running: RunningEngine) -> Iterator[httpx.Client]:
    """Somebody who signed in."""
    with visitor(running.base_url) as client:
        yield client


def _send(client: httpx.Client, method: str, path: str, document: Any) -> httpx.Response:
    # ASCII, so that a lone surrogate can be spelled.
    answer = client.request(
        method,
        f"{_PUBLIC}/{path}",
        content=json.dumps(document).encode("ascii"),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code < 500, f"{method} {path} {document} became {answer.status_code} {answer.text}"
    return answer


def _attribute(key: str, value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"key": key, "value": {"boolValue": value}}
    if isinstance(value, int):
        return {"key": key, "value": {"intValue": value}}
    if isinstance(value, float):
        return {"key": key, "value": {"doubleValue": value}}
    return {"key": key, "value": {"stringValue": value if isinstance(value, str) else json.dumps(value)}}


def _write_span(client: httpx.Client, draw: Any, ids: dict[str, str]) -> None:
    span = {
        "traceId": ids["traceId"],
        "spanId": ids["observationId"],
        "name": draw(_texts),
        "startTimeUnixNano": str(draw(_moments)),
        "endTimeUnixNano": str(draw(_moments)),
        "attributes": [
            _attribute("langfuse.observation.type", "generation"),
            _attribute("langfuse.observation.model.name", ids["model"]),
            _attribute("langfuse.observation.usage_details", draw(_details)),
            _attribute("langfuse.observation.cost_details", draw(st.one_of(st.none(), _details))),
            _attribute("langfuse.observation.input", draw(_values)),
            _attribute("langfuse.observation.output", draw(_values)),
            _attribute("langfuse.observation.model.parameters", draw(_values)),
            _attribute("langfuse.observation.completion_start_time", draw(_values)),
            _attribute("langfuse.observation.metadata.some", draw(_values)),
            _attribute("langfuse.observation.prompt.version", draw(_numbers)),
            _attribute("langfuse.session.id", ids["sessionId"]),
            _attribute("langfuse.user.id", draw(_texts)),
            _attribute("langfuse.trace.tags", draw(_values)),
            _attribute("langfuse.trace.name", draw(_texts)),
            _attribute("langfuse.experiment.id", ids["experimentId"]),
            _attribute("langfuse.experiment.name", draw(_texts)),
            _attribute("langfuse.experiment.item.id", ids["experimentId"]),
            _attribute("langfuse.experiment.item.root_observation_id", ids["observationId"]),
            _attribute("langfuse.experiment.item.expected_output", draw(_values)),
            _attribute("langfuse.experiment.metadata", draw(_values)),
            _attribute(draw(_texts), draw(_values)),
        ],
    }
    _send(
        client,
        "POST",
        "otel/v1/traces",
        {"resourceSpans": [{"scopeSpans": [{"scope": {"name": draw(_texts)}, "spans": [span]}]}]},
    )


def _write_protobuf(client: httpx.Client, draw: Any, ids: dict[str, str]) -> None:
    """Send spans that are parents of themselves and of each other, with ids that another trace has too."""
    first, second = (bytes.fromhex(secrets.token_hex(8)) for _ in range(2))
    doubles = st.sampled_from(_DOUBLES)
    export = ExportTraceServiceRequest()
    resource = export.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.double_value = draw(doubles)
    spans = resource.scope_spans.add().spans
    trace, other = bytes.fromhex(ids["traceId"]), bytes.fromhex(secrets.token_hex(16))
    own = bytes.fromhex(ids["observationId"])
    for trace_id, span_id, parent in (
        (trace, first, first),
        (trace, second, own),
        (trace, own, second),
        (other, first, second),
        (other, second, first),
    ):
        span = spans.add(
            trace_id=trace_id, span_id=span_id, parent_span_id=parent, name=draw(st.sampled_from(["", "a"]))
        )
        span.start_time_unix_nano, span.end_time_unix_nano = draw(_moments), draw(_moments)
        for key in (
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.cost",
            "gen_ai.request.temperature",
            "langfuse.observation.metadata.double",
            "langfuse.observation.completion_start_time",
            "langfuse.observation.prompt.version",
            "ai.response.msToFirstChunk",
        ):
            span.attributes.add(key=key).value.double_value = draw(doubles)
        span.attributes.add(key="langfuse.observation.input").value.string_value = draw(
            st.sampled_from(_DEEP)
        )
        span.attributes.add(key="langfuse.observation.output").value.bytes_value = b"\x00\xff"
        nested = span.attributes.add(key="langfuse.observation.metadata.nested").value.kvlist_value.values
        nested.add(key="").value.array_value.values.add().double_value = draw(doubles)
        event = span.events.add(name="", time_unix_nano=draw(_moments))
        event.attributes.add(key="").value.double_value = draw(doubles)
    answer = client.post(
        f"{_PUBLIC}/otel/v1/traces",
        content=export.SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
    )
    assert answer.status_code == 200, answer.text


def _write_events(client: httpx.Client, draw: Any, ids: dict[str, str]) -> None:
    moment = "2026-01-15T10:00:00.000Z"
    trace = {"id": ids["traceId"], "name": draw(_texts), "input": draw(_values), "metadata": draw(_values)}
    trace |= {"sessionId": ids["sessionId"], "tags": draw(st.lists(_texts, max_size=2))}
    generation = {
        "id": f"g-{ids['observationId']}",
        "traceId": ids["traceId"],
        "startTime": moment,
        "endTime": draw(st.sampled_from([moment, "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59"])),
        "parentObservationId": draw(st.sampled_from([None, "", f"g-{ids['observationId']}", "none"])),
        "model": ids["model"],
        "input": draw(_values),
        "output": draw(_values),
        "metadata": draw(_values),
        "modelParameters": draw(st.dictionaries(_texts, _values, max_size=2)),
        "usage": draw(st.one_of(st.none(), _details)),
        "usageDetails": draw(st.one_of(st.none(), _details)),
        "costDetails": draw(st.one_of(st.none(), _details)),
    }
    score = {
        "id": draw(st.sampled_from([ids["scoreId"], secrets.token_hex(8)])),
        "traceId": ids["traceId"],
        "name": draw(_texts),
        "value": draw(st.one_of(_numbers, _texts)),
        "comment": draw(st.one_of(st.none(), _texts)),
        "metadata": draw(_values),
    }
    events = [("trace-create", trace), ("generation-create", generation), ("score-create", score)]
    batch = [
        {"id": secrets.token_hex(8), "type": kind, "timestamp": moment, "body": body} for kind, body in events
    ]
    _send(client, "POST", "ingestion", {"batch": batch})
    _send(client, "POST", "scores", score)


def _write_content(client: httpx.Client, draw: Any, ids: dict[str, str]) -> None:
    prices = draw(st.dictionaries(st.sampled_from(["input", "output", "total"]), _numbers, min_size=1))
    tier = {"name": "t", "isDefault": True, "priority": 0, "conditions": [], "prices": prices}
    model = {
        "modelName": ids["model"],
        "matchPattern": f"(?i)^{ids['model']}$",
        "unit": "TOKENS",
        "pricingTiers": [tier],
    }
    ids["id"] = _send(client, "POST", "models", model).json().get("id", "none")
    prompt = {
        "name": ids["promptName"],
        "prompt": draw(_texts),
        "config": draw(_values),
        "labels": ["production"],
    }
    _send(client, "POST", "v2/prompts", prompt)
    dataset = {"name": ids["datasetName"], "metadata": draw(_values), "description": draw(_texts)}
    _send(client, "POST", "v2/datasets", dataset)
    item = {"datasetName": ids["datasetName"], "id": ids["experimentId"]}
    item |= {"input": draw(_values), "expectedOutput": draw(_values), "metadata": draw(_values)}
    _send(client, "POST", "dataset-items", item)
    run = {"runName": ids["runName"], "datasetItemId": ids["experimentId"], "traceId": ids["traceId"]}
    _send(client, "POST", "dataset-run-items", run | {"metadata": draw(_values)})
    config = {"name": draw(_texts), "dataType": "NUMERIC", "minValue": draw(_numbers)}
    answer = _send(client, "POST", "score-configs", config)
    ids["configId"] = answer.json().get("id", "none")


def _write_comment(client: httpx.Client, draw: Any, ids: dict[str, str]) -> None:
    comment = {"objectType": "TRACE", "objectId": ids["traceId"], "content": draw(_texts)}
    answer = _send(client, "POST", "comments", comment | {"projectId": DEFAULT_KEYS.project_id})
    ids["commentId"] = answer.json().get("id", "none")


_VIEWS = {
    "observations": ("latency", "inputTokens", "outputTokens", "totalTokens", "outputTokensPerSecond",
                     "tokensPerSecond", "inputCost", "totalCost", "timeToFirstToken", "count"),
    "scores-numeric": ("value", "count"),
    "scores-categorical": ("count",),
    "traces": ("latency", "totalTokens", "totalCost", "observationsCount", "count"),
}  # fmt: skip
_AGGREGATIONS = ("sum", "avg", "count", "max", "min", "p50", "p99", "histogram")


def _queries() -> Iterator[tuple[str, dict[str, str]]]:
    for view, measures in _VIEWS.items():
        query = {
            "view": view,
            "metrics": [{"measure": one, "aggregation": how} for one in measures for how in _AGGREGATIONS],
            "fromTimestamp": "1970-01-01T00:00:00Z",
            "toTimestamp": "2300-01-01T00:00:00Z",
        }
        yield "metrics", {"query": json.dumps(query)}
        if view != "traces":
            yield "v2/metrics", {"query": json.dumps(query)}
    pairs = {"view": "observations", "dimensions": [{"field": "usageType"}]}
    pairs |= {"metrics": [{"measure": "usageByType", "aggregation": how} for how in ("sum", "avg", "max")]}
    pairs |= {"fromTimestamp": "1970-01-01T00:00:00Z", "toTimestamp": "2300-01-01T00:00:00Z"}
    yield "v2/metrics", {"query": json.dumps(pairs)}


_MORE = (
    "v2/observations?fields=core,basic,time,io,model,usage,prompt,metrics,trace_context,metadata&limit=1000",
    "v3/scores?fields=core,details,subject,annotation&limit=100",
    "experiments?fields=core,metadata,scores&fromStartTime=1970-01-01T00:00:00Z",
    "experiment-items?fields=core,io,metadata,scores&fromStartTime=1970-01-01T00:00:00Z",
    "dataset-run-items?datasetId=none&runName=run",
)


def _read_everything(client: httpx.Client, viewer: httpx.Client, ids: dict[str, str]) -> list[str]:
    """Return what failed: each read route, each metric, each page."""
    refusals = {operation.path for operation in refused.OPERATIONS}
    paths = [
        operation.path
        for operation in all_operations()
        if operation.method == "GET"
        and operation.access is not Access.ADMIN
        and operation.path not in refusals
        and operation.path.startswith(_PUBLIC)
    ]
    quoted = {name: quote(value, safe="") for name, value in ids.items()}
    fit = defaultdict(lambda: "none", quoted)
    fit |= dict.fromkeys(("mediaId", "userId"), "none")
    answers = [client.get(path.format_map(fit)) for path in paths]
    answers += [client.get(f"{_PUBLIC}/{path}") for path in _MORE]
    answers += [client.get(f"{_PUBLIC}/{path}", params=params) for path, params in _queries()]
    project = f"/project/{DEFAULT_KEYS.project_id}"
    pages = [
        "",
        "/traces",
        f"/traces/{ids['traceId']}",
        f"/traces/{ids['traceId']}?observation={ids['observationId']}",
        f"/traces/{ids['traceId']}/{ids['observationId']}/input",
        "/traces?text=a",
        "/observations",
        "/users",
        "/overview",
        "/annotation-queues",
        "/sessions",
        f"/sessions/{quoted['sessionId']}",
        "/scores",
        "/datasets",
        f"/datasets/{quoted['datasetName']}",
        f"/datasets/{quoted['datasetName']}/runs/{quoted['runName']}",
        "/experiments",
        f"/experiments/results?experiment={quoted['experimentId']}",
        "/prompts",
        f"/prompts/{quoted['promptName']}",
    ]
    shown = [viewer.get(f"{project}{page}") for page in pages]
    assert shown[1].status_code == 200, shown[1].text
    answers += shown
    return [
        f"{one.status_code} {one.request.url} {one.text[:200]}" for one in answers if one.status_code >= 500
    ]


@settings(
    max_examples=8,
    deadline=None,
    # What is stored stays, so that a smaller example would fail for the larger one's sake.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_whatever_is_accepted_every_read_answers(
    running: RunningEngine, viewer: httpx.Client, data: st.DataObject
) -> None:
    client = running.client
    ids = {name: secrets.token_hex(8) for name in ("observationId", "scoreId", "experimentId")}
    ids |= {"traceId": secrets.token_hex(16), "id": "none"}
    ids |= {name: f"{name} {secrets.token_hex(4)}" for name in ("sessionId", "datasetName", "runName")}
    ids |= {"promptName": f"p{secrets.token_hex(4)}", "model": f"m{secrets.token_hex(4)}"}
    _write_content(client, data.draw, ids)
    _write_span(client, data.draw, ids)
    _write_span(client, data.draw, {**ids, "observationId": secrets.token_hex(8)})
    _write_protobuf(client, data.draw, ids)
    _write_events(client, data.draw, ids)
    _write_comment(client, data.draw, ids)
    assert _read_everything(client, viewer, ids) == [], running.log()[-3000:]


def test_sums_beyond_64_bits_are_shown(running: RunningEngine, viewer: httpx.Client) -> None:
    # An unsigned -1 beside a small number, as clients with an overflow send them.
    trace_id = secrets.token_hex(16)
    events = [
        {
            "id": secrets.token_hex(8),
            "type": "generation-create",
            "timestamp": "2026-01-15T10:00:00Z",
            "body": {
                "id": secrets.token_hex(8),
                "traceId": trace_id,
                "sessionId": "s",
                "usageDetails": {"input": count, "total": count},
            },
        }
        for count in (2**53 - 1, 2**63 - 1, 2**64 - 1, 2**64 - 1, 5)
    ]
    taken = _send(running.client, "POST", "ingestion", {"batch": events}).json()
    assert taken["errors"] == []
    names = ("observationId", "scoreId", "experimentId", "sessionId", "datasetName", "runName", "promptName")
    ids = dict.fromkeys((*names, "id", "configId", "commentId"), "none") | {"traceId": trace_id}
    assert _read_everything(running.client, viewer, ids) == []
    query = {
        "view": "observations",
        "metrics": [{"measure": "totalTokens", "aggregation": "sum"}],
        "filters": [{"column": "traceId", "operator": "=", "value": trace_id, "type": "string"}],
        "fromTimestamp": "2026-01-01T00:00:00Z",
        "toTimestamp": "2026-02-01T00:00:00Z",
    }
    answer = running.client.get(f"{_PUBLIC}/v2/metrics", params={"query": json.dumps(query)})
    [row] = answer.json()["data"]
    assert float(row["sum_totalTokens"]) > 2**63
