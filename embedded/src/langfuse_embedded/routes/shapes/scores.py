"""Scores as the legacy lists and traces show them: a number and a text, instead of one value of any type."""

from __future__ import annotations

from typing import Any

from langfuse_embedded.clock import iso
from langfuse_embedded.javascript.values import whole
from langfuse_embedded.judge.identity import execution_trace_id
from langfuse_embedded.scoring import NUMERIC, TEXT, metadata_values
from langfuse_embedded.store.score_rows import StoredScore


def legacy_score(project_id: str, score: StoredScore, *, only_trace_targets: bool = False) -> dict[str, Any]:
    """Return a score in the shape of `v2/scores`; `v1` and traces show only targets of their own.

    The value of a score that has none (a category without a config, a correction) is 0; that of a text is
    left out.
    """
    shown = {
        "id": score["id"],
        "projectId": project_id,
        "environment": score["environment"],
        "name": score["name"],
        "value": 0 if score["value"] is None else whole(score["value"]),
        "source": score["source"],
        "authorUserId": score["author_user_id"],
        "comment": score["comment"],
        "metadata": metadata_values(score["metadata"]),
        "configId": score["config_id"],
        "queueId": score["queue_id"],
        "executionTraceId": _execution_trace(score),
        "createdAt": iso(score["created_at"]),
        "updatedAt": iso(score["updated_at"]),
        "timestamp": iso(score["timestamp"]),
        "traceId": score["trace_id"],
        "observationId": score["observation_id"],
        "sessionId": score["session_id"],
        "datasetRunId": score["experiment_id"],
        "stringValue": None if score["data_type"] == NUMERIC else score["string_value"],
        "dataType": score["data_type"],
    }
    if score["data_type"] == TEXT:
        del shown["value"]
    if only_trace_targets:
        del shown["sessionId"], shown["datasetRunId"]
    return shown


def _execution_trace(score: StoredScore) -> str | None:
    """Return the id of the trace of the judgement that a score comes from."""
    job = score["metadata"].get("job_execution_id")
    return execution_trace_id(job) if job and score["source"] == "EVAL" else None
