"""Brings what stands in ClickHouse to the engine, which shows it: rows that are new since the last look.

The worker is the only one that inserts, one statement after the other, so times grow with what can be seen.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

from starlette.concurrency import run_in_threadpool

from langfuse_embedded.store.writer.client import CommandRefused

from .stores import ClickHouse
from .writer import QueuedWriter

log = logging.getLogger("rehearsal.web")

_PAGE_ROWS = 2000
_NEW = (
    "SELECT project_id, rehearsal_source AS source, toString(toUnixTimestamp64Micro(rehearsal_at)) AS at"
    " FROM {table:Identifier} WHERE toUnixTimestamp64Micro(rehearsal_at) > {since:Int64}"
    " ORDER BY rehearsal_at LIMIT {limit:UInt32} WITH TIES"
)


class Feed:
    """Remembers up to where each table was shown. Raises httpx.HTTPError when ClickHouse is away."""

    def __init__(self, clickhouse: ClickHouse, writer: QueuedWriter) -> None:
        self._clickhouse = clickhouse
        self._writer = writer
        self._since = {"events_full": "0", "scores": "0"}

    async def show_new(self) -> int:
        """Show what is new; return how many rows that were."""
        return await self._look("events_full", self._show_spans) + await self._look(
            "scores", self._show_scores
        )

    async def _look(self, table: str, show: Any) -> int:
        count = 0
        while True:
            rows = await run_in_threadpool(
                self._clickhouse.rows, _NEW, table=table, since=self._since[table], limit=str(_PAGE_ROWS)
            )
            by_project = sorted(rows, key=itemgetter("project_id"))
            for project_id, found in groupby(by_project, itemgetter("project_id")):
                try:
                    await show(project_id, [row["source"] for row in found])
                except CommandRefused as error:
                    # As a job that fails in the worker: it must not keep those behind it from coming through.
                    log.warning("rows of %s in %s cannot be shown: %s", table, project_id, error)
            if rows:
                self._since[table] = rows[-1]["at"]
            count += len(rows)
            if len(rows) < _PAGE_ROWS:
                return count

    async def _show_spans(self, project_id: str, sources: list[str]) -> None:
        arguments: Mapping[str, Any] = {
            "project": project_id,
            "gzip": False,
            "json": True,
            "limit": 0,
            "refusal": None,
        }
        export = f'{{"resourceSpans":[{",".join(sources)}]}}'.encode()
        await self._writer.show("ingest_otlp", dict(arguments), export)

    async def _show_scores(self, project_id: str, sources: list[str]) -> None:
        scores = [json.loads(source) for source in sources]
        await self._writer.show("store_scores", {"project": project_id, "scores": scores})
