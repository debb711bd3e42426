"""The engine answers prompt requests as a recorded server did: 152 requests in one order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from tests.accepted_differences import require_accepted

_VOLATILE = "<volatile>"


def test_prompt_requests_are_answered_as_recorded(client: httpx.Client, reference_dir: Path) -> None:
    lines = (reference_dir / "vectors" / "prompt_validation.jsonl").read_text("ascii").splitlines()
    differences = {}
    for case in map(json.loads, lines):
        request, expected = case["request"], case["expected"]
        answer = client.request(
            request["method"], request["path"], params=request.get("query"), json=request.get("body")
        )
        got = (answer.status_code, _comparable(answer.json() if answer.content else ""))
        wanted = (expected["status"], _comparable(expected["body"]))
        if not _equal(wanted[1], got[1]) or wanted[0] != got[0]:
            differences[case["name"]] = f"expected {wanted}, got {got}"
    assert len(lines) == 152
    require_accepted("prompt_validation", differences)


def _comparable(body: Any) -> Any:
    """Return a body without what the reference calls the wording of the schema library."""
    if isinstance(body, dict) and isinstance(body.get("error"), list):
        issues = [{"path": issue["path"], "message": issue["message"]} for issue in body["error"]]
        return {**body, "error": issues}
    if isinstance(body, dict) and body.get("resolutionGraph"):
        graph = body["resolutionGraph"]
        return {**body, "resolutionGraph": {**graph, "dependencies": list(graph["dependencies"].values())}}
    return body


def _equal(wanted: Any, got: Any) -> bool:
    if wanted == _VOLATILE:
        return isinstance(got, str) and got != ""
    if isinstance(wanted, dict) and isinstance(got, dict):
        return wanted.keys() == got.keys() and all(_equal(wanted[key], got[key]) for key in wanted)
    if isinstance(wanted, list) and isinstance(got, list):
        return len(wanted) == len(got) and all(map(_equal, wanted, got))
    return bool(wanted == got)
