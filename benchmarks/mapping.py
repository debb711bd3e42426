"""How many spans a second one core decodes and maps.

    python -m benchmarks.mapping [--batches 40] [--rounds 20] [--profile]

Batches hold 50 spans of five kinds that carry the keys of Langfuse, OpenTelemetry GenAI, OpenInference and
MLflow at once, as a span does that several tools observe. CPU time is measured, and the best round counts:
a busy machine makes rounds slower, never faster.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import time
from collections.abc import Callable
from random import Random
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

from langfuse_embedded.otlp.decode import decode_protobuf
from langfuse_embedded.otlp.mapping import map_batch

SPANS_PER_TRACE = 5
TRACES_PER_BATCH = 10

_SYLLABLES = ["ka", "lo", "mi", "ner", "tas", "ul", "veb", "wor", "xi", "zan", "pel", "dru"]
_START_NS = 1_768_471_200_000_000_000
_MS = 1_000_000


def batch(rng: Random) -> bytes:
    """Return one encoded export request of 50 spans."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    _put(group.resource, {"service.name": "zeus", "telemetry.sdk.language": "python"})
    scope = group.scope_spans.add()
    scope.scope.name, scope.scope.version = "langfuse-sdk", "5.0.4"
    for _ in range(TRACES_PER_BATCH):
        _add_trace(scope, rng)
    return request.SerializeToString()


def _add_trace(scope: ScopeSpans, rng: Random) -> None:
    question, answer = _prose(rng, 350), _prose(rng, 600)
    passages = [_prose(rng, 200) for _ in range(3)]
    messages = [{"role": "system", "content": _prose(rng, 400)}, {"role": "user", "content": question}]
    reply = {"role": "assistant", "content": answer}
    model = rng.choice(["gpt-4o", "gpt-4o-mini", "claude-sonnet-4"])
    units = {"input": rng.randrange(100, 900), "output": rng.randrange(20, 300)}
    kinds: list[tuple[str, str, Any, Any, dict[str, Any]]] = [
        (
            "agent",
            "AGENT",
            {"question": question},
            {"answer": answer},
            {"langfuse.trace.metadata.tenant": "acme"},
        ),
        ("retriever", "RETRIEVER", {"query": question}, passages, _documents(passages)),
        ("generation", "LLM", messages, reply, _generation(model, units, messages, reply)),
        (
            "tool",
            "TOOL",
            {"order": rng.randrange(10**6)},
            {"state": "sent"},
            {"gen_ai.tool.name": "find_order"},
        ),
        ("event", "CHAIN", {"thumb": "up"}, None, {}),
    ]
    trace_id, root = rng.randbytes(16), rng.randbytes(8)
    for place, (kind, other_kind, given, answered, more) in enumerate(kinds):
        span = scope.spans.add()
        span.trace_id = trace_id
        span.span_id = rng.randbytes(8) if place else root
        span.parent_span_id = root if place else b""
        span.name = f"{kind} step"
        span.start_time_unix_nano = _START_NS + place * _MS
        span.end_time_unix_nano = _START_NS + (place + rng.randrange(10, 900)) * _MS
        shared = {
            "langfuse.observation.type": kind,
            "openinference.span.kind": other_kind,
            "langfuse.environment": "production",
            "user.id": f"user-{rng.randrange(500)}",
            "session.id": f"session-{rng.randrange(900)}",
            "langfuse.trace.name": "support",
            "langfuse.trace.tags": ["kosmos", "beta"],
            "langfuse.release": "2026.11",
        }
        _put(span, shared | _io(json.dumps(given), json.dumps(answered)) | more)


def _prose(rng: Random, length: int) -> str:
    words = ("".join(rng.choices(_SYLLABLES, k=rng.randrange(1, 4))) for _ in range(length // 4))
    return " ".join(words)[:length]


def _io(given: str, answered: str) -> dict[str, Any]:
    return {
        "langfuse.observation.input": given,
        "langfuse.observation.output": answered,
        "input.value": given,
        "input.mime_type": "application/json",
        "output.value": answered,
        "output.mime_type": "application/json",
        "mlflow.spanInputs": given,
        "mlflow.spanOutputs": answered,
    }


def _documents(passages: list[str]) -> dict[str, Any]:
    prefix = "retrieval.documents"
    texts = {f"{prefix}.{place}.document.content": text for place, text in enumerate(passages)}
    return texts | {f"{prefix}.{place}.document.score": 0.9 - place / 10 for place in range(len(passages))}


def _generation(model: str, units: dict[str, int], messages: Any, reply: Any) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.max_tokens": 512,
        "gen_ai.usage.input_tokens": units["input"],
        "gen_ai.usage.output_tokens": units["output"],
        "gen_ai.input.messages": json.dumps(messages),
        "gen_ai.output.messages": json.dumps([reply]),
        "langfuse.observation.model.name": model,
        "langfuse.observation.model.parameters": '{"temperature":0.2,"max_tokens":512}',
        "langfuse.observation.usage_details": json.dumps(units),
        "langfuse.observation.cost_details": '{"input":0.0005,"output":0.001,"total":0.0015}',
        "llm.model_name": model,
        "llm.token_count.prompt": units["input"],
        "llm.token_count.completion": units["output"],
        "llm.cost.total": 0.0015,
    }


def _put(holder: Any, attributes: dict[str, Any]) -> None:
    for key, value in attributes.items():
        entry = holder.attributes.add()
        entry.key = key
        if isinstance(value, list):
            for item in value:
                entry.value.array_value.values.add().string_value = item
        else:
            field = {str: "string_value", int: "int_value", float: "double_value"}[type(value)]
            setattr(entry.value, field, value)


def best_cpu_seconds(work: Callable[[], object], rounds: int) -> float:
    """Return the CPU seconds of the fastest of several rounds."""
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


def main() -> None:
    """Measure, and print one JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--profile", action="store_true", help="show where the time goes instead")
    arguments = parser.parse_args()
    bodies = [batch(Random(seed)) for seed in range(arguments.batches)]
    spans = len(bodies) * TRACES_PER_BATCH * SPANS_PER_TRACE

    def decode() -> None:
        for body in bodies:
            decode_protobuf(body)

    def decode_and_map() -> None:
        for body in bodies:
            map_batch(decode_protobuf(body), now_ms=0)

    if arguments.profile:
        with cProfile.Profile() as profile:
            decode_and_map()
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)
        return
    decoding = best_cpu_seconds(decode, arguments.rounds)
    both = best_cpu_seconds(decode_and_map, arguments.rounds)
    print(
        json.dumps(
            {
                "spans": spans,
                "bytes_per_span": sum(map(len, bodies)) // spans,
                "decode_us_per_span": round(decoding / spans * 1e6, 1),
                "decode_and_map_us_per_span": round(both / spans * 1e6, 1),
                "spans_per_second": round(spans / both),
            }
        )
    )


if __name__ == "__main__":
    main()
