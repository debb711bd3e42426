"""Experiments: the list, and the results of one, item by item."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool

from langfuse_embedded.http.filters import Condition
from langfuse_embedded.store.experiments import (
    ExperimentItem,
    ExperimentPlace,
    ExperimentQuery,
    ExperimentSummary,
    find_experiments,
    find_items,
    scores_of_experiments,
    scores_of_items,
)
from langfuse_embedded.store.score_rows import StoredScore

from .content import content_of
from .visit import Answer, Page, View, Visit, not_found

_MAX_EXPERIMENTS = 100
_MAX_ITEMS = 200
_MAX_SCORES = 20


async def experiment_list(visit: Visit) -> Answer:
    """Show the latest experiments."""
    found = await experiments_of(visit)
    return View(
        "experiments.html", {"section": "experiments", "experiments": found, "most": _MAX_EXPERIMENTS}
    )


async def experiments_of(visit: Visit, dataset_id: str | None = None) -> list[ExperimentSummary]:
    """Return the latest experiments of the project, or of a dataset."""
    conditions = [Condition("experimentDatasetId", "string", "=", dataset_id)] if dataset_id else []
    query = _query(visit, conditions, _MAX_EXPERIMENTS)

    def read() -> list[ExperimentSummary]:
        with visit.engine.events.connection() as connection:
            return find_experiments(connection, query)

    return await run_in_threadpool(read)


async def results(visit: Visit) -> Answer:
    """Show the items of an experiment with what went in, came out, was expected, and how it scored."""
    conditions = [Condition("experimentId", "string", "=", visit.text("baseline"))]
    query = _query(visit, conditions, _MAX_ITEMS)

    def read() -> (
        tuple[ExperimentSummary, list[ExperimentItem], list[StoredScore], dict[str, list[StoredScore]]] | None
    ):
        with visit.engine.events.connection() as connection:
            found = find_experiments(connection, query)
            if not found:
                return None
            own = scores_of_experiments(connection, query.project, [found[0].place], _MAX_SCORES)
            items = find_items(connection, query)
            places: list[ExperimentPlace] = [item.place for item in items]
            scores = scores_of_items(connection, query.project, places, _MAX_SCORES) if places else {}
            return found[0], items, own[found[0].id], scores

    found = await run_in_threadpool(read) if visit.text("baseline") else None
    if found is None:
        raise not_found("experiment")
    summary, items, own_scores, scores = found
    values = {
        "section": "experiments",
        "experiment": summary,
        "scores": own_scores,
        "items": [_item(item, scores.get(item.place.trace_id, [])) for item in items],
        "most": _MAX_ITEMS,
    }
    return View("experiment.html", values)


def _item(item: ExperimentItem, scores: list[StoredScore]) -> dict[str, Any]:
    row, expected = item.row, item.body.more.get("experiment", {}).get("item_expected_output")
    return {
        "id": row["experiment_item_id"],
        "place": item.place,
        "duration": None if row["end_time"] is None else row["end_time"] - row["start_time"],
        "level": row["level"],
        "input": content_of(item.body.input),
        "output": content_of(item.body.output),
        "expected": content_of(expected),
        "scores": scores,
    }


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
