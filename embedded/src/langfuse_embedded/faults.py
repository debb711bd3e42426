"""Faults on purpose: what to do to which requests, so that clients can show how they take it.

A list such as `503:0.1,slow:0.05:250ms,429:x3:2s@/api/public/otel` has entries of the form
`KIND:HOW_OFTEN[:AMOUNT][@PATH]`:

- KIND: `429` and `503` answer so, `slow` answers late, `drop` closes the connection without an answer;
- HOW_OFTEN: a share of the requests from 0 to 1, or `x3` for the next three;
- AMOUNT: the `Retry-After` of 429 and 503 (default 1 s), the delay of `slow` (default 1 s), in `s` or `ms`;
- PATH: what the path begins with; without it every path of the API but health and readiness.

The first entry that hits a request is applied.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

NONE = "none"
"""A list without faults, which can be replaced while the engine runs."""

_ENTRY = re.compile(
    r"(?P<kind>429|503|slow|drop):(?:x(?P<times>\d{1,9})|(?P<share>0(?:\.\d+)?|1(?:\.0+)?|\.\d+))"
    r"(?::(?P<amount>\d{1,9})(?P<unit>ms|s))?(?:@(?P<path>/[^\s,]*))?"
)
_API = "/api/public/"
_SPARED = ("/api/public/health", "/api/public/ready")


class FaultsUnreadable(ValueError):
    """The list of faults has an entry that means nothing; the text names it and shows a good one."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of the list. `share` counts when `times` is ``None``; `amount_ms` is in milliseconds."""

    kind: str
    share: float
    times: int | None
    amount_ms: int
    path: str

    @property
    def retry_after(self) -> int:
        """What `Retry-After` says: whole seconds, rounded up."""
        return math.ceil(self.amount_ms / 1000)

    def concerns(self, path: str) -> bool:
        """Return whether a request for this path can be hit."""
        return path.startswith(self.path) and path.startswith(_API) and path not in _SPARED


def parse_faults(text: str) -> tuple[Fault, ...]:
    """Return the faults of a list; an empty list or `none` has none.

    Raises:
        FaultsUnreadable: an entry means nothing.
    """
    entries = [part.strip() for part in text.split(",") if part.strip()]
    return () if entries in ([], [NONE]) else tuple(map(_fault, entries))


def _fault(entry: str) -> Fault:
    match = _ENTRY.fullmatch(entry)
    if match is None:
        raise FaultsUnreadable(
            f"{entry!r} is not a fault: write 503:0.1, slow:0.05:250ms or 429:x3:2s@/api/public/otel"
        )
    amount = int(match["amount"] or 1) * (1 if match["unit"] == "ms" else 1000)
    times = int(match["times"]) if match["times"] else None
    return Fault(match["kind"], float(match["share"] or 1), times, amount, match["path"] or "")


class FaultPlan:
    """The faults in force. Which requests a share hits is the same in every run."""

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self.replace(faults)

    def replace(self, faults: Sequence[Fault]) -> None:
        """Put other faults into force, and count from the beginning."""
        self.injected: Counter[str] = Counter()
        self._left = [(fault, fault.times) for fault in faults]
        self._random = random.Random(0)  # noqa: S311 - to be the same in every run, not to be secret

    def draw(self, path: str) -> Fault | None:
        """Return the fault that hits a request for this path, and count it."""
        for place, (fault, left) in enumerate(self._left):
            if not fault.concerns(path) or left == 0:
                continue
            if left is None and self._random.random() >= fault.share:
                continue
            if left is not None:
                self._left[place] = (fault, left - 1)
            self.injected[fault.kind] += 1
            return fault
        return None
