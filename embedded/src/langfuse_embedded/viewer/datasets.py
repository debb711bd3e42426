"""Datasets: the list, and one dataset with its items, experiments and runs."""

from __future__ import annotations

from starlette.responses import RedirectResponse

from langfuse_embedded.store.dataset_items import ItemFilter

from .content import content_of_value
from .experiments import experiments_of
from .paging import PAGE_SIZE, NumberedPage
from .urls import project_url
from .visit import Answer, Page, View, Visit, not_found

_MAX_RUNS = 20


async def dataset_list(visit: Visit) -> Answer:
    """Show datasets, newest first."""
    page = NumberedPage.of(visit)
    found, total = visit.engine.datasets.page(visit.project_id, PAGE_SIZE, page.offset)
    paging = page.values(visit, total, "datasets")
    return View("datasets.html", {"section": "datasets", "datasets": found, "paging": paging})


async def dataset(visit: Visit) -> Answer:
    """Show a dataset by its id, as the server's links name it, or by its name."""
    engine, named = visit.engine, visit.params["dataset"]
    found = engine.datasets.by_id(visit.project_id, named) or engine.datasets.by_name(visit.project_id, named)
    if found is None:
        raise not_found("dataset")
    page = NumberedPage.of(visit)
    items, total = engine.dataset_items.page(
        visit.project_id, ItemFilter(dataset_id=found.id), PAGE_SIZE, page.offset
    )
    runs, _ = engine.dataset_runs.page(visit.project_id, found.id, _MAX_RUNS, 0)
    values = {
        "section": "datasets",
        "dataset": found,
        "metadata": content_of_value(found.metadata),
        "items": [
            (
                item,
                content_of_value(item.input),
                content_of_value(item.expected_output),
                content_of_value(item.metadata),
            )
            for item in items
        ],
        "runs": runs,
        "experiments": await experiments_of(visit, found.id),
        "paging": page.values(visit, total, "datasets", found.name),
    }
    return View("dataset.html", values)


async def dataset_run(visit: Visit) -> Answer:
    """Lead on to the experiment: the SDKs before version 5 print this address for one."""
    return RedirectResponse(
        project_url(visit.project_id, "experiments", "results", baseline=visit.params["run"]), 303
    )


PAGES = (
    Page("/project/{projectId}/datasets", dataset_list),
    Page("/project/{projectId}/datasets/{dataset}", dataset),
    Page("/project/{projectId}/datasets/{dataset}/runs/{run}", dataset_run),
)
