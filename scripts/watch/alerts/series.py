"""The numbers that alerts and dashboards need: which they are, and how Prometheus calls them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .catalog import SCORE_FAMILY, find_metric, is_score, score_name
from .expression import Aggregate, Criterion, aggregates
from .model import Alert, AlertFile, Window

Filters = tuple[tuple[str, tuple[str, ...]], ...]
PROJECT, GROUP = "project", "group"


@dataclass(frozen=True, slots=True)
class Series:
    """One statistic of one metric over a window, of every project and, with `group_by`, of every group.

    Attributes:
        test: what a `share` counts.
        categorical: whether the metric is a score whose values are texts.
    """

    metric: str
    statistic: str
    window: Window
    test: Criterion | None = None
    group_by: str = ""
    filters: Filters = ()
    excluded: Filters = ()
    categorical: bool = False

    @property
    def family(self) -> str:
        """The Prometheus metric."""
        return find_metric(self.metric, categorical=self.categorical).family

    def labels(self) -> dict[str, str]:
        """Return the Prometheus labels that tell it from others of its family."""
        score = {"score": score_name(self.metric)} if self.family == SCORE_FAMILY else {}
        return {
            **score,
            "statistic": self.statistic if self.test is None else f"share {self.test}",
            "window": self.window.text,
            "by": self.group_by,
            "selection": ",".join(
                f"{key}{operator}{'|'.join(values)}"
                for chosen, operator in ((self.filters, "="), (self.excluded, "!="))
                for key, values in chosen
            ),
        }


LABEL_NAMES = ("score", "statistic", "window", "by", "selection", PROJECT, GROUP)


def series_of(alert: Alert, aggregate: Aggregate) -> Series:
    """Return what an aggregate of an alert's condition stands for."""
    metric = aggregate.metric or alert.metric
    return Series(
        metric,
        aggregate.function,
        alert.window,
        aggregate.test,
        alert.group_by,
        alert.filters,
        alert.excluded,
        categorical=is_score(metric) and _has_texts(alert, metric),
    )


def _has_texts(alert: Alert, metric: str) -> bool:
    return any(
        isinstance(item.test.value, str)
        for item in aggregates(alert.condition)
        if item.test and (item.metric or alert.metric) == metric
    )


def sample_count(alert: Alert) -> Series:
    """Return the series that says how many values of its metric an alert is about."""
    return series_of(alert, Aggregate("count", "", None, 0))


def alert_series(alert: Alert) -> Iterator[Series]:
    """Yield the series that an alert needs."""
    yield sample_count(alert)
    for aggregate in aggregates(alert.condition):
        yield series_of(alert, aggregate)


def all_series(file: AlertFile) -> list[Series]:
    """Return every series that alerts and dashboards need, once."""
    wanted = {series: None for alert in file.alerts for series in alert_series(alert)}
    for observed in file.observed:
        for statistic in observed.statistics:
            wanted[Series(observed.metric, statistic, observed.window, group_by=observed.group_by)] = None
    return list(wanted)
