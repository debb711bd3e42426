"""A backup carries what judges have to do: after a restore nothing is judged twice, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.waiting import wait_for

from .backups import QUICK, Stack, stack_in
from .judging import ALLOWED, Model, accepted, connect, evaluator, rule, running_model, scores
from .spans import send, span, span_id, trace_id

pytestmark = pytest.mark.slow
JUDGED, WAITING = 6, 5
STATE = "/api/embedded/judge"


def observe(client: httpx.Client, output: str) -> str:
    """Send an answer with its reference; return the id of its trace."""
    trace = trace_id()
    given = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.output": output,
        "langfuse.observation.metadata.expected": "Athens",
    }
    send(client, span(trace, "answer", id=span_id(), attributes=given))
    return trace


def state(client: httpx.Client) -> dict[str, Any]:
    return dict(accepted(client.get(STATE)))


def judge_in(stack: Stack, model: Model) -> tuple[list[str], list[str]]:
    """Have some answers judged, and let others wait for a model that is busy; return their traces."""
    with stack.client() as client:
        connect(client, model.base_url)
        made = evaluator(client, "accuracy")
        named = {"type": "stringOptions", "column": "name", "operator": "any of", "value": ["answer"]}
        rule(client, [made["id"]], filter=[named])
        done = [observe(client, "Athens") for _ in range(JUDGED)]
        wait_for(lambda: state(client)["judgedToday"] == JUDGED, "the judgements that are made")
        model.rule({"contains": "Sparta", "status": 500, "message": "later"})
        waiting = [observe(client, "Sparta") for _ in range(WAITING)]
        wait_for(lambda: state(client)["delayed"] == WAITING, "the judgements that wait")
    return done, waiting


def snapshot(data_dir: Path, into: Path) -> dict[str, Any]:
    argv = [
        sys.executable,
        "-m",
        "langfuse_embedded",
        "snapshot",
        "--data-dir",
        str(data_dir),
        "--into",
        str(into),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120)
    return dict(json.loads(done.stdout))


def test_after_a_restore_what_waited_is_judged_and_nothing_twice(tmp_path: Path) -> None:
    with running_model() as model:
        # The server's own setting: four times within a minute.
        stack = stack_in(tmp_path / "stack", QUICK).with_environment(
            **ALLOWED, LANGFUSE_LLM_AS_JUDGE_QUEUE_RETRY_MAX_AGE_SECONDS="60"
        )
        stack.up()
        try:
            done, waiting = judge_in(stack, model)
            with stack.client() as client:
                before = {one["id"]: one for one in scores(client, source="EVAL")}
            stack.back_up()
            password = stack.context.settings()["BACKUP_PASSWORD"]
            stack.lose_everything()
            model.rule()
            asked = model.questions
            assert stack.with_environment(BACKUP_PASSWORD=password).restore() == 0
            stack.up()
            with stack.client() as client:

                def all_judged() -> list[dict[str, Any]]:
                    found = scores(client, source="EVAL")
                    return found if len(found) >= JUDGED + WAITING else []

                found = wait_for(all_judged, "a score of each answer")
                assert state(client)["waiting"] == state(client)["delayed"] == 0
            by_trace = [one["subject"]["traceId"] for one in found]
            assert sorted(by_trace) == sorted([*done, *waiting])
            # What was judged before is as it was: no model was asked about it again.
            assert {one["id"]: one for one in found if one["id"] in before} == before
            assert model.questions - asked == WAITING
        finally:
            stack.stop()


def test_a_copy_has_judge_db_only_where_there_is_one_and_says_its_schema(tmp_path: Path) -> None:
    with running_model() as model:
        stack = stack_in(tmp_path / "stack", QUICK).with_environment(**ALLOWED)
        stack.up()
        try:
            data = stack.layout.embedded_dir
            assert "judge.db" not in snapshot(data, tmp_path / "without")["schema"]
            assert not (tmp_path / "without" / "judge.db").exists()
            judge_in(stack, model)
            assert snapshot(data, tmp_path / "with")["schema"]["judge.db"] == 1
            assert (tmp_path / "with" / "judge.db").is_file()
        finally:
            stack.stop()
