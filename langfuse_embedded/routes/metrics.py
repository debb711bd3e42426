"""Metrics: aggregates over observations and scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from langfuse_embedded.http.call import Call, json_response
from langfuse_embedded.http.operations import Operation
from langfuse_embedded.metrics.checks import check_cardinality
from langfuse_embedded.metrics.compiler import compile_query, uses_metadata
from langfuse_embedded.metrics.model import View
from langfuse_embedded.metrics.query import MetricsQuery, query_shape
from langfuse_embedded.metrics.result import present
from langfuse_embedded.metrics.views import VIEWS

_QUERY = query_shape(tuple(VIEWS))
_ROW_LIMIT = 100


async def get_metrics(call: Call) -> Response:
    """Aggregate observations or scores, by dimensions and over time."""
    query: MetricsQuery = call.query(_QUERY)["query"]
    check_cardinality(query, VIEWS[query.view])
    return json_response({"data": await _answer(call, query, VIEWS, _ROW_LIMIT)})


async def _answer(
    call: Call, query: MetricsQuery, views: Mapping[str, View], row_limit: int | None
) -> list[dict[str, Any]]:
    view = views[query.view]
    project = call.engine.events.project_key(call.project_id)
    horizon = call.engine.events.horizon()
    statement = compile_query(query, view, project, row_limit)
    metadata = uses_metadata(query, view)

    def run() -> list[dict[str, Any]]:
        rows = call.engine.metrics.rows(statement.sql, statement.values, metadata=metadata, horizon=horizon)
        return present(query, statement, rows)

    return await run_in_threadpool(run)


OPERATIONS = [
    Operation("GET", "/api/public/v2/metrics", get_metrics, "metrics_metrics"),
]
