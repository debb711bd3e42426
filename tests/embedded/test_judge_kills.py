"""A thousand observations are judged once each, whatever is killed meanwhile; a dead model recovers."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import pytest

from tests.waiting import wait_for

from .harness import RunningEngine
from .judging import ALLOWED, connect, evaluator, rule, running_model, scores
from .spans import send, span, span_id, trace_id

pytestmark = pytest.mark.slow

STATE = "/api/embedded/judge"
COUNT = 1000
KILLS = 6


def parts(engine: RunningEngine) -> dict[str, int]:
    """Return the processes of an engine by what they are."""
    found = {}
    for child in psutil.Process(engine.pid).children(recursive=True):
        try:
            line = " ".join(child.cmdline())
        except psutil.Error:
            continue
        for name in ("langfuse_embedded.judge", "langfuse_embedded.store.writer"):
            if name in line and child.ppid() == engine.pid:
                found[name.rpartition(".")[2]] = child.pid
    return found


def observe_many(client: httpx.Client, count: int) -> list[str]:
    """Send observations in exports of fifty; return the ids of their traces."""
    traces = []
    for begin in range(0, count, 50):
        spans = []
        for number in range(begin, min(begin + 50, count)):
            attributes = {
                "langfuse.observation.output": f"Answer {number}",
                "langfuse.observation.metadata.expected": "Athens",
            }
            traces.append(trace_id())
            spans.append(span(traces[-1], "many", id=span_id(), attributes=attributes))
        send(client, *spans)
    return traces


def all_scores(client: httpx.Client) -> list[str]:
    """Return the ids of the traces of all scores of judges, as often as they have one."""
    found: list[str] = []
    cursor = None
    while True:
        query = {"source": "EVAL", "limit": 100, "fields": "core,subject"}
        answer = client.get(
            "/api/public/v3/scores", params=query | ({"cursor": cursor} if cursor else {})
        ).json()
        found += [one["subject"]["traceId"] for one in answer["data"]]
        cursor = answer["meta"].get("cursor")
        if cursor is None:
            return found


def wait_for_judgements(engine: RunningEngine, count: int, within_s: float) -> None:
    """Return when so many judgements were made today."""
    wait_for(lambda: engine.client.get(STATE).json()["judgedToday"] >= count, f"{count} judgements", within_s)


def kill_part(engine: RunningEngine, name: str) -> None:
    """Kill a process of the engine, as soon as it runs."""
    os.kill(wait_for(lambda: parts(engine).get(name), f"the {name} runs"), signal.SIGKILL)


def test_a_thousand_observations_are_judged_once_whatever_is_killed(tmp_path: Path) -> None:
    chance = random.Random(7)
    with running_model() as model:
        engine = RunningEngine(tmp_path / "data", ALLOWED).start()
        try:
            connect(engine.client, model.base_url)
            rule(engine.client, [evaluator(engine.client, "many")["id"]])
            begin = time.monotonic()
            traces = observe_many(engine.client, COUNT)
            sent = time.monotonic()
            for kill in range(KILLS):
                wait_for_judgements(engine, (kill + 1) * 100, 120)
                victim = ("judge", "writer", "engine")[kill % 3]
                if victim == "engine":
                    engine.kill()
                    engine.start()
                else:
                    time.sleep(chance.random() * 0.05)
                    kill_part(engine, victim)
            wait_for_judgements(engine, COUNT, 180)
            end = time.monotonic()
            assert sorted(all_scores(engine.client)) == sorted(traces)
            state = engine.client.get(STATE).json()
            assert state["judgedToday"] == COUNT
            assert (state["waiting"], state["delayed"], state["failedToday"]) == (0, 0, 0)
            with closing(sqlite3.connect(engine.data_dir / "judge.db")) as db:
                assert db.execute("select count(*), count(distinct id) from jobs").fetchone() == (
                    COUNT,
                    COUNT,
                )
            print(
                f"{COUNT} observations sent in {sent - begin:.1f} s and judged in {end - begin:.1f} s with "
                f"{KILLS} kills, {model.questions} questions"
            )
        finally:
            engine.stop()


def test_judgements_wait_for_a_model_that_is_dead_at_first(tmp_path: Path) -> None:
    quick = {**ALLOWED, "LANGFUSE_LLM_AS_JUDGE_QUEUE_RETRY_MAX_AGE_SECONDS": "40"}
    with running_model() as gone:
        port = gone.port
    engine = RunningEngine(tmp_path / "data", quick).start()
    try:
        connect(engine.client, f"http://127.0.0.1:{port}/v1")
        made = evaluator(engine.client, "patient")
        rule(engine.client, [made["id"]])
        traces = observe_many(engine.client, 20)
        wait_for(lambda: engine.client.get(STATE).json()["delayed"] >= 5, "five delayed judgements", 30)
        assert "Cannot connect to API" in engine.client.get(STATE).json()["lastError"]
        with running_model(port) as model:
            wait_for_judgements(engine, 20, 60)
            assert engine.client.get(STATE).json()["judgedToday"] == 20
            assert model.questions == 20
        assert all(len(scores(engine.client, traceId=one)) == 1 for one in traces)
    finally:
        engine.stop()
