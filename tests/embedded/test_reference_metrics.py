"""`GET v2/metrics` answers what a recorded server answered on the same data."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.accepted_differences import require_accepted

_SUITE = "metrics_v2"
_RELATIVE_ERROR = 1e-9


def test_metrics_are_as_recorded(client: httpx.Client, reference_dir: Path) -> None:
    vectors = reference_dir / "vectors"
    _load(client, json.loads((vectors / "dataset.json").read_text("ascii")))
    cases = [json.loads(line) for line in (vectors / "metrics_v2.jsonl").read_text("ascii").splitlines()]
    differences = {case["name"]: found for case in cases if (found := list(_differences(client, case)))}
    assert len(cases) == 258
    require_accepted(_SUITE, differences)


def _load(client: httpx.Client, dataset: dict[str, Any]) -> None:
    for prompt in dataset["prompts"]:
        assert client.post("/api/public/v2/prompts", json=prompt).status_code == 201
    answer = client.post(
        "/api/public/otel/v1/traces", json=dataset["otlp"], headers={"x-langfuse-ingestion-version": "4"}
    )
    assert answer.status_code == 200, answer.text
    answer = client.post("/api/public/ingestion", json={"batch": dataset["scores"]})
    assert answer.json()["errors"] == []


def _differences(client: httpx.Client, case: dict[str, Any]) -> Iterator[str]:
    query, expected = case["request"]["query"], case["expected"]
    text = query["__raw_query_parameter"] if "__raw_query_parameter" in query else json.dumps(query)
    answer = client.get(case["request"]["path"], params={"query": text})
    if answer.status_code != expected["status"]:
        yield f"expected {expected['status']}, got {answer.status_code}: {answer.text[:300]}"
    elif answer.status_code != 200:
        wanted, got = _comparable(expected["body"]), _comparable(answer.json())
        if wanted != got:
            yield f"expected {wanted}, got {got}"
    else:
        ordered = expected["row_order"] == "significant"
        yield from _row_differences(expected["body"]["data"], answer.json()["data"], ordered=ordered)


def _row_differences(wanted: list[Any], got: list[Any], *, ordered: bool) -> Iterator[str]:
    if len(wanted) != len(got):
        yield f"expected {len(wanted)} rows, got {len(got)}"
        return
    if not ordered:
        wanted, got = sorted(wanted, key=_sort_key), sorted(got, key=_sort_key)
    for place, (row, other) in enumerate(zip(wanted, got, strict=True)):
        if list(row) != list(other) or not all(_equal(name, row[name], other[name]) for name in row):
            yield f"row {place}: expected {row}, got {other}"


def _sort_key(row: dict[str, Any]) -> str:
    # Dimensions come before measures, and are exact.
    return json.dumps(row, sort_keys=False)


def _equal(name: str, wanted: Any, got: Any) -> bool:
    if name.startswith("histogram_"):
        return _same_shape(wanted, got)
    if isinstance(wanted, bool) or isinstance(got, bool):
        return wanted is got
    if isinstance(wanted, int | float) and isinstance(got, int | float):
        # A whole number is an integer in JSON.
        whole_float = isinstance(got, float) and got.is_integer()
        return not whole_float and math.isclose(wanted, got, rel_tol=_RELATIVE_ERROR)
    return bool(wanted == got)


def _same_shape(wanted: list[list[float]], got: list[list[float]]) -> bool:
    """Whether two histograms hold as many values between the same ends, in bins that touch each other.

    How values are spread over bins depends on the order in which the server happens to read them.
    """
    if not wanted or not got:
        return wanted == got
    touching = all(left[1] == right[0] for left, right in pairwise(got))
    heights = sum(height for *_, height in wanted), sum(height for *_, height in got)
    ends = (wanted[0][0], wanted[-1][1]) == (got[0][0], got[-1][1])
    return touching and ends and heights[0] == pytest.approx(heights[1]) and len(got) <= len(wanted)


def _comparable(body: Any) -> Any:
    """Return a body without what the reference calls the wording of the schema library."""
    if isinstance(body, dict) and isinstance(body.get("error"), list):
        issues = [{"path": issue["path"], "message": issue["message"]} for issue in body["error"]]
        return {**body, "error": issues}
    return body
