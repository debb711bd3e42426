"""Scores are accepted, refused, dropped and read back as a recorded server did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from tests.accepted_differences import require_accepted

from .conftest import StartEngine

_VOLATILE = ("<volatile>", "<now>")
_NOT_COMPARED = ("projectId", "createdAt", "updatedAt")


def test_score_requests_are_answered_and_stored_as_recorded(
    client: httpx.Client, reference_dir: Path
) -> None:
    require_accepted("score_validation", _differences(client, reference_dir))


def test_a_server_without_lists_of_scores_is_imitated_to_the_letter(
    start_engine: StartEngine, reference_dir: Path
) -> None:
    assert _differences(start_engine(EMBEDDED_COMPAT="4.16.0").client, reference_dir) == {}


def _differences(client: httpx.Client, reference_dir: Path) -> dict[str, str]:
    lines = (reference_dir / "vectors" / "score_validation.jsonl").read_text("ascii").splitlines()
    setup, *cases = map(json.loads, lines)
    assert len(cases) >= 58
    configs = {
        f"<config:{name}>": client.post("/api/public/score-configs", json=body).json()["id"]
        for name, body in setup["request"]["configs"].items()
    }
    found = {}
    for case in cases:
        difference = _difference(
            client, _filled(case["request"], configs), _filled(case["expected"], configs)
        )
        if difference:
            found[case["name"]] = difference
    return found


def _filled(document: Any, configs: dict[str, str]) -> Any:
    text = json.dumps(document)
    for placeholder, config_id in configs.items():
        text = text.replace(placeholder, config_id)
    return json.loads(text)


def _difference(client: httpx.Client, request: dict[str, Any], expected: dict[str, Any]) -> str:
    raw = request.get("raw_body")
    answer = client.post(
        request["path"],
        content=raw if raw is not None else json.dumps(request["body"]),
        headers={"content-type": "application/json"},
    )
    wanted, got = (expected["status"], expected["body"]), (answer.status_code, answer.json())
    if wanted[0] != got[0] or not _equal(_comparable(wanted[1]), _comparable(got[1])):
        return f"expected {wanted}, got {got}"
    if answer.status_code != 200 or "stored" not in expected:
        return ""
    query = {"id": expected["body"]["id"], "fields": "details,subject,annotation"}
    found = client.get("/api/public/v3/scores", params=query).json()["data"]
    shown = [{key: value for key, value in one.items() if key not in _NOT_COMPARED} for one in found]
    stored = [] if expected["stored"] is None else [expected["stored"]]
    return "" if _equal(stored, shown) else f"expected {stored} in the store, got {shown}"


def _comparable(body: Any) -> Any:
    """Return a body without what the reference calls the wording of the schema library."""
    if isinstance(body, dict) and isinstance(body.get("error"), list):
        return {**body, "error": [(issue["path"], issue["message"]) for issue in body["error"]]}
    return body


def _equal(wanted: Any, got: Any) -> bool:
    if isinstance(wanted, str) and wanted in _VOLATILE:
        return isinstance(got, str) and got != ""
    if isinstance(wanted, dict) and isinstance(got, dict):
        return wanted.keys() == got.keys() and all(_equal(wanted[key], got[key]) for key in wanted)
    if isinstance(wanted, list) and isinstance(got, list):
        return len(wanted) == len(got) and all(map(_equal, wanted, got))
    return bool(wanted == got)
