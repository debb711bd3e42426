"""Datasets: created or changed by name, listed, read; item schemas are checked against stored items."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from langfuse_embedded.clock import iso
from langfuse_embedded.http.errors import InvalidData, InvalidRequest, NotFound
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.names import FOLDER_NAME
from langfuse_embedded.http.pagination import PAGE_PARAMETERS, Page
from langfuse_embedded.http.schema import Anything, Object, Record, String
from langfuse_embedded.routes.shapes.dataset_items import shown_items
from langfuse_embedded.store.dataset_items import DatasetItem
from langfuse_embedded.store.datasets import Dataset

from .call import Call
from .operations import Operation

_MAX_ERRORS = 10
_VALIDATOR = "langfuse_embedded.json_schemas"


def _is_valid_schema(schema: Any) -> bool:
    from langfuse_embedded.json_schemas import is_valid_schema

    return is_valid_schema(schema)


async def _load_validator() -> None:
    # It takes 50 ms, and most engines need none: not at the start, and not in the event loop.
    if _VALIDATOR not in sys.modules:
        await run_in_threadpool(import_module, _VALIDATOR)


_JSON_SCHEMA = Record(Anything()).refine(_is_valid_schema, "Must be a valid JSON Schema").nullish()
_CREATE = Object(
    {
        "name": String(),
        "description": String().nullish(),
        "metadata": Anything(),
        "inputSchema": _JSON_SCHEMA,
        "expectedOutputSchema": _JSON_SCHEMA,
    }
)
_LIST = Object(PAGE_PARAMETERS)


async def create_dataset(call: Call) -> Response:
    """Create a dataset, or change what is given of an existing one."""
    return json_response(shown_dataset(await _created(call)))


async def _created(call: Call) -> Dataset:
    await _load_validator()
    body = await call.json(_CREATE)
    _require_name(body["name"])
    changes = {key: body[key] for key in ("description", "metadata") if body.get(key) is not None}
    # Null clears a schema; description and metadata cannot be cleared.
    for key, column in (("inputSchema", "input_schema"), ("expectedOutputSchema", "expected_output_schema")):
        if key in body:
            changes[column] = body[key]
    datasets = call.engine.datasets
    if known := datasets.by_name(call.project_id, body["name"]):
        await _require_fitting_items(call, known, changes)
    with call.engine.state.transaction():
        existing = datasets.by_name(call.project_id, body["name"])
        if existing is None:
            dataset = datasets.create(call.project_id, body["name"], changes)
        else:
            dataset = datasets.update(existing, changes)
    return dataset


def _require_name(name: str) -> None:
    try:
        FOLDER_NAME.parse(name)
    except InvalidData as error:
        raise InvalidRequest(f"Dataset name not valid. {error.text}") from None


async def _require_fitting_items(call: Call, dataset: Dataset, changes: dict[str, Any]) -> None:
    if not changes.keys() & {"input_schema", "expected_output_schema"}:
        return
    schemas = {
        "input": changes.get("input_schema", dataset.input_schema),
        "expectedOutput": changes.get("expected_output_schema", dataset.expected_output_schema),
    }
    if not any(schemas.values()):
        return
    found = await call.engine.tasks.run(
        call.project_id,
        "item_errors",
        dataset.id,
        schemas,
        _MAX_ERRORS,
        what="Checking the items against this schema",
    )
    if found:
        count = f"more than {_MAX_ERRORS}" if len(found) == _MAX_ERRORS else len(found)
        details = json.dumps(found, separators=(",", ":"), ensure_ascii=False)
        raise InvalidRequest(f"Schema validation failed for {count} item(s). Details: {details}")


async def list_datasets(call: Call) -> Response:
    """List datasets, newest first."""
    page = Page.of(call.query(_LIST))
    datasets, total = call.engine.datasets.page(call.project_id, page.limit, page.offset)
    return json_response({"data": [shown_dataset(one) for one in datasets], "meta": page.meta(total)})


async def get_dataset(call: Call) -> Response:
    """Return one dataset by its name."""
    return json_response(shown_dataset(dataset_named(call, call.params["datasetName"])))


async def create_first_dataset(call: Call) -> Response:
    """Create a dataset for clients of version 1, which expect its items and runs beside it."""
    return json_response({**shown_dataset(await _created(call)), "items": [], "runs": []})


async def list_first_datasets(call: Call) -> Response:
    """List datasets with the ids of their items and the names of their runs, for clients of version 1."""
    page = Page.of(call.query(_LIST))
    datasets, total = call.engine.datasets.page(call.project_id, page.limit, page.offset)
    data = [
        {
            **shown_dataset(one),
            "items": [
                item.id for item in call.engine.dataset_items.current_of(one.id) if item.status == "ACTIVE"
            ],
            "runs": _run_names(call, one),
        }
        for one in datasets
    ]
    return json_response({"data": data, "meta": page.meta(total)})


def _active_items(call: Call, dataset: Dataset) -> list[DatasetItem]:
    return [item for item in call.engine.dataset_items.current_of(dataset.id) if item.status == "ACTIVE"]


def _run_names(call: Call, dataset: Dataset) -> list[str]:
    if call.engine.config.events_only:
        return []
    runs, _ = call.engine.dataset_runs.page(call.project_id, dataset.id, -1, 0)
    return [run.name for run in runs]


async def get_first_dataset(call: Call) -> Response:
    """Return one dataset with its items and the names of its runs, for clients of version 1."""
    dataset = dataset_named(call, call.params["datasetName"])
    items = shown_items(call, _active_items(call, dataset))
    return json_response({**shown_dataset(dataset), "items": items, "runs": _run_names(call, dataset)})


def dataset_named(call: Call, name: str) -> Dataset:
    """Return a dataset of the key's project.

    Raises:
        NotFound: there is none of this name.
    """
    dataset = call.engine.datasets.by_name(call.project_id, name)
    if dataset is None:
        raise NotFound("Dataset not found")
    return dataset


def shown_dataset(dataset: Dataset) -> dict[str, Any]:
    """Return a dataset as answers show it."""
    return {
        "id": dataset.id,
        "projectId": dataset.project_id,
        "name": dataset.name,
        "description": dataset.description,
        "metadata": dataset.metadata,
        "inputSchema": dataset.input_schema,
        "expectedOutputSchema": dataset.expected_output_schema,
        "createdAt": iso(dataset.created_at),
        "updatedAt": iso(dataset.updated_at),
    }


OPERATIONS = [
    Operation("GET", "/api/public/v2/datasets", list_datasets, "datasets_list"),
    Operation("POST", "/api/public/v2/datasets", create_dataset, "datasets_create"),
    Operation("GET", "/api/public/v2/datasets/{datasetName}", get_dataset, "datasets_get"),
    Operation("GET", "/api/public/datasets", list_first_datasets),
    Operation("POST", "/api/public/datasets", create_first_dataset),
    Operation("GET", "/api/public/datasets/{datasetName}", get_first_dataset),
]
