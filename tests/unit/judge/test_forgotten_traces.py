"""What judges noted of a trace goes with the trace; what they spent today is still counted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from langfuse_embedded.judge.jobs import DAY_MS, JUDGE_FILE, Jobs, NewJob, create, forget_traces, summary
from langfuse_embedded.store.database import migrate, open_database
from langfuse_embedded.upkeep.purge import purge
from langfuse_embedded.upkeep.search import search

NOW = 20_000 * DAY_MS + 1000
GONE, KEPT = "trace-of-hermes", "trace-of-zeus"


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    create(tmp_path, 0)
    opened = Jobs(tmp_path)
    yield opened
    opened.close()


def new(name: str, trace: str, project: str = "kosmos") -> NewJob:
    return NewJob(name, project, 1, trace, f"span-{name}", "rule", "assignment", "evaluator")


def rows(directory: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(directory / JUDGE_FILE)) as db:
        return db.execute(sql).fetchall()


def due(jobs: Jobs) -> list[str]:
    return [one.id for one in jobs.due(NOW + DAY_MS, 10, (), ())]


def test_a_deleted_trace_takes_along_what_waits_and_leaves_what_it_cost(jobs: Jobs, tmp_path: Path) -> None:
    names = {"waits": GONE, "delayed": GONE, "done": GONE, "old": GONE, "stays": KEPT}
    jobs.add([new(name, trace) for name, trace in names.items()], 5, NOW)
    jobs.add([new("elsewhere", GONE, "acme")], 6, NOW)
    found = {one.id: one for one in jobs.due(NOW, 10, (), ())}
    jobs.delay(found["delayed"], NOW + 500, 0.25, "the model said hermes")
    jobs.finish(found["done"], "error", NOW, 0.5, "the answer said hermes")
    jobs.finish(found["old"], "done", NOW - DAY_MS, 8.0)
    spent = jobs.spent(NOW)

    forget_traces(tmp_path, "kosmos", [GONE, "never-seen"], NOW)

    assert due(jobs) == ["stays", "elsewhere"]
    assert spent == {"kosmos": 0.5}
    assert jobs.spent(NOW) == {"kosmos": 0.75}
    assert summary(tmp_path, "kosmos", NOW)["lastError"] is None
    left = rows(tmp_path, "select * from jobs where project_id = 'kosmos'")
    assert len(left) == 3
    assert not [row for row in left if GONE in row or "span-done" in row or "done" in row[:1]]
    # What a call at work says afterwards has no place any more.
    jobs.finish(found["waits"], "done", NOW, 1.0)
    assert jobs.spent(NOW) == {"kosmos": 0.75}


def test_without_judges_there_is_nothing_to_forget(tmp_path: Path) -> None:
    forget_traces(tmp_path, "kosmos", [GONE], NOW)
    assert list(tmp_path.iterdir()) == []


def test_an_erasure_leaves_no_byte_of_a_judged_trace(jobs: Jobs, tmp_path: Path) -> None:
    for name, folder in (("state.db", "state"), ("events.db", "events")):
        with closing(open_database(tmp_path / name)) as db:
            migrate(db, folder, tmp_path / name)
    jobs.add([new("a", GONE), new("b", KEPT)], 2, NOW)
    [job] = [one for one in jobs.due(NOW, 10, (), ()) if one.trace_id == GONE]
    jobs.finish(job, "error", NOW, 0.5, "said by hermes")
    jobs.close()
    wanted = {"ids": [GONE], "pattern": ""}
    assert search(tmp_path, wanted)["judge.db jobs"] == (2, 1)

    counts = purge(tmp_path, {"kosmos": {"traces": [GONE], "observations": [], "sessions": []}})

    assert counts["judgements"] == 1
    assert search(tmp_path, wanted)["judge.db jobs"] == (1, 0)
    for path in tmp_path.glob(f"{JUDGE_FILE}*"):
        assert b"hermes" not in path.read_bytes(), path.name
    assert [row[0] for row in rows(tmp_path, "select trace_id from jobs")] == [KEPT]
