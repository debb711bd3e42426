"""Traces, observations, sessions and scores as version 3 has them, and its batch: most of it in `dual` mode."""

from __future__ import annotations

from . import ingestion, reads, scores, writes

OPERATIONS = [*scores.OPERATIONS, *reads.OPERATIONS, *writes.OPERATIONS, *ingestion.OPERATIONS]
