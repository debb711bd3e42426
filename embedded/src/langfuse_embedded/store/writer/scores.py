"""Writer commands for scores: store (or merge into what is there), delete."""

from __future__ import annotations

from typing import Any

from langfuse_embedded.store.hexid import pack
from langfuse_embedded.store.score_rows import INSERT, SELECT, Score, StoredScore, merged, row_of, score_of

from .context import SCORE, WriteContext
from .protocol import Payload


def store_scores(context: WriteContext, head: dict[str, Any], _body: Payload) -> int:
    """Store the `scores` of `project`, in order, and return how many; a known id changes that score."""
    project = context.project_key(head["project"])
    for score in head["scores"]:
        _store(context, project, score)
    return len(head["scores"])


def delete_scores(context: WriteContext, head: dict[str, Any], _body: Payload) -> int:
    """Delete the scores `ids` of `project`; return how many there were."""
    project = context.project_key(head["project"])
    gone: list[int] = []
    for score_id in head["ids"]:
        gone += _deleted(context, "id = ?", project, score_id)
    context.forget(SCORE, gone)
    return len(gone)


def delete_scores_of_trace(context: WriteContext, project: int, trace_id: str) -> None:
    """Delete what was scored on a trace or its observations, with the trace."""
    context.forget(SCORE, _deleted(context, "trace_id = ?", project, pack(trace_id)))


def _store(context: WriteContext, project: int, score: Score) -> None:
    new: StoredScore = {**score, "created_at": context.now, "updated_at": context.now}
    row = context.db.execute(f"{SELECT} where project = ? and id = ?", (project, score["id"])).fetchone()
    if row is not None:
        new = merged(score_of(row), score, context.now)
        context.forget(SCORE, _deleted(context, "id = ?", project, score["id"]))
    context.db.execute(INSERT, (context.take(1), project, *row_of(new)))


def _deleted(context: WriteContext, where: str, project: int, value: bytes | str) -> list[int]:
    rows = context.db.execute(
        f"delete from scores where project = ? and {where} returning seq", (project, value)
    ).fetchall()
    return [row[0] for row in rows]


COMMANDS = {"store_scores": store_scores, "delete_scores": delete_scores}
