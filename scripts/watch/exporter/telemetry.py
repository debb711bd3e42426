"""The exporter's Prometheus metrics, and how the readings of projects become samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from scripts.core.compatibility import supported_sdks, version_of
from scripts.core.outside import label_value
from scripts.data.reconcile.watch import Watch
from scripts.watch.alerts.series import LABEL_NAMES, PROJECT, Series

from .canary import Result, Run, Step

NAMED_SPANS = 20
"""How many refused spans have a series of their own."""

Values = Mapping[Series, Mapping[str, float]]
KNOWN_FAILURES = (
    *(("metrics", reason) for reason in ("refused", "failed", "timeout", "unreachable", "malformed")),
    ("health", "unreachable"),
    ("queues", "failed"),
    ("canary", "no_credentials"),
    ("alerts_file", "invalid"),
    ("reconcile", "failed"),
    ("exporter", "bug"),
)


@dataclass(frozen=True, slots=True)
class Reading:
    """The values of one project.

    Attributes:
        taken: on the monotonic clock.
    """

    values: Values
    taken: float


@dataclass(slots=True)
class Readings(Collector):
    """The last reading of every project; too old ones are not shown.

    Attributes:
        max_groups: how many groups of a series are shown, the largest first.
    """

    stale_s: float
    max_groups: int
    clock: Callable[[], float] = time.monotonic
    by_project: dict[str, Reading] = field(default_factory=dict)
    _variables: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    _shown: tuple[object, bytes] = (None, b"")

    def set_variables(self, variables: Mapping[str, Mapping[str, float]]) -> None:
        """Show these variables of each project."""
        if variables != self._variables:
            self._variables = variables
            self._shown = (None, b"")

    def keep(self, project: str, values: Values) -> int:
        """Keep a reading; return how many groups had to be left out."""
        kept: dict[Series, Mapping[str, float]] = {}
        dropped = 0
        for series, groups in values.items():
            dropped += max(0, len(groups) - self.max_groups)
            # The Metrics API lists groups by size.
            largest = list(groups.items())[: self.max_groups]
            kept[series] = {label_value(group): value for group, value in largest}
        self.by_project[project] = Reading(kept, self.clock())
        return dropped

    def forget_others(self, projects: set[str]) -> None:
        """Drop the readings of projects that are no more."""
        for project in set(self.by_project) - projects:
            del self.by_project[project]

    def fresh(self) -> Iterator[tuple[str, Reading]]:
        """Yield the readings that are not too old."""
        oldest = self.clock() - self.stale_s
        for project, reading in self.by_project.items():
            if reading.taken >= oldest:
                yield project, reading

    def exposition(self) -> bytes:
        """Return the samples in Prometheus's text form, written anew only when a reading has come or gone."""
        state = [(project, reading.taken) for project, reading in self.fresh()]
        if self._shown[0] != state:
            self._shown = (state, generate_latest(self))
        return self._shown[1]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield one family for each metric, and the variables of alerts for dashboards."""
        families: dict[str, GaugeMetricFamily] = {}
        for project, reading in self.fresh():
            for series, groups in reading.values.items():
                family = families.get(series.family)
                if family is None:
                    text = "Statistic over a window, from the Metrics API; statistic=count counts values."
                    family = families[series.family] = GaugeMetricFamily(
                        series.family, text, labels=LABEL_NAMES
                    )
                labels = series.labels()
                own = [labels.get(name, "") for name in LABEL_NAMES[:-2]]
                for group, value in groups.items():
                    family.add_metric([*own, project, group], value)
        yield from families.values()
        variables = GaugeMetricFamily(
            "langfuse_alert_variable",
            "A number that conditions name, such as a budget.",
            labels=[PROJECT, "variable"],
        )
        for project, values in self._variables.items():
            for name, value in values.items():
                variables.add_metric([project, name], value)
        yield variables


class Telemetry:
    """All metrics of one exporter: its own on a registry, and the readings."""

    def __init__(self, readings: Readings) -> None:
        self.registry = registry = CollectorRegistry()
        self.readings = readings
        self.last_canary: Run | None = None
        self.project_up = Gauge(
            "langfuse_exporter_project_up",
            "Whether the last reading of the project succeeded.",
            [PROJECT],
            registry=registry,
        )
        self.read_at = Gauge(
            "langfuse_exporter_last_read_timestamp_seconds",
            "When the project was read successfully the last time.",
            [PROJECT],
            registry=registry,
        )
        self.queries = Counter(
            "langfuse_exporter_queries", "Queries sent to the Metrics API.", [PROJECT], registry=registry
        )
        self.failures = Counter(
            "langfuse_exporter_failures",
            "Readings that failed.",
            ["source", "reason"],
            registry=registry,
        )
        for source, reason in KNOWN_FAILURES:  # a rate needs the 0 before the first failure
            self.failures.labels(source, reason)
        self.dropped_groups = Gauge(
            "langfuse_exporter_dropped_groups",
            "Groups left out of the last reading because a series has too many.",
            [PROJECT],
            registry=registry,
        )
        self.cycle_seconds = Gauge(
            "langfuse_exporter_cycle_seconds",
            "How long the last reading of all projects took.",
            registry=registry,
        )
        self.config_ok = Gauge(
            "langfuse_exporter_config_ok",
            "Whether config/alerts.yaml could be read the last time.",
            registry=registry,
        )
        self.server_up = Gauge(
            "langfuse_up", "Whether the server answers that it is healthy.", registry=registry
        )
        self.server = Info("langfuse_server", "The server as it describes itself.", registry=registry)
        self.version_as_set = Gauge(
            "langfuse_server_version_as_set",
            "Whether the server has the version of LANGFUSE_VERSION.",
            registry=registry,
        )
        self.supports_sdk = Gauge(
            "langfuse_server_supports_sdk",
            "Whether a line of SDKs works with this version of the server.",
            ["sdk"],
            registry=registry,
        )
        self.queue_jobs = Gauge(
            "langfuse_queue_jobs", "Jobs in the server's queues.", ["queue", "state"], registry=registry
        )
        self.job_success = Gauge(
            "langfuse_stack_job_last_success_timestamp_seconds",
            "When a job of the stack, such as backup, succeeded the last time.",
            ["task"],
            registry=registry,
        )
        self.certificate_expiry = Gauge(
            "langfuse_certificate_expiry_timestamp_seconds",
            "When the certificate of the public URL ends; 0 when it is not valid now.",
            ["host"],
            registry=registry,
        )
        self.clock_skew = Gauge(
            "langfuse_clock_skew_seconds", "The server's clock minus the exporter's.", registry=registry
        )
        self._add_canary(registry)
        # Registered with the first look: without stores there is none.
        self.reconcile_looked = Gauge(
            "langfuse_reconcile_last_look_timestamp_seconds",
            "When everything that came in was looked for in ClickHouse the last time.",
            registry=None,
        )
        self.reconcile_missing = Gauge(
            "langfuse_reconcile_missing_spans",
            "Spans that were acknowledged and are not stored: on their way, lost or refused.",
            registry=registry,
        )
        self.reconcile_replayed = Gauge(
            "langfuse_reconcile_replayed_spans",
            "Lost spans that were brought back since the exporter started.",
            registry=registry,
        )
        self.refused_span = Gauge(
            "langfuse_reconcile_refused_span",
            "1 for a span that is not stored in spite of its replays; the first 20.",
            [PROJECT, "trace_id", "span_id", "batch"],
            registry=registry,
        )
        self._has_looked = False

    def observe_watch(self, watch: Watch, *, complete: bool) -> None:
        """Show what a look for missing spans has found."""
        if complete and not self._has_looked:
            self._has_looked = True
            self.registry.register(self.reconcile_looked)
        if complete:
            self.reconcile_looked.set_to_current_time()
        self.reconcile_missing.set(watch.missing())
        self.reconcile_replayed.set(watch.replayed)
        self.refused_span.clear()
        named = ((key, one.project, span) for key, one in watch.refused() for span in one.spans)
        for key, project, span in islice(named, NAMED_SPANS):
            self.refused_span.labels(project, *map(label_value, (span.trace, span.span, key))).set(1)

    def _add_canary(self, registry: CollectorRegistry) -> None:
        # Registered with the first run: before it, 0 would be a false alarm.
        self.canary_up = Gauge(
            "langfuse_canary_up", "Whether the last canary was written and read back.", registry=None
        )
        self.canary_runs = Counter(
            "langfuse_canary_runs", "Canaries by result.", ["result"], registry=registry
        )
        self.canary_failing = Gauge(
            "langfuse_canary_failing",
            "1 for the result of the last canary, unless ok.",
            ["result"],
            registry=registry,
        )
        self.canary_success = Gauge(
            "langfuse_canary_last_success_timestamp_seconds",
            "When a canary was read back the last time; before the first time, when the exporter started.",
            registry=registry,
        )
        self.canary_success.set_to_current_time()
        self.canary_seconds = Histogram(
            "langfuse_canary_duration_seconds",
            "How long the steps of canaries took.",
            ["step"],
            registry=registry,
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60),
        )
        for result in Result:
            self.canary_runs.labels(result.value)
        for step in Step:
            self.canary_seconds.labels(step.value)

    def exposition(self) -> bytes:
        """Return everything in Prometheus's text form."""
        return generate_latest(self.registry) + self.readings.exposition()

    def observe_version(self, version: str, expected: str) -> None:
        """Compare the server's version with what is set and with what SDKs need."""
        self.server.info({"version": version})
        if version_of(version) and version_of(expected):
            self.version_as_set.set(version_of(version) == version_of(expected))
        for sdk, works in supported_sdks(version).items():
            self.supports_sdk.labels(sdk).set(works)

    def observe_canary(self, run: Run) -> None:
        """Count a run of the canary."""
        if self.last_canary is None:
            self.registry.register(self.canary_up)
        self.last_canary = run
        self.canary_runs.labels(run.result.value).inc()
        self.canary_up.set(run.complete)
        for result in Result:
            if result is not Result.OK:
                self.canary_failing.labels(result.value).set(run.result is result)
        if run.complete:
            self.canary_success.set_to_current_time()
        for step, seconds in run.seconds.items():
            self.canary_seconds.labels(step.value).observe(seconds)
