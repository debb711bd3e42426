"""Ids of judgements, by the server's formulas: who judges the same again finds the same ids.

Source: `worker/src/features/evaluation/observationEval/scheduleObservationEvals.ts` and
`packages/shared/src/server/evals/evalScoreIds.ts` of langfuse/langfuse 6275144.
"""

from __future__ import annotations

import hashlib
import uuid

from langfuse_embedded.javascript.values import dumps

_SCORES = uuid.UUID("52b93de0-1d6c-4fb3-9f65-e5173184b1cb")


def job_id(rule_id: str, assignment_id: str, trace_id: str, span_id: str) -> str:
    """Return the id of a judgement."""
    return _digest(dumps(["observation-eval", rule_id, assignment_id, trace_id, span_id]), 32)


def execution_trace_id(job: str) -> str:
    """Return the id of the trace that a judgement leaves."""
    return _digest(job, 32)


def execution_span_id(job: str, attempt: int, part: str) -> str:
    """Return the id of a span in that trace; on the server these are random."""
    return _digest(f"{job}:{attempt}:{part}", 16)


def score_id(job: str, name: str, occurrence: int) -> str:
    """Return the id of a score; a judgement may have several of one name."""
    return str(uuid.uuid5(_SCORES, dumps(["eval-score", job, name, occurrence])))


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]
