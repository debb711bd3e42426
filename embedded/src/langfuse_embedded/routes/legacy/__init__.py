"""Traces, observations, sessions and scores as version 3 has them, most in `dual` mode only, and its batch."""

from __future__ import annotations

from . import ingestion, reads, scores, writes

OPERATIONS = [*scores.OPERATIONS, *reads.OPERATIONS, *writes.OPERATIONS, *ingestion.OPERATIONS]
