"""The durable table of judgements: `judge.db`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langfuse_embedded.store.database import migrate, open_database, transaction

JUDGE_FILE = "judge.db"
DAY_MS = 86_400_000
_KEPT_DAYS = 7

_INSERT = (
    "insert into jobs (id, project_id, project, trace_id, span_id, rule_id, assignment_id, evaluator_id,"
    " status, attempt, due_at, created_at, cost) values (?, ?, ?, ?, ?, ?, ?, ?, 'pending', 0, ?, ?, 0)"
    # An observation that was sent again is judged again, as on the server.
    " on conflict (id) do update set status = 'pending', attempt = 0, due_at = excluded.due_at,"
    " created_at = excluded.created_at, finished_at = null, error = null"
)


@dataclass(frozen=True, slots=True)
class NewJob:
    """A judgement to be made."""

    id: str
    project_id: str
    project: int
    trace_id: str
    span_id: str
    rule_id: str
    assignment_id: str
    evaluator_id: str


@dataclass(frozen=True, slots=True)
class Job(NewJob):
    """A judgement to be made that was tried `attempt` times before; times are Unix milliseconds."""

    attempt: int
    created_at: int
    cost: float


_COLUMNS = ", ".join(Job.__dataclass_fields__)


def create(data_dir: Path, seen: int) -> None:
    """Create the table unless it exists; a new one begins after number `seen` of `events.db`."""
    path = data_dir / JUDGE_FILE
    with closing(open_database(path)) as db:
        migrate(db, "judge", path)
        db.execute("insert into progress select ? where not exists (select 1 from progress)", (seen,))


class Jobs:
    """Reads and writes judgements to be made; for the judge's process."""

    def __init__(self, data_dir: Path) -> None:
        self._db = open_database(data_dir / JUDGE_FILE)

    def seen(self) -> int:
        """Return the last number that was compared with the rules."""
        row: int = self._db.execute("select seen from progress").fetchone()[0]
        return row

    def add(self, jobs: Iterable[NewJob], seen: int, now: int) -> None:
        """Store new jobs, and that everything up to number `seen` was looked at, in one commit."""
        rows = [
            (
                *(one.id, one.project_id, one.project, one.trace_id, one.span_id, one.rule_id),
                *(one.assignment_id, one.evaluator_id, now, now),
            )
            for one in jobs
        ]
        with transaction(self._db):
            self._db.executemany(_INSERT, rows)
            self._db.execute("update progress set seen = ?", (seen,))

    def due(self, now: int, limit: int, busy: Sequence[str], resting: Sequence[str]) -> list[Job]:
        """Return jobs to work on: the oldest, but for those at work and those of projects that rest."""
        marks, projects = (", ".join("?" * len(some)) for some in (busy, resting))
        rows = self._db.execute(
            f"select {_COLUMNS} from jobs where status in ('pending', 'delayed') and due_at <= ?"
            f" and id not in ({marks}) and project_id not in ({projects}) order by due_at limit ?",
            (now, *busy, *resting, limit),
        )
        return [Job(*row) for row in rows]

    def finish(self, job: Job, status: str, now: int, cost: float = 0.0, error: str | None = None) -> None:
        """Note how a job ended: `done`, `error` or `cancelled`."""
        self._db.execute(
            "update jobs set status = ?, finished_at = ?, cost = cost + ?, error = ?, attempt = attempt + 1"
            " where id = ?",
            (status, now, cost, error, job.id),
        )

    def delay(self, job: Job, due_at: int, cost: float, error: str) -> None:
        """Note that a job has to be tried again later."""
        self._db.execute(
            "update jobs set status = 'delayed', due_at = ?, cost = cost + ?, error = ?,"
            " attempt = attempt + 1 where id = ?",
            (due_at, cost, error, job.id),
        )

    def spent(self, now: int) -> dict[str, float]:
        """Return what judging cost each project on this day (UTC), in USD."""
        rows = self._db.execute(
            "select project_id, sum(cost) from jobs where finished_at >= ? group by 1", (now - now % DAY_MS,)
        )
        return {row[0]: row[1] for row in rows}

    def forget(self, now: int) -> None:
        """Delete jobs that ended a week ago."""
        self._db.execute("delete from jobs where finished_at < ?", (now - _KEPT_DAYS * DAY_MS,))

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def forget_traces(data_dir: Path, project_id: str, trace_ids: Sequence[str], now: int) -> None:
    """Forget what judges had to do with deleted traces, and what they noted about it.

    What was spent on this day (UTC) stays as an entry without ids and text: the budget counts it. The judge's
    process may be at work meanwhile.

    Raises:
        DataDirectoryError, sqlite3.Error: the file cannot be written; a repeated call goes on.
    """
    if not (data_dir / JUDGE_FILE).exists():
        return
    with closing(open_database(data_dir / JUDGE_FILE)) as db, transaction(db):
        _forget_traces(db, project_id, trace_ids, now)


def _forget_traces(db: sqlite3.Connection, project_id: str, trace_ids: Sequence[str], now: int) -> None:
    of_traces = "project_id = :project and trace_id in (select value from json_each(:traces))"
    values = {
        "project": project_id,
        "traces": json.dumps(list(trace_ids)),
        "now": now,
        "today": now - now % DAY_MS,
    }
    # One that is to be tried again has been paid for, too.
    db.execute(
        f"update jobs set status = 'cancelled', finished_at = :now where {of_traces} and finished_at is null"
        " and cost > 0",
        values,
    )
    db.execute(
        f"delete from jobs where {of_traces} and (finished_at is null or finished_at < :today)", values
    )
    db.execute(
        "update jobs set id = lower(hex(randomblob(16))), trace_id = '', span_id = '', error = null"
        f" where {of_traces}",
        values,
    )


def purge_traces(db: sqlite3.Connection, project_id: str, trace_ids: Sequence[str]) -> int:
    """Delete all judgements of traces; return how many. For a data directory that no engine works on."""
    return db.execute(
        "delete from jobs where project_id = ? and trace_id in (select value from json_each(?))",
        (project_id, json.dumps(list(trace_ids))),
    ).rowcount


def summary(data_dir: Path, project_id: str, now: int) -> dict[str, Any]:
    """Return what a project's judges have to do, and what they did and cost on this day (UTC).

    `known` tells whether there is anything to say.
    """
    found: dict[str, Any] = {
        **dict.fromkeys(("waiting", "delayed", "judgedToday", "failedToday", "cancelledToday"), 0),
        "costTodayUsd": 0.0,
        "lastError": None,
        "known": False,
    }
    if not (data_dir / JUDGE_FILE).exists():
        return found
    with closing(open_database(data_dir / JUDGE_FILE, readonly=True)) as db:
        rows = db.execute(
            "select status, count(*), sum(cost) from jobs where project_id = ?"
            " and (finished_at is null or finished_at >= ?) group by 1",
            (project_id, now - now % DAY_MS),
        )
        names = {"pending": "waiting", "delayed": "delayed"}
        for status, count, cost in rows:
            name = names.get(status) or {"done": "judged", "error": "failed"}.get(status, status) + "Today"
            found[name] = count
            found["known"] = True
            found["costTodayUsd"] += cost
        row = db.execute(
            "select error from jobs where project_id = ? and error is not null"
            " order by coalesce(finished_at, created_at) desc limit 1",
            (project_id,),
        ).fetchone()
        found["lastError"] = row[0] if row else None
    return found
