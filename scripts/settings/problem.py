"""What is wrong with a setting: where it stands, why it cannot be used, and what to write instead."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """A value that cannot be used.

    Attributes:
        name: the variable, or several joined with `and`.
        place: where its value stands: `.env:12` or `environment`.
        reason: what is wrong; never contains a secret.
        fix: what to write instead.
    """

    name: str
    place: str
    reason: str
    fix: str

    def __str__(self) -> str:
        return f"{self.name} ({self.place}): {self.reason}; {self.fix}"
