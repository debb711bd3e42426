"""What reconciling finds in a project."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Findings:
    """What was acknowledged in a project, and what of it cannot be read.

    Attributes:
        batches: how many were looked at.
        spans: in these batches, each counted once.
        deleted: spans of traces that were deleted on purpose.
        missing: spans that can be read nowhere, by the batch that has them.
        unreadable: batches that hold something else than spans.
    """

    project: str
    batches: int = 0
    spans: int = 0
    deleted: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    replayed: int = 0

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
        return ", ".join(parts)
