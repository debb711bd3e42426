"""`config/backup.yaml`: how many backups are kept. Where they go, and the password, are in `.env`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.core.edited_file import parse_edited, read_edited
from scripts.core.errors import UsageError

PERIODS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")


@dataclass(frozen=True, slots=True)
class Policy:
    """How many backups of each period stay."""

    keep: tuple[tuple[str, int], ...]

    def options(self) -> list[str]:
        """Return the options of `restic forget`."""
        return [word for period, count in self.keep for word in (f"--keep-{period}", str(count))]


def load_policy(path: Path, shown: str) -> Policy:
    """Return the policy in a file; `shown` is what messages call it.

    Raises:
        UsageError: the file cannot be read, or would keep nothing.
    """
    document = parse_edited(read_edited(path, shown), shown)
    keep = document.get("keep") if isinstance(document, dict) else None
    if not isinstance(keep, dict) or set(document) != {"keep"}:
        raise UsageError(
            f"{shown} has to hold `keep:` and nothing else.", fix="write it as in the repository."
        )
    problems = [problem for period, count in keep.items() if (problem := _problem(period, count))]
    if not problems and not any(keep.values()):
        problems = ["it would keep no backup at all"]
    if problems:
        raise UsageError(
            f"{shown} cannot be used.",
            details=problems,
            fix=f"give a number from 0 on for any of {', '.join(PERIODS)}.",
        )
    return Policy(tuple((period, keep[period]) for period in PERIODS if keep.get(period)))


def _problem(period: Any, count: Any) -> str:
    if period not in PERIODS:
        return f"keep.{period} is not a period"
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        return f"keep.{period} is {count!r}"
    return ""
