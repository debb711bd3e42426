"""What reconciling finds in a project."""

from __future__ import annotations

from dataclasses import dataclass, field

from scripts.stores.event_batches import SpanId


@dataclass(slots=True)
class Findings:
    """What was acknowledged in a project, and what of it cannot be read.

    Attributes:
        batches: how many were looked at.
        spans: in these batches, each counted once.
        deleted: spans of traces that were deleted on purpose.
        missing: spans that can be read nowhere, by the batch that has them.
        spans_missing: which they are.
        unreadable: batches that hold something else than spans.
        replayed: batches that were replayed.
        refused: spans that are not stored in spite of their replay, by the batch that has them.
        scores: how many were looked at.
        missing_scores: those that are not stored, each with its objects.
        replayed_scores: those that were replayed.
    """

    project: str
    batches: int = 0
    spans: int = 0
    deleted: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    spans_missing: dict[str, list[SpanId]] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    replayed: int = 0
    refused: dict[str, list[SpanId]] = field(default_factory=dict)
    scores: int = 0
    missing_scores: dict[str, list[str]] = field(default_factory=dict)
    replayed_scores: int = 0

    @property
    def left(self) -> bool:
        """Whether something is missing that was not replayed, or was and is still missing."""
        return (
            bool(self.refused)
            or self.replayed < len(self.missing)
            or self.replayed_scores < len(self.missing_scores)
        )

    @property
    def missing_spans(self) -> int:
        """How many spans are missing."""
        return sum(self.missing.values())

    def text(self) -> str:
        """Return it in one line."""
        parts = [f"{self.spans:,} spans in {self.batches:,} batches", f"{self.missing_spans:,} missing"]
        if self.deleted:
            parts.append(f"{self.deleted:,} deleted on purpose")
        if self.unreadable:
            parts.append(f"{len(self.unreadable):,} batches unreadable")
        if self.replayed:
            parts.append(f"{self.replayed:,} batches replayed")
        if self.refused:
            spans = sum(map(len, self.refused.values()))
            parts.append(f"{spans:,} spans refused (docs/runbooks/SpansMissing.md)")
        if self.scores:
            parts.append(f"{self.scores:,} scores, {len(self.missing_scores):,} missing")
        if self.replayed_scores:
            parts.append(f"{self.replayed_scores:,} scores replayed")
        return ", ".join(parts)
