"""Metrics: aggregates over observations and scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.pagination import PAGE_PARAMETERS, Page
from langfuse_embedded.http.queries import options, text
from langfuse_embedded.http.schema import Datetime, Object
from langfuse_embedded.metrics import views_legacy
from langfuse_embedded.metrics.checks import check_cardinality
from langfuse_embedded.metrics.compiler import compile_query, uses_metadata
from langfuse_embedded.metrics.daily import DailyQuery, daily_metrics
from langfuse_embedded.metrics.model import View
from langfuse_embedded.metrics.query import MetricsQuery, query_shape
from langfuse_embedded.metrics.result import present
from langfuse_embedded.metrics.views import VIEWS

from .call import Call
from .operations import Operation

_QUERY = query_shape(tuple(VIEWS))
_LEGACY_QUERY = query_shape(tuple(views_legacy.VIEWS))
_ROW_LIMIT = 100
_DAILY = Object(
    {
        **PAGE_PARAMETERS,
        "traceName": text(),
        "userId": text(),
        "tags": options(),
        "environment": options(),
        "fromTimestamp": Datetime().optional(),
        "toTimestamp": Datetime().optional(),
    }
)


async def get_metrics(call: Call) -> Response:
    """Aggregate observations or scores, by dimensions and over time."""
    query: MetricsQuery = call.query(_QUERY)["query"]
    check_cardinality(query, VIEWS[query.view])
    return json_response({"data": await _answer(call, query, VIEWS, _ROW_LIMIT)})


async def get_legacy_metrics(call: Call) -> Response:
    """Aggregate traces, observations or scores in `dual` mode; without a limit unless one is asked for."""
    query: MetricsQuery = call.query(_LEGACY_QUERY)["query"]
    return json_response({"data": await _answer(call, query, views_legacy.VIEWS, None)})


async def get_daily_metrics(call: Call) -> Response:
    """Return traces, observations, units and cost by day and model, the latest day first."""
    query = call.query(_DAILY)
    page, horizon = Page.of(query), call.engine.events.horizon()
    wanted = DailyQuery(
        project=call.engine.events.project_key(call.project_id),
        trace_name=query.get("traceName"),
        user_id=query.get("userId"),
        tags=query.get("tags", ()),
        environments=query.get("environment", ()),
        since=query.get("fromTimestamp"),
        before=query.get("toTimestamp"),
    )

    def run() -> list[dict[str, Any]]:
        return daily_metrics(
            wanted, lambda sql, values: call.engine.metrics.rows(sql, values, horizon=horizon)
        )

    days = await call.read(run)
    shown = days[page.offset : page.offset + page.limit]
    return json_response({"data": shown, "meta": page.meta(len(days))})


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

    return await call.read(run)


OPERATIONS = [
    Operation("GET", "/api/public/v2/metrics", get_metrics, "metrics_metrics"),
    Operation("GET", "/api/public/metrics", get_legacy_metrics, "legacy_metricsV1_metrics", legacy=True),
    Operation("GET", "/api/public/metrics/daily", get_daily_metrics, legacy=True),
]
