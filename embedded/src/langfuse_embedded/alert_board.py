"""What alerts say about each project, as told by whoever evaluates them; kept until the engine stops.

The engine has no alerts: `make alerts-check` and the exporter of a stack evaluate them over the public API,
and tell the result, so that the overview can begin with what fires.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

FIRING = "firing"
STATES = (FIRING, "ok", "too_few", "no_data")
SEVERITIES = ("critical", "warning", "info")


@dataclass(frozen=True, slots=True)
class AlertState:
    """An alert on a project, or on one group in it (`group` may be empty).

    `value` is the left side of the condition, ``None`` without data; `runbook` a URL or a path of the stack.
    """

    name: str
    state: str
    severity: str
    condition: str
    window: str
    group: str = ""
    value: float | None = None
    runbook: str = ""
    description: str = ""

    @property
    def runbook_url(self) -> str:
        """The runbook as a link; empty where it is a path, or anything else that is not a page."""
        return self.runbook if self.runbook.startswith(("https://", "http://")) else ""


@dataclass(frozen=True, slots=True)
class Told:
    """What was told last, and when (Unix milliseconds)."""

    at: int
    alerts: Sequence[AlertState]

    @property
    def firing(self) -> list[AlertState]:
        """What fires, the most severe first."""
        found = [one for one in self.alerts if one.state == FIRING]
        return sorted(found, key=lambda one: (SEVERITIES.index(one.severity), one.name, one.group))

    @property
    def without_data(self) -> int:
        """How many of them have too little data to say anything."""
        return sum(one.state in ("too_few", "no_data") for one in self.alerts)


class AlertBoard:
    """What was told last of each project. Event loop only."""

    def __init__(self) -> None:
        self._told: dict[str, Told] = {}

    def tell(self, project_id: str, alerts: Iterable[Mapping[str, object]], now: int) -> None:
        """Replace what is known of a project; `alerts` have the fields of `AlertState`."""
        self._told[project_id] = Told(now, [AlertState(**one) for one in alerts])  # type: ignore[arg-type]

    def of(self, project_id: str) -> Told | None:
        """Return what was told last, ``None`` when nothing was since the engine started."""
        return self._told.get(project_id)

    def forget(self, project_id: str) -> None:
        """Forget what was told of a project."""
        self._told.pop(project_id, None)
