"""Do the SDK and the server fit together? A wrong pair loses scores without an error to the application.

Python SDK 5 posts scores as a JSON array, which servers before 4.59.0 refuse with 400; the SDK logs that and
drops them, while traces work. See https://langfuse.com/docs/observability/sdk/upgrade-path/python-v4-to-v5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FIRST_SDK_WITH_SCORE_ARRAYS = (5, 0, 0)
FIRST_SERVER_WITH_SCORE_ARRAYS = (4, 59, 0)
OLDEST_SDK_FOR_EVENTS_ONLY = (4, 14, 0)


@dataclass(frozen=True)
class PairCheck:
    """Outcome of writing a score with this SDK and reading it back from this server."""

    sdk: str
    server: str
    lost_because: str | None

    @property
    def fits(self) -> bool:
        """Whether the score came back."""
        return self.lost_because is None


def known_misfit(sdk: str, server: str) -> str | None:
    """Return why this pair of versions is known not to fit, with the way out; None where nothing is known."""
    if _parse(sdk) >= FIRST_SDK_WITH_SCORE_ARRAYS and _parse(server) < FIRST_SERVER_WITH_SCORE_ARRAYS:
        return (
            f"langfuse {sdk} sends scores as a JSON array, which servers before 4.59.0 refuse (400) and "
            f"the SDK only logs; this server says it is {server}. "
            "Use a server >= 4.59.0, or `langfuse>=4.14,<5`"
        )
    if _parse(sdk) < OLDEST_SDK_FOR_EVENTS_ONLY:
        return (
            f"langfuse {sdk} is older than what a v4 server takes. "
            "Use langfuse 5 with a server >= 4.59.0, or `langfuse>=4.14,<5` with a server from 4.16 on"
        )
    return None


def explain_loss(sdk: str, server: str, sdk_log: list[str], waited: str) -> str:
    """Compose the message for a score that did not come back."""
    misfit = known_misfit(sdk, server)
    reason = misfit or f"langfuse {sdk} and server {server} should fit: the fault is elsewhere"
    log = "\n    ".join(sdk_log) or "(silent)"
    return (
        f"a score written by the SDK cannot be read back.\n  {reason}.\n"
        f"  the SDK logged:\n    {log}\n{waited}"
    )


def _parse(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
