"""Experiments: the list with what they scored and cost, and up to four side by side, item by item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langfuse_embedded.http.filters import Condition
from langfuse_embedded.store.experiments import (
    ExperimentQuery,
    ExperimentSummary,
    find_experiments,
    find_items,
    scores_of_experiments,
)
from langfuse_embedded.store.score_rows import StoredScore

from .comparing import ComparedItem, Figures, ScoresByTrace, compared, figures_of, shares
from .score_values import scores_of_traces
from .urls import project_url
from .visit import Answer, Page, View, Visit, not_found

_MAX_EXPERIMENTS = 100
_MAX_DATASETS = 1000
_MAX_ITEMS = 1000
_ITEMS_PER_PAGE = 50
_MAX_SCORES = 20
_MOST_COMPARED = 4


async def experiment_list(visit: Visit) -> Answer:
    """Show the latest experiments."""
    found = await experiments_of(visit)
    names = sorted({name for _, figures in found for name in figures.scores})
    datasets, _ = visit.engine.datasets.page(visit.project_id, _MAX_DATASETS, 0)
    values = {
        "section": "experiments",
        "experiments": found,
        "names": names,
        "dataset_names": {one.id: one.name for one in datasets},
        "most": _MAX_EXPERIMENTS,
    }
    return View("experiments.html", values)


async def experiments_of(
    visit: Visit, dataset_id: str | None = None
) -> list[tuple[ExperimentSummary, Figures]]:
    """Return the latest experiments of the project, or of a dataset, with their figures."""
    conditions = [Condition("experimentDatasetId", "string", "=", dataset_id)] if dataset_id else []
    query = _query(visit, conditions, _MAX_EXPERIMENTS)

    def read() -> list[tuple[ExperimentSummary, Figures]]:
        with visit.engine.events.connection() as connection:
            found = find_experiments(connection, query)
        figures = _figures(visit, query, [one.id for one in found])
        return [(one, figures[one.id]) for one in found]

    return await visit.read(read)


async def results(visit: Visit) -> Answer:
    """Show what experiments made of each dataset item, against the first one, with averages above."""
    wanted = [visit.text("baseline"), *visit.request.query_params.getlist("c")]
    ids = list(dict.fromkeys(filter(None, wanted)))[:_MOST_COMPARED]
    if not ids:
        raise not_found("experiment")
    queries = [_query(visit, [Condition("experimentId", "string", "=", one)], _MAX_ITEMS) for one in ids]

    def read() -> (
        tuple[list[ExperimentSummary], list[list[StoredScore]], list[Figures], list[ComparedItem]] | None
    ):
        summaries, own_scores, runs = [], [], []
        with visit.engine.events.connection() as connection:
            for query in queries:
                found = find_experiments(connection, query)
                if not found:
                    return None
                summaries.append(found[0])
                scored = scores_of_experiments(connection, query.project, [found[0].place], _MAX_SCORES)
                own_scores.append(scored[found[0].id])
                runs.append(find_items(connection, query))
            traces = {one.place.trace_id for some in runs for one in some}
            scores = scores_of_traces(connection, queries[0].project, traces, queries[0].horizon)
        figures = _figures(visit, queries[0], ids)
        return summaries, own_scores, [figures[one] for one in ids], compared(runs, _by_trace(scores))

    found = await visit.read(read)
    if found is None:
        raise not_found("experiment")
    summaries, own_scores, figures, items = found
    only_differences = visit.text("show") == "differences" and len(ids) > 1
    shown = [one for one in items if one.differs or one.change] if only_differences else items
    number = visit.number("page", 1, _MAX_ITEMS)
    first = (number - 1) * _ITEMS_PER_PAGE
    others = await experiments_of(visit, summaries[0].dataset_id) if summaries[0].dataset_id else []
    values: dict[str, Any] = {
        "section": "experiments",
        "experiments": list(zip(summaries, figures, own_scores, strict=True)),
        "columns": [
            {
                "name": one.name or one.id,
                "url": _url(visit, [one.id]),
                "baseline_url": _url(visit, [one.id, *(other for other in ids if other != one.id)]),
                "without_url": _url(visit, [other for other in ids if other != one.id]),
            }
            for one in summaries
        ],
        "shares": shares(figures),
        "ids": ids,
        "others": [one for one, _ in others if one.id not in ids] if len(ids) < _MOST_COMPARED else [],
        "items": shown[first : first + _ITEMS_PER_PAGE],
        "differing": sum(bool(one.differs or one.change) for one in items),
        "total": len(shown),
        "only_differences": only_differences,
        "all_url": _url(visit, ids),
        "differences_url": _url(visit, ids, show="differences"),
        "paging": {
            "total": len(shown),
            "first_row": first + 1,
            "last_row": min(first + _ITEMS_PER_PAGE, len(shown)),
            "previous_url": _url(visit, ids, page=number - 1, show=visit.text("show"))
            if number > 1
            else None,
            "next_url": _url(visit, ids, page=number + 1, show=visit.text("show"))
            if first + _ITEMS_PER_PAGE < len(shown)
            else None,
        },
        "is_cut": any(one.item_count > _MAX_ITEMS for one in summaries),
        "most": _MAX_ITEMS,
    }
    return View("experiment.html", values)


def _figures(visit: Visit, query: ExperimentQuery, ids: Sequence[str]) -> dict[str, Figures]:
    def run(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        return visit.engine.metrics.rows(sql, values, horizon=query.horizon)

    return figures_of(run, query.project, ids)


def _by_trace(scores: dict[tuple[str | None, str | None], list[StoredScore]]) -> ScoresByTrace:
    found: dict[str, list[StoredScore]] = {}
    for (trace_id, _), some in scores.items():
        found.setdefault(trace_id or "", []).extend(some)
    return found


def _url(visit: Visit, ids: Sequence[str], **query: str | int | None) -> str:
    baseline, *others = ids or [""]
    return project_url(visit.project_id, "experiments", "results", baseline=baseline, c=others, **query)


def _query(visit: Visit, conditions: list[Condition], limit: int) -> ExperimentQuery:
    return ExperimentQuery(
        project=visit.project_key,
        since=0,
        before=None,
        conditions=conditions,
        limit=limit,
        horizon=visit.engine.events.horizon(),
    )


PAGES = (
    Page("/project/{projectId}/experiments", experiment_list),
    Page("/project/{projectId}/experiments/results", results),
)
