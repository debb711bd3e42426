"""Stand-in for the worker: takes jobs from Valkey, reads their objects, writes rows to ClickHouse.

Not Langfuse: it rehearses what the containers around it must offer. Like the worker it holds rows in memory
when their job is done (clickhouse_writer.py), and lives on after SIGTERM when all is written.
What it does wrong on purpose is told to it through Valkey (queues.FAULTS) or `REHEARSAL_WORKER_FAULT`.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import botocore.exceptions
import httpx
import psycopg
import redis

from langfuse_embedded.otlp.batch import DecodeError
from langfuse_embedded.store.score_rows import Score, StoredScore, merged

from .clickhouse_writer import ClickHouseWriter
from .migrations import finish_background_migrations
from .postgres import Postgres
from .queues import INGESTION, OTEL, SCORE_DELETE, SECONDARY, TRACE_DELETE, Queues
from .rows import event_rows, file_row, score_row
from .statsd import Statsd
from .stores import Bucket, ClickHouse, open_postgres, open_valkey, verify

log = logging.getLogger("rehearsal.worker")

NEXT_TRY_S = 0.25
TAKE_TIMEOUT_S = 0.25
STOP_S = 30.0
STORE_AWAY = (
    redis.RedisError,
    psycopg.Error,
    httpx.HTTPError,
    botocore.exceptions.BotoCoreError,
    botocore.exceptions.ClientError,
)
_OF_TRACES = "WHERE project_id = {project:String} AND trace_id IN {ids:Array(String)}"


class Worker:
    """The one consumer of the queues."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._queues = Queues(open_valkey(environment))
        self._postgres = Postgres(environment)
        self._clickhouse = ClickHouse.of(environment)
        self._events = Bucket.of(environment, "EVENT_UPLOAD")
        self._statsd = Statsd.of(environment)
        self.writer = ClickHouseWriter(
            self._clickhouse,
            self._statsd,
            int(environment["LANGFUSE_INGESTION_CLICKHOUSE_MAX_ATTEMPTS"]),
            int(environment["LANGFUSE_INGESTION_CLICKHOUSE_WRITE_INTERVAL_MS"]) / 1000,
            sets_aside=loads(environment, "writeToClickhouse"),
        )
        self._stopping = threading.Event()
        self._stopped = threading.Event()
        self._fault = environment.get("REHEARSAL_WORKER_FAULT", "")
        self._jobs: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            OTEL: self._write_spans,
            INGESTION: self._write_score,
            SECONDARY: self._write_score,
            TRACE_DELETE: self._delete_traces,
            SCORE_DELETE: self._delete_scores,
        }

    def stop(self, timeout_s: float) -> None:
        """Finish the job at hand, then write what is held, once."""
        self._stopping.set()
        self._stopped.wait(timeout_s)
        self.writer.flush_all(whole=True)
        log.info("Clickhouse writer has been shut down.")

    def run(self) -> None:
        """Work until `stop`; a store that is away is waited for."""
        recovered = False
        while not self._stopping.is_set():
            try:
                if not recovered:
                    if count := self._queues.recover():
                        log.info("%d jobs that a killed worker had taken go back", count)
                    recovered = True
                self._statsd.show(self._queues)
                self._next()
            except STORE_AWAY as error:
                # The job stays among those taken and is found there again.
                log.warning("a store is away: %s", error)
                recovered = False
                time.sleep(NEXT_TRY_S)
        self._stopped.set()

    def _next(self) -> None:
        if self._told() == "stall":
            time.sleep(NEXT_TRY_S)
            return
        taken = self._queues.take(TAKE_TIMEOUT_S)
        if taken is None:
            # No job is at hand here, so one among those taken went into a connection that was cut. BullMQ
            # finds it when its lock has ended, after 30 s.
            if count := self._queues.recover():
                log.info("%d jobs that were taken over a lost connection go back", count)
            return
        queue, text = taken
        job = json.loads(text)
        # What was said last counts: the job may have been waited for since before.
        fault = self._told()
        try:
            if fault == "fail":
                raise ValueError("told to fail")
            if fault == "drop":
                self._statsd.dropped("events_full", 1)
                log.error("ClickhouseWriter: Max attempts reached, dropped %s: told to drop", job)
            else:
                self._jobs[queue](job)
        except (ValueError, KeyError, TypeError, DecodeError) as error:
            log.error("a job of %s failed: %s: %s", queue, job, error)
            self._queues.failed(queue, text)
            return
        self._queues.done(queue, text)

    def _told(self) -> str:
        return self._fault or self._queues.fault

    def _write_spans(self, job: Mapping[str, Any]) -> None:
        spans = json.loads(self._events.get(job["key"]))
        self.writer.add("events_full", event_rows(job["project_id"], job["key"], spans))

    def _write_score(self, job: Mapping[str, Any]) -> None:
        project_id = job["project_id"]
        for score in json.loads(self._events.get(job["key"])):
            self.writer.add("scores", [score_row(project_id, self._merged(project_id, score))])
            log_row = file_row(project_id, "score", score["id"], self._events.name, job["key"])
            self.writer.add("blob_storage_file_log", [log_row])

    def _merged(self, project_id: str, score: Score) -> Score:
        """Return a score with what came in of it before. The server has that from the events bucket."""
        self.writer.flush("scores")
        found = self._clickhouse.rows(
            "SELECT rehearsal_source AS source FROM scores WHERE project_id = {project:String}"
            " AND id = {id:String} ORDER BY event_ts DESC LIMIT 1",
            project=project_id,
            id=score["id"],
        )
        if not found:
            return score
        earlier: Score = json.loads(found[0]["source"])
        later = _stored(score)
        return merged(_stored(earlier), later, later["updated_at"])

    def _delete_traces(self, job: Mapping[str, Any]) -> None:
        # The server deletes some seconds later: what came in before is written by then.
        self.writer.flush_all(whole=True)
        project_id, trace_ids = job["project_id"], job["ids"]
        arguments = {"project": project_id, "ids": _array(trace_ids)}
        scores = self._clickhouse.rows(f"SELECT DISTINCT id FROM scores {_OF_TRACES}", **arguments)
        self._delete_objects(project_id, [row["id"] for row in scores])
        for table in ("events_full", "events_core", "scores"):
            self._clickhouse.run(f"DELETE FROM {table} {_OF_TRACES}", **arguments)
        self._postgres.run(
            "update pending_deletions set is_deleted = true, updated_at = now()"
            " where project_id = %s and object = 'trace' and object_id = any(%s)",
            project_id,
            trace_ids,
        )

    def _delete_scores(self, job: Mapping[str, Any]) -> None:
        self.writer.flush_all(whole=True)
        self._delete_objects(job["project_id"], job["ids"])
        self._clickhouse.run(
            "DELETE FROM scores WHERE project_id = {project:String} AND id IN {ids:Array(String)}",
            project=job["project_id"],
            ids=_array(job["ids"]),
        )

    def _delete_objects(self, project_id: str, score_ids: list[str]) -> None:
        """Delete what the bucket holds of scores. Exports of spans stay there, as they do in Langfuse."""
        arguments = {"project": project_id, "ids": _array(score_ids)}
        where = (
            "WHERE project_id = {project:String} AND entity_type = 'score'"
            " AND entity_id IN {ids:Array(String)}"
        )
        query = f"SELECT bucket_path FROM blob_storage_file_log {where}"
        for row in self._clickhouse.rows(query, **arguments):
            self._events.delete(row["bucket_path"])
        self._clickhouse.run(f"DELETE FROM blob_storage_file_log {where}", **arguments)


class Health(BaseHTTPRequestHandler):
    """`/api/health`: whether PostgreSQL and Valkey answer, and whether jobs are taken."""

    environment: ClassVar[Mapping[str, str]] = os.environ

    def do_GET(self) -> None:
        """Answer 200 or 503."""
        query = parse_qs(urlsplit(self.path).query)
        try:
            with open_postgres(self.environment) as connection:
                connection.execute("select 1")
            fault = Queues(open_valkey(self.environment)).fault
        except (psycopg.Error, redis.RedisError) as error:
            self._answer(503, {"status": "error", "error": str(error)})
            return
        # The server says so after an hour.
        if fault == "stall" and query.get("failIfQueueConsumptionStuck") == ["true"]:
            self._answer(503, {"status": "error", "error": "queue consumption is stuck"})
        else:
            self._answer(200, {"status": "ok"})

    def _answer(self, status: int, content: Mapping[str, str]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing about probes."""


def main() -> int:
    """Check the stores, then work until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    log.info("This is a stand-in for the worker: it rehearses the wiring, it is not Langfuse.")
    environment = os.environ
    ends = loads(environment, "process.exit")
    if wrong := verify(environment, identity="worker"):
        for error in wrong:
            log.error("wrong: %s", error)
        return 1
    if environment.get("REHEARSAL_BACKGROUND_MIGRATIONS") != "unfinished":
        count = finish_background_migrations(Postgres(environment), environment)
        log.info("%d background migrations finished", count)
    worker = Worker(environment)
    server = ThreadingHTTPServer((environment["HOSTNAME"], int(environment["PORT"])), Health)
    for beside in (worker.run, worker.writer.run, server.serve_forever):
        threading.Thread(target=beside, daemon=True).start()
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    asked.wait()
    log.info("Received SIGTERM, closing server...")
    server.shutdown()
    worker.stop(STOP_S)
    log.info("Shutdown complete, exiting process...")
    if not ends:
        # The server's event loop has something left to wait for, and nothing ends the process.
        threading.Event().wait()
    return 0


def loads(environment: Mapping[str, str], what: str) -> bool:
    """Return whether Node was told to load the file of config/langfuse that has this in it.

    Raises:
        SystemExit: a file that Node was told to load cannot be read. Node does not start then either.
    """
    found = False
    for option in environment.get("NODE_OPTIONS", "").split():
        name, _, path = option.partition("=")
        if name in ("--require", "-r"):
            try:
                found |= what in Path(path).read_text("utf-8")
            except OSError as error:
                raise SystemExit(f"Error: Cannot find module '{path}' ({error.strerror})") from error
    return found


def _stored(score: Score) -> StoredScore:
    # ClickHouse has these two times in columns of their own.
    return {**score, "created_at": 0, "updated_at": 0}


def _array(texts: list[str]) -> str:
    """Return texts as a parameter of type Array(String)."""
    escaped = (text.replace("\\", "\\\\").replace("'", "\\'") for text in texts)
    return "['" + "','".join(escaped) + "']"


if __name__ == "__main__":
    sys.exit(main())
