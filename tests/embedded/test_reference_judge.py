"""Evaluators and rules below `/unstable` answer as a recorded server did, also where their models fail."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .harness import Keys, RunningEngine
from .judging import ALLOWED, Model, running_model

pytestmark = pytest.mark.slow

_HOST = "http://10.213.56.1:"
_MODEL, _CLOSED = f"{_HOST}18180", f"{_HOST}18199"
_ID = re.compile(r"\bcmx[a-z0-9]{22}\b")
_TIMES = ("createdAt", "updatedAt")
_KEYS = Keys("kosmos", "pk-lf-reference", "sk-lf-reference")
_FITTING = {"reasoning": "It says so", "score": 0.5}
_LATER = [
    f"later-{how}"
    for how in (
        *("malformed", "status-500", "status-429", "status-404", "status-402", "status-400"),
        *("strscore", "outrange", "missing"),
    )
]
# How the recorded stand-in answered, by the name of the model.
_RULES: list[dict[str, Any]] = [
    {"key": "wrong-key-000000", "status": 401, "message": "Incorrect API key provided: wrong"},
    {"model": "malformed", "content": "This is no JSON"},
    *(
        {"model": f"status-{status}", "status": status, "message": f"This {status} was asked for"}
        for status in (400, 402, 404, 429, 500)
    ),
    {"model": "strscore", "content": json.dumps({**_FITTING, "score": "0.7"})},
    {"model": "outrange", "content": json.dumps({**_FITTING, "score": 7})},
    {"model": "extra", "content": json.dumps({**_FITTING, "more": True})},
    {"model": "fenced", "content": f"```json\n{json.dumps(_FITTING)}\n```"},
    {"model": "missing", "content": json.dumps({"score": 0.5})},
    # Models that work, slowly or at first.
    *({"model": model, "content": json.dumps(_FITTING)} for model in ("slow-3", *_LATER)),
]
_REPLAYED = re.compile(r"/api/public/(unstable/evaluat|llm-connections)")
_LATER_TAGS = re.compile(
    "evaluator (for mapping|default|dataType)|invalid json|rule (filter|mapping)|limit|evaluators have|"
    "empty patch|patch mapping|sampling 0|unknown|experiment rule|same (evaluator twice|name)"
)
# Ports differ, and the words of what cannot be reached.
_PLACE = re.compile(r"http://[0-9.]+:\d+|(?<=Cannot connect to API: ).*")


@pytest.fixture
def model() -> Iterator[Model]:
    """The recorded stand-in for models."""
    with running_model() as running:
        running.rule(*_RULES)
        yield running


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[RunningEngine]:
    """An engine with the recorded project."""
    running = RunningEngine(tmp_path / "data", ALLOWED, _KEYS).start()
    yield running
    assert running.stop() == 0, running.log()


def recorded(path: Path) -> list[dict[str, Any]]:
    """Return the exchanges of before the first failed judgement, and later ones that need none."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    [first] = [place for place, row in enumerate(rows) if row["tag"] == "rules after errors"]
    later = [row for row in rows[first:] if _LATER_TAGS.match(row["tag"] or "")]
    return [row for row in rows[:first] + later if _REPLAYED.match(row["path"])]


def comparable(value: Any) -> Any:
    """Return an answer without ids, times, places, and the texts of validation issues."""
    if isinstance(value, list):
        return [comparable(one) for one in value]
    if not isinstance(value, dict):
        return _PLACE.sub("PLACE", _ID.sub("ID", value)) if isinstance(value, str) else value
    return {
        key: "TIME" if key in _TIMES else len(one) if key == "issues" else comparable(one)
        for key, one in value.items()
    }


def as_sent(row: dict[str, Any], ids: dict[str, str], model: Model) -> tuple[str, Any]:
    """Return path and body of a recorded request with our ids and addresses.

    Keys were replaced in the recording; their ends are in the answers.
    """
    path, sent = (
        _ID.sub(lambda found: ids.get(found[0], found[0]), text)
        for text in (row["path"], json.dumps(row["request"]))
    )
    place = f"http://127.0.0.1:{model.port}"
    body = json.loads(sent.replace(_MODEL, place).replace(_CLOSED, "http://127.0.0.1:1"))
    shown = row["response"].get("displaySecretKey", "").removeprefix("...")
    if shown and not body["secretKey"].endswith(shown):
        body["secretKey"] = f"sk-test-{shown}"
    return path, body


def test_recorded_exchanges_about_evaluators_are_answered_alike(
    engine: RunningEngine, model: Model, reference_dir: Path
) -> None:
    ids: dict[str, str] = {}
    differences: dict[str, str] = {}
    rows = recorded(reference_dir / "recordings" / "judge_events_only.jsonl")
    for row in rows:
        path, body = as_sent(row, ids, model)
        answer = engine.client.request(row["method"], path, **({} if body is None else {"json": body}))
        expected, received = row["response"], answer.json()
        if "id" in expected and "id" in received:
            ids[expected["id"]] = received["id"]
        if (row["status"], comparable(expected)) != (answer.status_code, comparable(received)):
            name = f"{row['tag']} {row['method']} {row['path']}"
            differences[name] = f"{row['status']} {expected}\n   {answer.status_code} {received}"
    for name, text in differences.items():
        print(name, text, sep="\n   ")
    print(f"{len(rows) - len(differences)} of {len(rows)} exchanges are equal")
    assert differences == {}
