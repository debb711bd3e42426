"""What was sent over OTLP reads back through `GET v2/observations` as a recorded server gave it."""

from __future__ import annotations

import base64
import codecs
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.accepted_differences import require_accepted

from .harness import RunningEngine

_SUITE = "otel_mapping_api"
_TRACES = "/api/public/otel/v1/traces"
_OBSERVATIONS = "/api/public/v2/observations"
_GROUPS = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"
_NOT_RECORDED = {"createdAt", "updatedAt", "projectId"}
# Ids of built-in models, tiers and prompts are generated; whether there is one is compared.
_GENERATED = {"internalModelId", "modelId", "usagePricingTierId", "promptId"}


def test_mapped_spans_read_back_as_recorded(client: httpx.Client, reference_dir: Path) -> None:
    lines = (reference_dir / "vectors" / "otel_mapping.jsonl").read_text("ascii").splitlines()
    cases = [case for case in map(json.loads, lines) if "api" in case["expected"]]
    prompt = {"name": "p-linked", "type": "text", "prompt": "text", "labels": ["production"]}
    assert client.post("/api/public/v2/prompts", json=prompt).status_code == 201
    differences = {}
    for case in cases:
        if found := list(_differences(client, case)):
            differences[case["name"]] = found
    assert len(cases) == 490
    require_accepted(_SUITE, differences)


def test_the_endpoint_answers_broken_transport_as_recorded(
    engine: RunningEngine, client: httpx.Client, reference_dir: Path
) -> None:
    lines = (reference_dir / "vectors" / "otel_mapping.jsonl").read_text("ascii").splitlines()
    cases = [case for case in map(json.loads, lines) if case["name"].startswith("transport/")]
    assert len(cases) == 18
    for case in cases:
        request, expected = case["request"], case["expected"]
        if "body_base64" in request:
            content = base64.b64decode(request["body_base64"])
        else:
            content = json.dumps(request["body"]).encode()
        if case["name"] == "transport/bom":
            content = codecs.BOM_UTF8 + content
        auth = engine.keys.auth if request["auth"] == "ok" else (engine.keys.public_key, "sk-lf-test-wrong")
        answer = client.request(
            request["method"], request["path"], content=content, headers=request["headers"], auth=auth
        )
        assert answer.status_code == expected["status"], case["name"]
        if "body" in expected:
            assert answer.json() == expected["body"], case["name"]
            assert answer.headers["content-type"] == expected["content_type"]


def _differences(client: httpx.Client, case: dict[str, Any]) -> Iterator[str]:
    for batch in case["request"]["batches"]:
        _send(client, batch)
    wanted = {item["id"]: item for item in case["expected"]["api"]}
    found = {}
    for trace_id in {item["traceId"] for item in wanted.values()}:
        query = {"traceId": trace_id, "fields": _GROUPS}
        answer = client.get(_OBSERVATIONS, params=query)
        if answer.status_code != 200:
            yield f"answered {answer.status_code}: {answer.text}"
            return
        found.update({item["id"]: item for item in answer.json()["data"]})
    if wanted.keys() != found.keys():
        yield f"expected spans {sorted(wanted)}, got {sorted(found)}"
    for span_id in wanted.keys() & found.keys():
        yield from _item_differences(wanted[span_id], found[span_id])


def _send(client: httpx.Client, batch: dict[str, Any]) -> None:
    if batch["encoding"] == "protobuf":
        content, kind = base64.b64decode(batch["body_base64"]), "application/x-protobuf"
    else:
        content, kind = json.dumps(batch["body"]).encode(), "application/json"
    headers = {"content-type": kind, "x-langfuse-ingestion-version": "4", **batch.get("headers", {})}
    client.post(_TRACES, content=content, headers=headers)


def _item_differences(wanted: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    if wanted.keys() != found.keys() - _NOT_RECORDED:
        yield f"keys differ: {wanted.keys() ^ (found.keys() - _NOT_RECORDED)}"
    for key in wanted.keys() & found.keys():
        generated = key in _GENERATED and bool(wanted[key]) == bool(found[key])
        if not generated and not _equal(wanted[key], found[key]):
            yield f"{key}: expected {wanted[key]!r}, got {found[key]!r}"


def _equal(wanted: Any, got: Any) -> bool:
    if wanted == "<now>":
        return isinstance(got, str) and got.endswith("Z")
    if (
        isinstance(wanted, int | float)
        and isinstance(got, int | float)
        and float in (type(wanted), type(got))
    ):
        return math.isclose(wanted, got, rel_tol=1e-12, abs_tol=1e-11)
    if isinstance(wanted, dict) and isinstance(got, dict):
        return wanted.keys() == got.keys() and all(_equal(wanted[key], got[key]) for key in wanted)
    if isinstance(wanted, list) and isinstance(got, list):
        return len(wanted) == len(got) and all(map(_equal, wanted, got))
    return bool(wanted == got) and isinstance(wanted, bool) == isinstance(got, bool)
