"""The load of the benchmarks: agent traces of five spans, as protobuf exports, and clients that send them.

Every span carries the attributes of the Langfuse SDK, of OpenInference and of the GenAI conventions at once,
as instrumented applications do: 3.4 KB a span, 170 KB an export of ten traces.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SPANS_PER_TRACE = 5
TRACES_PER_EXPORT = 10
SPANS_PER_EXPORT = SPANS_PER_TRACE * TRACES_PER_EXPORT
TRACES_PATH = "/api/public/otel/v1/traces"

_WORDS = (  # noqa: SIM905  as a list it would be forty lines
    "parcel order refund invoice customer agent shipment depot delayed delivered status number plan return "
    "policy section clause answer question evidence because within before after the a of to and is was will"
).split()
_MODELS = {"gpt-4o": (2.5e-6, 10e-6), "gpt-4o-mini": (0.15e-6, 0.6e-6), "gpt-4.1": (2e-6, 8e-6)}


@dataclass(frozen=True, slots=True)
class Export:
    """One request body and the traces in it."""

    body: bytes
    trace_ids: list[str]


def exports(spans: int, seed: int | str, traces_per_export: int = TRACES_PER_EXPORT) -> list[Export]:
    """Return exports that hold `spans` spans in all; equal seeds give equal texts and ids."""
    random = Random(seed)
    count = spans // (traces_per_export * SPANS_PER_TRACE)
    return [export(random, traces_per_export) for _ in range(count)]


def export(random: Random, traces: int) -> Export:
    """Return an export of whole traces that began within the last seconds."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    sdk = {
        "service.name": "kosmos",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
    }
    _put(resource.resource.attributes, sdk)
    scope = resource.scope_spans.add()
    scope.scope.name, scope.scope.version = "langfuse-sdk", "5.0.4"
    begin = time.time_ns() // 1_000_000 - 5_000
    trace_ids = [_trace(scope.spans, random, begin + number) for number in range(traces)]
    return Export(request.SerializeToString(), trace_ids)


def _trace(spans: Any, random: Random, begin: int) -> str:
    trace_id, root_id = random.randbytes(16), random.randbytes(8)
    duration = random.randrange(300, 3000)
    question, answer = _text(random, 300), _text(random, 500)
    common = {
        "langfuse.environment": "production",
        "langfuse.trace.name": "agent-run",
        "langfuse.trace.tags": ["support", "agent"],
        "user.id": f"user-{random.randrange(500)}",
        "session.id": f"session-{random.randrange(2000)}",
        "deployment.region": "eu",
    }
    for name, kind, offset, length, attributes in (
        ("agent-run", "agent", 0, duration + 400, _agent(question, answer)),
        ("retrieve-docs", "retriever", 10, 100, _retrieval(random, question)),
        ("chat", "generation", 200, duration, _generation(random, answer)),
        ("search-orders", "tool", duration + 210, 80, _tool(random)),
        ("feedback", "event", duration + 390, 0, _texts('{"thumb": "up"}', '{"ok": true}')),
    ):
        span = spans.add()
        span.trace_id = trace_id
        span.span_id = root_id if kind == "agent" else random.randbytes(8)
        span.parent_span_id = b"" if kind == "agent" else root_id
        span.name, span.kind = name, Span.SPAN_KIND_INTERNAL
        span.start_time_unix_nano = (begin + offset) * 1_000_000
        span.end_time_unix_nano = (begin + offset + length) * 1_000_000
        kinds = {"langfuse.observation.type": kind, "openinference.span.kind": kind.upper()}
        _put(span.attributes, {**kinds, **common, **attributes})
    return trace_id.hex()


def _agent(question: str, answer: str) -> dict[str, Any]:
    return {
        **_texts(json.dumps({"question": question}), json.dumps({"answer": answer})),
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "support",
        "langfuse.trace.metadata.tenant": "acme",
        "langfuse.release": "2026.11",
    }


def _retrieval(random: Random, question: str) -> dict[str, Any]:
    documents = [_text(random, 200) for _ in range(3)]
    found = {f"retrieval.documents.{number}.document.content": text for number, text in enumerate(documents)}
    scores = {f"retrieval.documents.{number}.document.score": 0.9 - number / 10 for number in range(3)}
    query = json.dumps({"query": question[:120], "k": 3})
    return {**_texts(query, json.dumps(documents)), "gen_ai.operation.name": "retrieval", **found, **scores}


def _generation(random: Random, answer: str) -> dict[str, Any]:
    model = random.choice(list(_MODELS))
    read, written = random.randrange(200, 400), random.randrange(80, 200)
    cost = {"input": read * _MODELS[model][0], "output": written * _MODELS[model][1]}
    messages = json.dumps(
        [
            {"role": "system", "content": _text(random, 400)},
            {"role": "user", "content": _text(random, 600)},
        ]
    )
    reply = {"role": "assistant", "content": answer}
    return {
        **_texts(messages, json.dumps(reply)),
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.system": "openai",
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.max_tokens": 512,
        "gen_ai.usage.input_tokens": read,
        "gen_ai.usage.output_tokens": written,
        "gen_ai.input.messages": messages,
        "gen_ai.output.messages": json.dumps([reply]),
        "langfuse.observation.model.name": model,
        "langfuse.observation.model.parameters": '{"temperature": 0.2, "max_tokens": 512}',
        "langfuse.observation.usage_details": json.dumps({"input": read, "output": written}),
        "langfuse.observation.cost_details": json.dumps({**cost, "total": sum(cost.values())}),
        "llm.model_name": model,
        "llm.provider": "openai",
        "llm.token_count.prompt": read,
        "llm.token_count.completion": written,
        "llm.token_count.total": read + written,
        "llm.cost.total": sum(cost.values()),
    }


def _tool(random: Random) -> dict[str, Any]:
    asked = json.dumps({"order_id": random.randrange(10**8)})
    return {
        **_texts(asked, json.dumps({"rows": _text(random, 180)})),
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search_orders",
        "tool.name": "search_orders",
    }


def _texts(given: str, made: str) -> dict[str, Any]:
    return {
        "langfuse.observation.input": given,
        "langfuse.observation.output": made,
        "input.value": given,
        "input.mime_type": "application/json",
        "output.value": made,
        "output.mime_type": "application/json",
        "mlflow.spanInputs": given,
        "mlflow.spanOutputs": made,
    }


def _text(random: Random, length: int) -> str:
    words: list[str] = []
    size = 0
    while size < length:
        word = random.choice(_WORDS)
        if random.randrange(12) == 0:
            word += str(random.randrange(10**6))
        words.append(word)
        size += len(word) + 1
    return " ".join(words)[:length]


def _put(attributes: Any, values: dict[str, Any]) -> None:
    for key, value in values.items():
        attribute = attributes.add()
        attribute.key = key
        if isinstance(value, str):
            attribute.value.string_value = value
        elif isinstance(value, int):
            attribute.value.int_value = value
        elif isinstance(value, float):
            attribute.value.double_value = value
        else:
            for one in value:
                attribute.value.array_value.values.add().string_value = one


class Connection:
    """One keep-alive HTTP connection: the load must cost little beside the server."""

    def __init__(self, host: str, port: int, headers: dict[str, str]) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=60)
        self._headers = headers

    def call(
        self, method: str, path: str, body: bytes | None = None, content_type: str = "application/x-protobuf"
    ) -> tuple[int, bytes]:
        """Return status and body of an answer."""
        headers = {"content-type": content_type} if body is not None else {}
        self._connection.request(method, path, body, {**self._headers, **headers})
        response = self._connection.getresponse()
        return response.status, response.read()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@dataclass(slots=True)
class Sent:
    """What became of a load: acknowledged exports, seconds a request, and seconds in all."""

    acknowledged: list[Export] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)
    wall: float = 0.0


def send_all(
    connect: Callable[[], Connection],
    load: list[Export],
    connections: int,
    per_second: float | None = None,
    path: str = TRACES_PATH,
) -> Sent:
    """Send a load over several connections, each request after the answer to the one before.

    `per_second` spreads the exports over time; without it they go as fast as they are answered. A connection
    that breaks ends its thread: what was not answered is not acknowledged.
    """
    sent, lock = Sent(), threading.Lock()
    begin = time.perf_counter()
    queue = _paced(load, begin, per_second)

    def work() -> None:
        connection = connect()
        try:
            while True:
                with lock:
                    one = next(queue, None)
                if one is None:
                    return
                start = time.perf_counter()
                status, _ = connection.call("POST", path, one.body)
                with lock:
                    sent.seconds.append(time.perf_counter() - start)
                    if status in (200, 202):
                        sent.acknowledged.append(one)
                    else:
                        sent.refused[status] = sent.refused.get(status, 0) + 1
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent.wall = time.perf_counter() - begin
    return sent


def _paced(load: list[Export], begin: float, per_second: float | None) -> Iterator[Export]:
    for number, one in enumerate(load):
        if per_second is not None:
            time.sleep(max(0.0, begin + number / per_second - time.perf_counter()))
        yield one
