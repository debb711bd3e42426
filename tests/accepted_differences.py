"""Where the engine answers differently from the recorded server on purpose, each with its reason.

One table for all suites that compare with recordings or vectors. An entry that no longer differs makes its
suite fail, so that the table cannot outlive its reasons.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Accepted:
    """One difference: the suite, the case as the suite names it, and why the engine differs."""

    suite: str
    case: str
    reason: str


_NUL_IS_TEXT = (
    "PostgreSQL cannot store U+0000, so the server answers 500; SQLite can, and a 500 is no contract"
)

ACCEPTED = (Accepted("prompt_validation", "name/nul", _NUL_IS_TEXT),)


def accepted_cases(suite: str) -> dict[str, str]:
    """Return the accepted cases of a suite with their reasons."""
    return {entry.case: entry.reason for entry in ACCEPTED if entry.suite == suite}
