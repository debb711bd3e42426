"""Dataset runs: which trace answered which item. As on the server, `events_only` mode stores nothing."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from starlette.responses import Response

from langfuse_embedded import ids
from langfuse_embedded.clock import iso, now_ms
from langfuse_embedded.http.errors import NotFound
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.names import MAX_LENGTH
from langfuse_embedded.http.pagination import PAGE_PARAMETERS, Page
from langfuse_embedded.http.schema import Anything, CoercedDate, Datetime, Object, String
from langfuse_embedded.store.dataset_runs import DatasetRun, DatasetRunItem

from .call import Call
from .datasets import dataset_named
from .operations import Operation

_CREATE = Object(
    {
        "runName": String(max=MAX_LENGTH),
        "runDescription": String().nullish(),
        "metadata": Anything(),
        "datasetItemId": String(),
        "observationId": String().nullish(),
        "traceId": String().nullish(),
        "datasetVersion": CoercedDate().nullish(),
        "createdAt": Datetime().nullish(),
    },
    strict=True,
).refine(
    lambda body: bool(body.get("observationId") or body.get("traceId")),
    "observationId or traceId must be provided",
    ("observationId", "traceId"),
)
_PAGE = Object(PAGE_PARAMETERS)
_LIST = Object({"datasetId": String(), "runName": String(), **PAGE_PARAMETERS})


def experiment_id(project_id: str, dataset_id: str, run_name: str) -> str:
    """Return the id that server and SDK derive for a run, so that they agree without asking each other."""
    seed = json.dumps(
        ["langfuse-experiment-v1", project_id, dataset_id, run_name],
        separators=(",", ":"),
        ensure_ascii=False,
    )
    return hashlib.sha256(seed.encode()).hexdigest()[:16]


async def create_run_item(call: Call) -> Response:
    """Link a trace to an item of a run; the run is created with its first item."""
    body = await call.json(_CREATE)
    item = call.engine.dataset_items.get(call.project_id, body["datasetItemId"], body.get("datasetVersion"))
    if item is None or item.status != "ACTIVE":
        raise NotFound("Dataset item not found")
    at = body.get("createdAt") or now_ms()
    if call.engine.config.events_only:
        run_item = DatasetRunItem(
            id=ids.uuid4(),
            run_id=experiment_id(call.project_id, item.dataset_id, body["runName"]),
            run_name=body["runName"],
            dataset_item_id=item.id,
            trace_id=body.get("traceId") or "",
            observation_id=body.get("observationId"),
            created_at=at,
        )
        return json_response(_shown_item(run_item))
    trace_id = body.get("traceId") or await _trace_of(call, body["observationId"])
    runs = call.engine.dataset_runs
    with call.engine.state.transaction():
        run = runs.create(
            call.project_id,
            item.dataset_id,
            body["runName"],
            body.get("runDescription"),
            _run_metadata(body),
            at,
        )
        run_item = runs.add_item(run, item.id, item.valid_from, trace_id, body.get("observationId"), at)
    return json_response(_shown_item(run_item))


def _run_metadata(body: dict[str, Any]) -> dict[str, Any]:
    metadata = body.get("metadata") or {}
    if not isinstance(metadata, dict):
        metadata = {"metadata": metadata}
    version = body.get("datasetVersion")
    return {**metadata, "dataset_version": iso(version)} if version is not None else metadata


async def _trace_of(call: Call, observation_id: str) -> str:
    trace_id = await call.engine.subjects.trace_of_observation(call.project_id, observation_id)
    if trace_id is None:
        raise NotFound(f"Observation with id {observation_id} not found")
    return trace_id


async def list_runs(call: Call) -> Response:
    """List the runs of a dataset, newest first."""
    page = Page.of(call.query(_PAGE))
    dataset = dataset_named(call, call.params["datasetName"])
    runs, total = call.engine.dataset_runs.page(call.project_id, dataset.id, page.limit, page.offset)
    return json_response({"data": [_shown_run(run) for run in runs], "meta": page.meta(total)})


async def get_run(call: Call) -> Response:
    """Return a run with all its items."""
    run = _run(call)
    items, _ = call.engine.dataset_runs.items(run)
    return json_response({**_shown_run(run), "datasetRunItems": [_shown_item(item) for item in items]})


async def delete_run(call: Call) -> Response:
    """Delete a run and its items."""
    with call.engine.state.transaction():
        call.engine.dataset_runs.delete(_run(call))
    return json_response({"message": "Dataset run successfully deleted"})


async def list_run_items(call: Call) -> Response:
    """List the items of a run, newest first."""
    query = call.query(_LIST)
    page = Page.of(query)
    runs = call.engine.dataset_runs
    run = runs.get(call.project_id, query["datasetId"], query["runName"])
    if run is None:
        raise NotFound("Dataset run not found for the given project and dataset id")
    items, total = runs.items(run, page.limit, page.offset)
    return json_response({"data": [_shown_item(item) for item in items], "meta": page.meta(total)})


def _run(call: Call) -> DatasetRun:
    dataset = call.engine.datasets.by_name(call.project_id, call.params["datasetName"])
    if dataset is None:
        raise NotFound("Dataset run not found")
    run = call.engine.dataset_runs.get(call.project_id, dataset.id, call.params["runName"])
    if run is None:
        raise NotFound("Dataset run not found")
    return run


def _shown_run(run: DatasetRun) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.name,
        "description": run.description,
        "metadata": run.metadata,
        "datasetId": run.dataset_id,
        "datasetName": run.dataset_name,
        "createdAt": iso(run.created_at),
        "updatedAt": iso(run.updated_at),
    }


def _shown_item(item: DatasetRunItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "datasetRunId": item.run_id,
        "datasetRunName": item.run_name,
        "datasetItemId": item.dataset_item_id,
        "traceId": item.trace_id,
        "observationId": item.observation_id,
        "createdAt": iso(item.created_at),
        "updatedAt": iso(item.created_at),
    }


_RUN = "/api/public/datasets/{datasetName}/runs/{runName}"

OPERATIONS = [
    Operation("POST", "/api/public/dataset-run-items", create_run_item, "datasetRunItems_create"),
    Operation("GET", "/api/public/dataset-run-items", list_run_items, "datasetRunItems_list", legacy=True),
    Operation("GET", "/api/public/datasets/{datasetName}/runs", list_runs, "datasets_getRuns", legacy=True),
    Operation("GET", _RUN, get_run, "datasets_getRun", legacy=True),
    Operation("DELETE", _RUN, delete_run, "datasets_deleteRun", legacy=True),
]
