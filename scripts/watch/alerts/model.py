"""What a checked `config/alerts.yaml` holds."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from .expression import Condition

_DURATION = re.compile(r"^([1-9]\d*)(s|m|h|d|w)$")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
CALENDAR = ("day", "month")
LONGEST_WINDOW_S = 31 * 86400


def duration_seconds(text: str) -> int:
    """Return the seconds of `30s`, `5m`, `1h`, `7d` or `2w`. Raises ValueError."""
    match = _DURATION.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration: write 30s, 5m, 1h, 7d or 2w")
    return int(match[1]) * _SECONDS[match[2]]


@dataclass(frozen=True, slots=True)
class Window:
    """The time that a statistic covers: the last `1h`, or the `day` or `month` so far, in UTC."""

    text: str

    @property
    def calendar(self) -> bool:
        """Whether it begins with the day or the month."""
        return self.text in CALENDAR

    @property
    def seconds(self) -> int:
        """How long it is; of a calendar window: at most."""
        return {"day": 86400, "month": LONGEST_WINDOW_S}.get(self.text) or duration_seconds(self.text)

    def start(self, now: datetime) -> datetime:
        """Return where the window that ends `now` begins."""
        if self.text == "day":
            return now.replace(hour=0, minute=0, second=0, microsecond=0)
        if self.text == "month":
            return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return now - timedelta(seconds=duration_seconds(self.text))

    def elapsed(self, now: datetime) -> float:
        """Return which part of the calendar period is over, in (0, 1]."""
        start = self.start(now.astimezone(UTC))
        days = 1 if self.text == "day" else monthrange(start.year, start.month)[1]
        return (now - start) / timedelta(days=days)


class Severity(StrEnum):
    """How urgent an alert is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class NoData(StrEnum):
    """What it means that there is nothing to measure.

    WENT_SILENT: an alert where there was data within a week; ALWAYS: an alert even where there never was any;
    IGNORE: nothing.
    """

    WENT_SILENT = "alert"
    ALWAYS = "always"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert, checked.

    Attributes:
        condition_text: as written; `condition` is its tree.
        filters: dimension -> accepted values, sorted by dimension.
        excluded: dimension -> values that are left out, sorted by dimension.
        hold: `for`: how long the condition must hold, as written.
        projects: to watch; empty: all.
        runbook: path or URL of what to do.
    """

    name: str
    metric: str
    condition_text: str
    condition: Condition
    window: Window
    actions: tuple[str, ...]
    projects: tuple[str, ...] = ()
    filters: tuple[tuple[str, tuple[str, ...]], ...] = ()
    excluded: tuple[tuple[str, tuple[str, ...]], ...] = ()
    group_by: str = ""
    severity: Severity = Severity.WARNING
    hold: str = "0s"
    min_samples: int = 1
    no_data: NoData = NoData.WENT_SILENT
    runbook: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """Statistics that are exported for dashboards, without an alert."""

    metric: str
    statistics: tuple[str, ...]
    window: Window
    group_by: str = ""


class ActionType(StrEnum):
    """Where messages go."""

    SLACK = "slack"
    PAGERDUTY = "pagerduty"
    EMAIL = "email"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Action:
    """A receiver of messages. Secrets are in files of the secrets directory, named here.

    Attributes:
        secret: name of the file with the Slack URL, the PagerDuty routing key, the password of the mail
            server, or the bearer token of a webhook.
        options: the other keys of its type.
    """

    name: str
    type: ActionType
    secret: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Variable:
    """A number that conditions name: one for all projects, and others for single projects."""

    default: float
    projects: Mapping[str, float] = field(default_factory=dict)

    def of(self, project: str) -> float:
        """Return the value for a project."""
        return self.projects.get(project, self.default)


# In this repository; the rules about the stack itself name them so.
RUNBOOKS = "docs/runbooks/"


@dataclass(frozen=True, slots=True)
class AlertFile:
    """A whole checked file.

    Attributes:
        stack_actions: who hears of the alerts about the stack itself, by severity.
        watchdog: the action that gets the alert which always fires, to notice when it stops.
        repeat_every: how often a message is repeated while an alert fires.
        runbooks: where the pages are, as a path or a URL; a slash at the end.
    """

    alerts: tuple[Alert, ...]
    observed: tuple[Observed, ...] = ()
    actions: Mapping[str, Action] = field(default_factory=dict)
    variables: Mapping[str, Variable] = field(default_factory=dict)
    stack_actions: Mapping[Severity, tuple[str, ...]] = field(default_factory=dict)
    watchdog: str = ""
    repeat_every: str = "4h"
    runbooks: str = RUNBOOKS

    def values(self, project: str) -> dict[str, float]:
        """Return the variables as a project sees them."""
        return {name: variable.of(project) for name, variable in self.variables.items()}
