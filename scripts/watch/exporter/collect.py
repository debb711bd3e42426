"""What the exporter does over and over: read projects, look at the server, run the canary."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from scripts.api.client import AsyncApi
from scripts.api.errors import ApiError, reason_of
from scripts.api.keys import ProjectKey, project_keys, why_no_keys
from scripts.core.heartbeats import last_successes
from scripts.data.reconcile.compose import Reconciler
from scripts.data.reconcile.watch import Watch, try_run
from scripts.stores.clickhouse import ClickHouse
from scripts.stores.network import NetworkServices
from scripts.stores.postgres import Postgres
from scripts.watch.alerts.document import AlertFileError, load_alerts
from scripts.watch.alerts.evaluate import Values
from scripts.watch.alerts.model import AlertFile
from scripts.watch.alerts.queries import Query, plan_queries, values
from scripts.watch.alerts.reader import KeptByAgent, MetricsError, read_answers
from scripts.watch.alerts.readings import find
from scripts.watch.alerts.series import Series, all_series
from scripts.watch.alerts.telling import tell

from .canary import Canary
from .certificate import certificate_end, host_of
from .config import ExporterConfig
from .telemetry import Telemetry

log = logging.getLogger("exporter")

_BATCHES_IN_MEMORY = 16
_READINGS_PER_AGENTS = 5
"""Amounts by agent take two queries for each agent, so they are asked for with every fifth reading only."""
_PATIENCE_S = 20.0
"""How long nothing more may arrive of what was replayed: canaries arrive meanwhile."""


class Exporter:
    """Keeps the telemetry up to date. Failures are counted and logged, and never end it."""

    def __init__(self, config: ExporterConfig, telemetry: Telemetry, client: AsyncApi) -> None:
        self._config = config
        self._telemetry = telemetry
        self._client = client
        self._slots = asyncio.Semaphore(config.parallel)
        # Half an interval less, as a reading does not begin to the second.
        self._kept = KeptByAgent((_READINGS_PER_AGENTS - 0.5) * config.interval_s)
        self._file_time = 0.0
        self._file: AlertFile | None = None
        self._series: list[Series] = []
        self._queries: list[Query] = []
        self._server_seen = asyncio.Event()
        self._has_overview = True
        self._last_canary = time.time() if config.canary_interval_s > 0 else None
        self._watch = _watch_of(config, lambda: self._last_canary) if config.reconcile_s > 0 else None

    async def forever(self) -> None:
        """Work until cancelled."""
        work = [
            self._every(self._config.interval_s, self.read_projects),
            self._every(min(15.0, self._config.interval_s), self.look_at_server),
        ]
        if self._config.canary_interval_s > 0:
            work.append(self._every(self._config.canary_interval_s, self.run_canary))
        if self._watch is not None:
            work.append(self._every(self._config.reconcile_s, self.reconcile))
        await asyncio.gather(*work)

    async def read_projects(self) -> None:
        """Read the metrics of all projects once."""
        start = time.monotonic()
        self._load_alerts()
        keys = project_keys(self._config.credentials_dir)
        if self._file:
            variables = {key.project: self._file.values(key.project) for key in keys}
            self._telemetry.readings.set_variables(variables)
        self._telemetry.readings.forget_others({key.project for key in keys})
        await asyncio.gather(*(self._read_project(key) for key in keys))
        self._telemetry.cycle_seconds.set(time.monotonic() - start)

    async def look_at_server(self) -> None:
        """Read health, version, clock, queues, marks of jobs and the certificate once."""
        await self._look_at_health()
        if self._config.admin_api_key:
            await self._look_at_queues()
        for job, moment in last_successes(self._config.heartbeats_dir).items():
            self._telemetry.job_success.labels(job).set(moment)
        await self._look_at_certificate()

    async def run_canary(self) -> None:
        """Write a canary and read it back; the first one waits for the server.

        After a restart of the host everything starts at once: that the exporter was faster is not a fault. A
        server that does not come is one, and has an alert of its own.
        """
        await self._server_seen.wait()
        keys = project_keys(self._config.credentials_dir)
        wanted = self._config.canary_project
        key = next((key for key in keys if key.project == wanted or not wanted), None)
        if key is None:
            self._failed("canary", "no_credentials", why_no_keys(self._config.credentials_dir))
            return
        canary = Canary(self._client, key, self._config.canary_deadline_s, self._config.canary_slow_s)
        began = time.time()
        run = await canary.run()
        if run.complete:
            self._last_canary = began
        self._telemetry.observe_canary(run)
        if run.failed or run.detail:
            log.warning("canary %s at %s: %s", run.result.value, run.failed or "the end", run.detail)

    async def reconcile(self) -> None:
        """Look once for what was acknowledged and is not stored, and replay what is lost."""
        assert self._watch is not None  # noqa: S101 - else nothing calls this
        await self._server_seen.wait()
        problem = await asyncio.to_thread(try_run, self._watch)
        self._telemetry.observe_watch(self._watch, complete=not problem)
        if problem:
            self._failed("reconcile", "failed", problem)

    def _load_alerts(self) -> None:
        try:
            changed = self._config.alerts_path.stat().st_mtime
            if changed == self._file_time:
                return
            self._file = load_alerts(self._config.alerts_path, self._config.alerts_path.name)
        except (OSError, AlertFileError) as error:
            # What was read before stays in force: a typo must not end all alerts.
            self._telemetry.config_ok.set(0)
            self._failed("alerts_file", "invalid", str(error))
            return
        self._file_time = changed
        self._series = all_series(self._file)
        self._queries = plan_queries(self._series)
        self._telemetry.config_ok.set(1)
        log.info("%d alerts, %d queries per project", len(self._file.alerts), len(self._queries))

    async def _read_project(self, key: ProjectKey) -> None:
        now = datetime.now(UTC)
        try:
            answers = await read_answers(
                self._client, key, self._queries, now, slots=self._slots, kept=self._kept
            )
        except MetricsError as error:
            self._telemetry.project_up.labels(key.project).set(0)
            self._failed("metrics", error.reason, error.message)
            return
        read = {series: values(series, answers, now) for series in self._series}
        dropped = self._telemetry.readings.keep(key.project, read)
        self._telemetry.dropped_groups.labels(key.project).set(dropped)
        self._telemetry.queries.labels(key.project).inc(answers.asked)
        self._telemetry.project_up.labels(key.project).set(1)
        self._telemetry.read_at.labels(key.project).set_to_current_time()
        await self._tell(key, read)

    async def _tell(self, key: ProjectKey, read: Values) -> None:
        """Tell the embedded engine what alerts say; other servers are asked once if they want to."""
        if self._file is None or not self._has_overview:
            return
        try:
            self._has_overview = await tell(self._client, key, find(self._file, {key.project: read}))
        except ApiError as error:
            self._failed("overview", "untold", reason_of(error))

    async def _look_at_health(self) -> None:
        try:
            answer = await self._client.request("GET", "health", query={"failIfDatabaseUnavailable": "true"})
            self._telemetry.server_up.set(answer.is_success)
            if answer.is_success:
                self._server_seen.set()
            version = str(answer.json().get("version", ""))
            self._telemetry.observe_version(version, self._config.expected_version)
        except (ApiError, ValueError, AttributeError) as error:
            self._telemetry.server_up.set(0)
            self._failed("health", "unreachable", reason_of(error))
            return
        if date := answer.headers.get("date"):
            skew = (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
            # The header has whole seconds: up to one second below is not skew.
            self._telemetry.clock_skew.set(0 if -1 <= skew <= 0 else skew)

    async def _look_at_certificate(self) -> None:
        place = host_of(self._config.public_url)
        if place is None:
            return
        host, port = place[0], self._config.certificate_port or place[1]
        end = await asyncio.to_thread(
            certificate_end, host, port, known_authority=self._config.known_authority
        )
        if end is not None:
            self._telemetry.certificate_expiry.labels(host).set(end)

    async def _look_at_queues(self) -> None:
        try:
            for queue in await self._client.get("/api/admin/bullmq", keys=self._config.admin_api_key):
                for state, jobs in queue.get("jobCount", {}).items():
                    self._telemetry.queue_jobs.labels(queue["queueName"], state).set(jobs)
        except (ApiError, AttributeError, KeyError, TypeError) as error:
            self._telemetry.queue_jobs.clear()
            self._failed("queues", "failed", reason_of(error))

    def _failed(self, source: str, reason: str, detail: str) -> None:
        self._telemetry.failures.labels(source, reason).inc()
        log.warning("%s: %s: %s", source, reason, detail)

    async def _every(self, interval_s: float, do: Callable[[], Awaitable[None]]) -> None:
        while True:
            start = time.monotonic()
            try:
                await do()
            except Exception:
                # A fault of ours must not end the watch over everything else; it is counted and shown.
                log.exception("the exporter failed")
                self._telemetry.failures.labels("exporter", "bug").inc()
            await asyncio.sleep(max(0.0, interval_s - (time.monotonic() - start)))


def _watch_of(config: ExporterConfig, last_canary: Callable[[], float | None]) -> Watch | None:
    """Return what looks for missing spans, or None where the stores cannot be reached."""
    if config.stores is None:
        return None
    services: Any = NetworkServices(config.stores.values)
    reconciler = Reconciler(
        config.stores,
        Postgres(services),
        ClickHouse(services, config.stores["CLICKHOUSE_DB"]),
        config.base_url,
        batches_a_question=_BATCHES_IN_MEMORY,
        patience_s=_PATIENCE_S,
        strict=False,
    )
    return Watch(reconciler, last_canary)
