"""The engine's writes, sent the server's way: into the events bucket, a queue, and through the worker.

What concerns traces and scores does not reach the engine's own store from here: it is shown when it stands in
ClickHouse (feed.py). Deletions are shown at once and carried out by the worker.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.exceptions
import httpx
import psycopg
import redis
from starlette.concurrency import run_in_threadpool

from langfuse_embedded import ids
from langfuse_embedded.clock import now_ms
from langfuse_embedded.store.writer.client import CommandError, CommandRefused, WriterClient
from langfuse_embedded.store.writer.errors import Refused
from langfuse_embedded.store.writer.preparation import events_of

from .exports import object_key, resource_spans
from .postgres import Postgres
from .queues import INGESTION, OTEL, SCORE_DELETE, TRACE_DELETE, Queues
from .stores import Bucket

log = logging.getLogger("rehearsal.web")

STORE_ERRORS = (
    botocore.exceptions.BotoCoreError,
    botocore.exceptions.ClientError,
    httpx.HTTPError,
    psycopg.Error,
    redis.RedisError,
)


class Outbox:
    """Where accepted writes go. Every method raises one of STORE_ERRORS."""

    def __init__(self, events: Bucket, queues: Queues, postgres: Postgres, prefix: str = "") -> None:
        self._events = events
        self._prefix = prefix
        self._queues = queues
        self._postgres = postgres

    def send_export(self, project_id: str, spans: list[dict[str, Any]]) -> None:
        """Keep a trace export and queue it."""
        key = self._prefix + object_key(project_id, datetime.now(UTC))
        self._events.put(key, json.dumps(spans).encode())
        self._queues.add(OTEL, [{"project_id": project_id, "key": key}])

    def send_scores(self, project_id: str, scores: list[dict[str, Any]]) -> None:
        """Keep each score in an object of its own and queue it."""
        jobs = []
        for score in scores:
            key = f"{self._prefix}{project_id}/score/{score['id']}/{uuid.uuid4()}.json"
            self._events.put(key, json.dumps([score]).encode())
            jobs.append({"project_id": project_id, "key": key})
        if jobs:
            self._queues.add(INGESTION, jobs)

    def delete_traces(self, project_id: str, trace_ids: list[str]) -> None:
        """Note what is to be deleted, so that nothing brings it back, and queue it."""
        self._postgres.run_each(
            "insert into pending_deletions (id, project_id, object, object_id) values (%s, %s, 'trace', %s)",
            [(ids.cuid(), project_id, one) for one in trace_ids],
        )
        self._queues.add(TRACE_DELETE, [{"project_id": project_id, "ids": trace_ids}])

    def delete_scores(self, project_id: str, score_ids: list[str]) -> None:
        """Queue the deletion of scores."""
        self._queues.add(SCORE_DELETE, [{"project_id": project_id, "ids": score_ids}])


class QueuedWriter(WriterClient):
    """The writer that routes of the engine use."""

    def __init__(self, data_dir: Path, outbox: Outbox) -> None:
        super().__init__(data_dir, lambda: None)
        self._outbox = outbox

    async def submit(self, command: str, arguments: dict[str, Any], body: bytes = b"") -> Any:
        """See WriterClient. Legacy events of the dual mode and resets go to the engine alone."""
        try:
            match command:
                case "ingest_otlp":
                    return await run_in_threadpool(self._export, arguments, body)
                case "store_scores":
                    project_id, scores = arguments["project"], arguments["scores"]
                    await run_in_threadpool(self._outbox.send_scores, project_id, scores)
                    return len(scores)
                case "delete_traces":
                    await run_in_threadpool(
                        self._outbox.delete_traces, arguments["project"], arguments["ids"]
                    )
                case "delete_scores":
                    await run_in_threadpool(
                        self._outbox.delete_scores, arguments["project"], arguments["ids"]
                    )
        except STORE_ERRORS as error:
            log.warning("%s: a store is away: %s", command, error)
            raise CommandError("Internal Server Error") from error
        return await self.show(command, arguments, body)

    async def show(self, command: str, arguments: dict[str, Any], body: bytes = b"") -> Any:
        """Carry a command out in the engine's own store. Raises CommandError."""
        return await super().submit(command, arguments, body)

    def _export(self, arguments: Mapping[str, Any], body: bytes) -> int:
        try:
            events = events_of(dict(arguments), body, now_ms())
        except Refused as error:
            raise CommandRefused(str(error)) from error
        if events:
            spans = resource_spans(
                body, is_json=arguments["json"], is_gzip=arguments["gzip"], limit=arguments["limit"]
            )
            self._outbox.send_export(arguments["project"], spans)
        return len(events)
