"""Scores beside what they are about: by trace and observation, and as short texts."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence

from langfuse_embedded.store.score_rows import StoredScore
from langfuse_embedded.store.scores import ScoreQuery, find_scores

ScoresByPlace = dict[tuple[str | None, str | None], list[StoredScore]]
"""Scores by trace id and observation id; those of the trace itself have no observation id."""

_CHUNK = 500
_MOST = 20_000


def scores_of_traces(
    connection: sqlite3.Connection, project: int, trace_ids: Collection[str], horizon: int | None
) -> ScoresByPlace:
    """Return the scores of traces and of their observations, newest first."""
    found: ScoresByPlace = {}
    ids = sorted(trace_ids)
    for begin in range(0, len(ids), _CHUNK):
        query = ScoreQuery(project, _MOST, any_of={"trace_id": ids[begin : begin + _CHUNK]}, horizon=horizon)
        for one in find_scores(connection, query):
            found.setdefault((one["trace_id"], one["observation_id"]), []).append(one)
    return found


def scores_of_sessions(
    connection: sqlite3.Connection, project: int, session_ids: Sequence[str], horizon: int | None
) -> dict[str, list[StoredScore]]:
    """Return the scores that sessions themselves have, newest first."""
    found: dict[str, list[StoredScore]] = {}
    for begin in range(0, len(session_ids), _CHUNK):
        chunk = session_ids[begin : begin + _CHUNK]
        for one in find_scores(
            connection, ScoreQuery(project, _MOST, any_of={"session_id": chunk}, horizon=horizon)
        ):
            found.setdefault(one["session_id"] or "", []).append(one)
    return found


def score_text(score: StoredScore) -> str:
    """Return the value of a score as people read it."""
    if score["string_value"] is not None and score["data_type"] != "NUMERIC":
        return score["string_value"]
    return "—" if score["value"] is None else f"{score['value']:g}"
