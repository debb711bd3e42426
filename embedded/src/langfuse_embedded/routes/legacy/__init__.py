"""Traces, observations, sessions and scores of version 3, and its batch: most of it in `dual` mode only."""

from __future__ import annotations

from . import ingestion, reads, scores, writes

OPERATIONS = [*scores.OPERATIONS, *reads.OPERATIONS, *writes.OPERATIONS, *ingestion.OPERATIONS]
