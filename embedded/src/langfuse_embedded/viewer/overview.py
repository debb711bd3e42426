"""Overview: firing alerts; cost, tokens, latency, errors and scores over time, as the Metrics API counts."""

from __future__ import annotations

import json
from typing import Any

from langfuse_embedded.clock import now_ms
from langfuse_embedded.metrics.compiler import compile_query
from langfuse_embedded.metrics.query import MetricsQuery, query_shape
from langfuse_embedded.metrics.result import present
from langfuse_embedded.metrics.views import VIEWS

from .filters import RANGES, Filters
from .noise import NOISE
from .overview_figures import OBSERVATIONS, SCORES, Document, Range, condition, figures, questions
from .urls import project_url
from .visit import Answer, Page, View, Visit

_DEFAULT_RANGE = "7d"
_QUERY = query_shape(tuple(VIEWS))
# Filters of lists as the Metrics API names them.
_FILTERS = {
    OBSERVATIONS: {
        "environment": "environment", "model": "providedModelName", "user": "userId", "tag": "tags",
        "trace": "traceName",
    },
    SCORES: {"environment": "environment", "user": "userId", "tag": "tags", "trace": "traceName"},
}  # fmt: skip


async def overview(visit: Visit) -> Answer:
    """Show the project in numbers over a range of time, by default the last seven days."""
    filters = Filters.of(visit, _DEFAULT_RANGE)
    assert filters.since is not None, "there is a range of time by default"  # noqa: S101
    end = now_ms() if filters.before is None else filters.before - 1
    between = Range(filters.since, max(end, filters.since + 1))  # backwards it is an empty one
    project, horizon = visit.project_key, visit.engine.events.horizon()
    documents = questions(between, {view: _filters(filters, view) for view in _FILTERS})

    def read() -> dict[str, Any]:
        return figures({name: ask(document) for name, document in documents.items()})

    def ask(document: Document) -> list[dict[str, Any]]:
        query: MetricsQuery = _QUERY.parse({"query": json.dumps(document)})["query"]
        statement = compile_query(query, VIEWS[query.view], project, None)
        return present(
            query, statement, visit.engine.metrics.rows(statement.sql, statement.values, horizon=horizon)
        )

    found = await visit.read(read)
    shown = filters.query()
    range_name = filters.texts["range"]

    def url(query: dict[str, Any]) -> str:
        return project_url(visit.project_id, "overview", **query)

    def list_url(table: str, **query: Any) -> str:
        return project_url(visit.project_id, table, **{**shown, **query})

    values = {
        "section": "overview",
        "alerts": visit.engine.alerts.of(visit.project_id),
        "figures": found,
        "ranges": [
            (label, url({**shown, "range": name, "from": None, "to": None}), name == range_name)
            for name, label in RANGES.items()
        ],
        "between": between,
        "chips": [
            (label, value, url(query))
            for label, value, query in filters.chips()
            if label not in ("Time", "From", "To")
        ],
        "noise": [] if "environment" in filters.chosen else [
            (kind, url({**shown, "with": [*filters.shown_noise, kind]}))
            for kind in NOISE
            if kind not in filters.shown_noise
        ],
        "list_url": list_url,
    }  # fmt: skip
    return View("overview.html", values)


def _filters(filters: Filters, view: str) -> list[Document]:
    found = [
        condition(
            column, "any of", filters.chosen[name], "arrayOptions" if name == "tag" else "stringOptions"
        )
        for name, column in _FILTERS[view].items()
        if name in filters.chosen
    ]
    if hidden := filters.hidden_environments:
        found.append(condition("environment", "none of", hidden))
    return found


PAGES = (Page("/project/{projectId}/overview", overview),)
