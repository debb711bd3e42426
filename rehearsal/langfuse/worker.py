"""Stand-in for the worker: takes jobs from Valkey, reads their objects, writes rows to ClickHouse.

Not Langfuse: it rehearses what the containers around it must offer. Like the worker it gives a row up after
`LANGFUSE_INGESTION_CLICKHOUSE_MAX_ATTEMPTS` attempts, and unlike it, it holds nothing in memory.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import ClassVar

import botocore.exceptions
import httpx
import psycopg
import redis

from .exports import QUEUE, TAKEN
from .stores import Bucket, ClickHouse, open_postgres, open_valkey, verify

log = logging.getLogger("rehearsal.worker")

NEXT_TRY_S = 0.25
TAKE_TIMEOUT_S = 1


class Worker:
    """The one consumer of the queue."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._valkey = open_valkey(environment)
        self._clickhouse = ClickHouse.of(environment)
        self._events = Bucket.of(environment, "EVENT_UPLOAD")
        self._attempts = int(environment["LANGFUSE_INGESTION_CLICKHOUSE_MAX_ATTEMPTS"])
        self._interval_s = int(environment["LANGFUSE_INGESTION_CLICKHOUSE_WRITE_INTERVAL_MS"]) / 1000

    def run(self) -> None:
        """Work for ever; a store that is away is waited for."""
        recovered = False
        while True:
            try:
                if not recovered:
                    while self._valkey.lmove(TAKEN, QUEUE, "RIGHT", "RIGHT"):
                        log.info("a job that a killed worker had taken goes back")
                    recovered = True
                job = self._valkey.blmove(QUEUE, TAKEN, TAKE_TIMEOUT_S, "RIGHT", "LEFT")
                if job:
                    self._do(json.loads(job))
                    self._valkey.lrem(TAKEN, 1, job)
            except (
                redis.RedisError,
                botocore.exceptions.BotoCoreError,
                botocore.exceptions.ClientError,
            ) as error:
                # The job stays among those taken and is found there again.
                log.warning("a store is away: %s", error)
                recovered = False
                time.sleep(NEXT_TRY_S)

    def _do(self, job: Mapping[str, str]) -> None:
        row = {**job, "body": self._events.get(job["key"]).decode()}
        sql = f"INSERT INTO rehearsal_batches (key, project_id, body) FORMAT JSONEachRow\n{json.dumps(row)}"
        for attempt in range(1, self._attempts + 1):
            try:
                self._clickhouse.run(sql)
            except httpx.HTTPError as error:
                log.warning("ClickHouse refused %s, attempt %d: %s", job["key"], attempt, error)
                time.sleep(self._interval_s)
            else:
                return
        log.error("Max attempts reached, dropped %s", job["key"])


class Health(BaseHTTPRequestHandler):
    """`/api/health`: whether PostgreSQL and Valkey answer."""

    environment: ClassVar[Mapping[str, str]] = os.environ

    def do_GET(self) -> None:
        """Answer 200 or 503."""
        try:
            with open_postgres(self.environment) as connection:
                connection.execute("select 1")
            open_valkey(self.environment).ping()
        except (psycopg.Error, redis.RedisError) as error:
            self._answer(503, {"status": "error", "error": str(error)})
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
    signal.signal(signal.SIGTERM, _stop)
    log.info("This is a stand-in for the worker: it rehearses the wiring, it is not Langfuse.")
    if wrong := verify(os.environ, identity="worker"):
        for error in wrong:
            log.error("wrong: %s", error)
        return 1
    threading.Thread(target=Worker(os.environ).run, daemon=True).start()
    ThreadingHTTPServer((os.environ["HOSTNAME"], int(os.environ["PORT"])), Health).serve_forever()
    return 0


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
