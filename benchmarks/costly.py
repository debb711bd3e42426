"""Requests that cost a server much and their sender little: what a neighbour must not notice.

Shared by the property test, by the soak (`python -m benchmarks.soak`), and open to any base URL.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TRACES = "/api/public/otel/v1/traces"
_TRAPS = ("^(a|a)+$", "^(a+)+$", "^(a|aa)+$", "(x+x+)+y", "^(.*a){12}$", "^([a-z]+)*[0-9]$", "(?:a*)*b")


@dataclass(frozen=True, slots=True)
class Costly:
    """One such request. `send` uses a client of the project that does harm, and returns the last answer."""

    name: str
    send: Callable[[httpx.Client], httpx.Response]


def costly_requests(seed: int = 0) -> Iterator[Costly]:
    """Yield each kind once, with random details: other traps, other sizes, other places."""
    choose = random.Random(seed)
    trap = choose.choice(_TRAPS)
    caught = choose.choice("ax") * choose.randint(40, 90) + "!"
    name = f"costly-{seed}-{choose.getrandbits(32):x}"
    yield Costly(
        "schema pattern", lambda http: _item(http, name, {"type": "string", "pattern": trap}, caught)
    )
    count = choose.randint(3_000, 6_000)
    yield Costly(
        "schema unique items",
        lambda http: _item(
            http,
            f"{name}-unique",
            {"type": "array", "items": {}, "uniqueItems": True},
            [{"a": number} for number in range(count)],
        ),
    )
    for where in ("matchPattern", "usageDetailPattern"):
        yield Costly(
            f"{where} trap", lambda http, where=where: _model(http, f"{name}-{where}", where, trap, caught)
        )
    yield Costly("many traps", lambda http: _traps(http, f"{name}-t", choose.randint(40, 60)))
    long = "(?:a{1,1000}){1,1000}" * choose.randint(50, 80)
    yield Costly(
        "pattern to compile", lambda http: http.post("/api/public/models", json=model(f"{name}-c", long))
    )
    yield Costly("prompts in prompts", lambda http: _prompts(http, f"{name}-p", choose.randint(20, 40)))
    spans = choose.choice((8_000, 30_000, 49_000, 400_000))
    yield Costly(f"{spans} spans in few bytes", lambda http: _export(http, many_spans(spans)))
    yield Costly("many empty spans", lambda http: _export(http, gzip.compress(b"\n\x02\x12\x00" * 200_000)))
    yield Costly(
        "attributes that each span repeats", lambda http: _export(http, repeated(choose.randint(200, 900)))
    )
    zeros = gzip.compress(b"\0" * choose.randint(30, 200) * 2**20, 1)
    yield Costly("gzip of zeros", lambda http: _export(http, zeros))
    yield Costly(
        "JSON of brackets", lambda http: _json(http, b'{"resourceSpans":[' + b"{}," * 900_000 + b"{}]}")
    )
    yield Costly("legacy batch", lambda http: http.post("/api/public/ingestion", json=_batch(6_000)))
    yield Costly("histogram", lambda http: _metrics(http, "histogram", "minute"))
    yield Costly("large items", lambda http: _items(http, f"{name}-l", choose.randint(4, 6)))
    yield Costly("large trace", lambda http: _large_trace(http, choose.randint(20, 30)))
    yield Costly("many queries at once", lambda http: _queries(http, choose.randint(60, 90)))
    yield Costly("filter of many conditions", lambda http: _filter(http, choose.randint(200, 400)))


def model(name: str, pattern: str, usage_pattern: str = "") -> dict[str, Any]:
    """Return the body that creates a model."""
    prices = {"input": 1.0}
    tiers = [{"name": "a", "isDefault": True, "priority": 0, "conditions": [], "prices": prices}]
    if usage_pattern:
        condition = {"usageDetailPattern": usage_pattern, "operator": "gt", "value": 1}
        tiers.append(
            {"name": "b", "isDefault": False, "priority": 1, "conditions": [condition], "prices": prices}
        )
    return {"modelName": name, "matchPattern": pattern, "unit": "TOKENS", "pricingTiers": tiers}


def many_spans(count: int) -> bytes:
    """Return an export of so many spans, a few bytes each."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(count):
        scope.spans.add(
            trace_id=(number % 1000 + 1).to_bytes(16, "big"),
            span_id=(number + 1).to_bytes(8, "big"),
            name="x",
        )
    return gzip.compress(request.SerializeToString(), 1)


def repeated(kilobytes: int) -> bytes:
    """Return an export whose resource has an attribute of that size, and 2,000 spans."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    attribute = resource.resource.attributes.add(key="a")
    attribute.value.string_value = "x" * kilobytes * 1024
    scope = resource.scope_spans.add()
    for number in range(2_000):
        scope.spans.add(trace_id=b"\1" * 16, span_id=(number + 1).to_bytes(8, "big"), name="x")
    return gzip.compress(request.SerializeToString(), 1)


def _export(http: httpx.Client, body: bytes) -> httpx.Response:
    headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
    return http.post(TRACES, content=body, headers=headers)


def _json(http: httpx.Client, body: bytes) -> httpx.Response:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    return http.post(TRACES, content=gzip.compress(body, 1), headers=headers)


def _item(http: httpx.Client, name: str, schema: dict[str, Any], value: Any) -> httpx.Response:
    whole = {"type": "object", "properties": {"a": schema}}
    http.post("/api/public/v2/datasets", json={"name": name, "inputSchema": whole})
    return http.post("/api/public/dataset-items", json={"datasetName": name, "input": {"a": value}})


def _items(http: httpx.Client, name: str, count: int) -> httpx.Response:
    http.post("/api/public/v2/datasets", json={"name": name})
    # Whole numbers with a point: they are written anew one by one.
    value = [[number, 1.0, f"{number:06}"] for number in range(40_000)]
    for _ in range(count):
        http.post("/api/public/dataset-items", json={"datasetName": name, "input": value})
    return http.get("/api/public/dataset-items", params={"datasetName": name, "limit": "100"})


def _large_trace(http: httpx.Client, spans: int) -> httpx.Response:
    trace_id = "1a" * 16
    for number in range(spans):
        attributes = [{"key": "langfuse.observation.input", "value": {"stringValue": '"x\n' * 250_000}}]
        span = {"traceId": trace_id, "spanId": f"{number + 1:016x}", "name": "x", "attributes": attributes}
        _json(http, json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode())
    query = {"traceId": trace_id, "fields": "core,io", "limit": "100"}
    return http.get("/api/public/v2/observations", params=query)


def _queries(http: httpx.Client, count: int) -> httpx.Response:
    with ThreadPoolExecutor(count) as threads:
        asked = [threads.submit(_metrics, http, "histogram", "minute") for _ in range(count)]
    return asked[-1].result()


def _model(http: httpx.Client, name: str, where: str, trap: str, caught: str) -> httpx.Response:
    is_usage = where == "usageDetailPattern"
    body = model(name, f"^{name}$" if is_usage else trap, trap if is_usage else "")
    http.post("/api/public/models", json=body)
    return http.post(TRACES, json=_generation(name if is_usage else caught, caught))


def _traps(http: httpx.Client, name: str, count: int) -> httpx.Response:
    """Send one generation whose model has a tier for each of so many traps."""
    body = model(name, f"^{name}$", "^input$")
    for number in range(count):
        condition = {"usageDetailPattern": rf"^(?:(?:a|a)+)+$|{number}", "operator": "gt", "value": 1}
        tier = {"name": f"t{number}", "isDefault": False, "priority": number + 2, "conditions": [condition]}
        body["pricingTiers"].append({**tier, "prices": {"input": 1.0}})
    http.post("/api/public/models", json=body)
    return http.post(TRACES, json=_generation(name, "a" * 60 + "!"))


def _generation(model_name: str, kind: str) -> dict[str, Any]:
    attributes = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": model_name,
        "langfuse.observation.usage_details": json.dumps({kind: 5, "input": 1}),
    }
    span = {
        "traceId": "ab" * 16,
        "spanId": "cd" * 8,
        "name": "x",
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def _prompts(http: httpx.Client, name: str, width: int) -> httpx.Response:
    for level in range(5):
        below = f"@@@langfusePrompt:name={name}-{level - 1}|version=1@@@"
        text = "x" * 100_000 if level == 0 else below * width
        answer = http.post("/api/public/v2/prompts", json={"name": f"{name}-{level}", "prompt": text})
    return answer


def _batch(count: int) -> dict[str, Any]:
    score = {"traceId": "ab" * 16, "name": "quality", "value": 1, "dataType": "NUMERIC"}
    return {
        "batch": [
            {"id": f"e{number}", "type": "score-create", "timestamp": "2026-01-01T00:00:00Z", "body": score}
            for number in range(count)
        ]
    }


def _metrics(http: httpx.Client, aggregation: str, granularity: str) -> httpx.Response:
    query = {
        "view": "observations",
        "metrics": [{"measure": "latency", "aggregation": aggregation}],
        "dimensions": [{"field": "name"}],
        "timeDimension": {"granularity": granularity},
        "fromTimestamp": "1980-01-01T00:00:00Z",
        "toTimestamp": "2100-01-01T00:00:00Z",
    }
    return http.get("/api/public/v2/metrics", params={"query": json.dumps(query)})


def _filter(http: httpx.Client, count: int) -> httpx.Response:
    conditions = [
        {"column": "name", "type": "string", "operator": "does not contain", "value": f"n{number}"}
        for number in range(count)
    ]
    return http.get("/api/public/v2/observations", params={"filter": json.dumps(conditions)})
