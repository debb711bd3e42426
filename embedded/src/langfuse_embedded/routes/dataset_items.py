"""Dataset items: written by id in versions, checked against the dataset's schemas, read as of a time."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from langfuse_embedded import ids
from langfuse_embedded.http.errors import Conflict, InvalidRequest, NotFound
from langfuse_embedded.http.json_answers import json_response, json_rows
from langfuse_embedded.http.nesting import require_shallow
from langfuse_embedded.http.pagination import PAGE_PARAMETERS, Page
from langfuse_embedded.http.schema import Anything, CoercedDate, Enum, Object, String
from langfuse_embedded.lossless_json import parse_lossless
from langfuse_embedded.routes.shapes.dataset_items import shown_items
from langfuse_embedded.store.dataset_items import (
    DatasetItem,
    DatasetItemStore,
    ItemFilter,
    ItemTexts,
    ItemValues,
)
from langfuse_embedded.store.datasets import Dataset
from langfuse_embedded.store.media import MediaReference
from langfuse_embedded.store.media_references import find_references

from .call import Call
from .datasets import dataset_named
from .operations import Operation

if TYPE_CHECKING:
    from langfuse_embedded.engine import Engine

Beside = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs what may take long, and returns what it returns."""

# Control characters but tab, line feed, form feed and carriage return, which the server's store cannot hold.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
_BODY_LIMIT = 4_718_592
_TRIES = 5

_WRITE = Object(
    {
        "datasetName": String(),
        "input": Anything(),
        "expectedOutput": Anything(),
        "metadata": Anything(),
        "id": String(
            min=1,
            max=255,
            min_message="ID must not be empty",
            max_message="ID must be at most 255 characters",
        ).nullish(),
        "sourceTraceId": String().nullish(),
        "sourceObservationId": String().nullish(),
        "status": Enum("ACTIVE", "ARCHIVED").nullish(),
    }
)
_LIST = Object(
    {
        "datasetName": String().nullish(),
        "sourceTraceId": String().nullish(),
        "sourceObservationId": String().nullish(),
        "version": CoercedDate().nullish(),
        **PAGE_PARAMETERS,
    }
).refine(
    lambda query: query.get("version") is None or bool(query.get("datasetName")),
    "datasetName is required when version parameter is provided",
    ("datasetName",),
)


async def write_item(call: Call) -> Response:
    """Create an item, or a new version of the one with this id; what is left out or null stays."""
    body = await call.json(_WRITE)
    size = call.hold.size
    item = await save_item(call.engine, call.project_id, body, lambda work: call.beside(work, size))
    shown = shown_items(call, [item])[0]
    return await call.beside(partial(json_response, shown), size)


async def save_item(engine: Engine, project_id: str, body: dict[str, Any], beside: Beside) -> DatasetItem:
    """Store what the body of a `POST dataset-items` says; `beside` runs what may take long.

    Raises:
        InvalidRequest: it does not fit the schemas of the dataset, or refers to media that are not there.
        NotFound: there is no such dataset.
        Conflict: the id belongs to another dataset, or others change the item all the time.
    """
    item_id = body.get("id") or ids.uuid4()
    for _ in range(_TRIES):
        checked = dataset, existing = _present(engine, project_id, body, item_id)
        values: ItemValues = await beside(partial(_merged, body, existing))
        references: list[MediaReference] = await beside(partial(_references, values))
        texts: ItemTexts = await beside(values.texts)
        # Outside of the transaction: it takes as long as the schema says.
        await _require_fit(engine, project_id, dataset, values)
        with engine.state.transaction():
            if _present(engine, project_id, body, item_id) != checked:
                continue  # someone else has changed the item or the schema
            missing = engine.media.missing(project_id, [one.media_id for one in references])
            if missing:
                raise InvalidRequest(f"Dataset item references unknown media: {', '.join(missing)}")
            written = engine.dataset_items.write(project_id, dataset.id, item_id, values, texts)
            engine.media.link_item(project_id, item_id, written.valid_from, references)
        item: DatasetItem = await beside(written.read)
        return item
    raise Conflict(f"Dataset item {item_id} is changed by others again and again: send again.")


def _present(
    engine: Engine, project_id: str, body: dict[str, Any], item_id: str
) -> tuple[Dataset, DatasetItem | None]:
    """Return the dataset, and the item where there is one, as they are now."""
    items = engine.dataset_items
    dataset = engine.datasets.by_name(project_id, body["datasetName"])
    if dataset is None:
        raise NotFound(f"Dataset {body['datasetName']} not found for project {project_id}")
    existing = items.get(project_id, item_id) if body.get("id") else None
    if existing and existing.dataset_id != dataset.id:
        raise Conflict(
            f"Dataset item id {item_id} already exists in another dataset (id {existing.dataset_id}) in "
            "this project; item ids are unique per project across datasets. Use a different id or target "
            f"dataset {existing.dataset_id}."
        )
    if not body.get("id") and body.get("input") is None:
        raise InvalidRequest("Dataset item validation failed: Dataset item input cannot be null")
    return dataset, existing


def _merged(body: dict[str, Any], existing: DatasetItem | None) -> ItemValues:
    def given(key: str, attribute: str) -> Any:
        if body.get(key) is not None:
            return body[key]
        return getattr(existing, attribute) if existing else None

    return ItemValues(
        input=_normalized(given("input", "input")),
        expected_output=_normalized(given("expectedOutput", "expected_output")),
        metadata=_normalized(given("metadata", "metadata")),
        source_trace_id=given("sourceTraceId", "source_trace_id"),
        source_observation_id=given("sourceObservationId", "source_observation_id"),
        status=given("status", "status") or "ACTIVE",
    )


def _normalized(value: Any) -> Any:
    """Return a value as the server stores it: JSON in a text is parsed, an empty text is null."""
    if value == "":
        return None
    if isinstance(value, str):
        value = parse_lossless(value)
        require_shallow(value)
    return _clean(value)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _CONTROL.sub("", value)
    if isinstance(value, list):
        return [_clean(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _clean(entry) for key, entry in value.items()}
    return value


async def _require_fit(engine: Engine, project_id: str, dataset: Dataset, values: ItemValues) -> None:
    checks = [
        (title, schema, value)
        for title, schema, value in (
            ("Input", dataset.input_schema, values.input),
            ("Expected output", dataset.expected_output_schema, values.expected_output),
        )
        if schema
    ]
    if not checks:
        return
    found = await engine.tasks.run(
        project_id,
        "schema_errors",
        [(schema, value) for _, schema, value in checks],
        what="Checking the item against the schema of its dataset",
    )
    problems = [
        f"{title} validation failed: {', '.join(errors)}"
        for (title, _, _), errors in zip(checks, found, strict=True)
        if errors
    ]
    if problems:
        raise InvalidRequest(f"Dataset item validation failed: {'; '.join(problems)}")


def _references(values: ItemValues) -> list[MediaReference]:
    return [
        *find_references("input", values.input),
        *find_references("expectedOutput", values.expected_output),
        *find_references("metadata", values.metadata),
    ]


async def list_items(call: Call) -> Response:
    """List the active items of a dataset, or of the project, as they are or were at `version`."""
    query = call.query(_LIST)
    page = Page.of(query)
    dataset = dataset_named(call, query["datasetName"]) if query.get("datasetName") else None
    wanted = ItemFilter(
        dataset_id=dataset.id if dataset else None,
        source_trace_id=query.get("sourceTraceId"),
        source_observation_id=query.get("sourceObservationId"),
        at=query.get("version"),
    )

    def answer() -> Response:
        with call.engine.state.reader() as state:
            items, total = DatasetItemStore(state).page(call.project_id, wanted, page.limit, page.offset)
            return json_rows(shown_items(call, items, state.db), page.meta(total))

    # Items are large, and a page may be far from the first.
    return await call.read(answer)


async def get_item(call: Call) -> Response:
    """Return the current version of one item, archived or not."""
    item = call.engine.dataset_items.get(call.project_id, call.params["id"])
    if item is None:
        raise NotFound("Dataset item not found")
    return json_response(shown_items(call, [item])[0])


async def delete_item(call: Call) -> Response:
    """Delete an item; views of earlier versions keep it."""
    item_id, items = call.params["id"], call.engine.dataset_items
    with call.engine.state.transaction():
        item = items.get(call.project_id, item_id)
        if item is None:
            raise NotFound(f"Dataset item with id {item_id} not found for project {call.project_id}")
        items.delete(call.project_id, item)
    return json_response({"message": "Dataset item successfully deleted"})


OPERATIONS = [
    Operation("POST", "/api/public/dataset-items", write_item, "datasetItems_create", body_limit=_BODY_LIMIT),
    Operation("GET", "/api/public/dataset-items", list_items, "datasetItems_list"),
    Operation("GET", "/api/public/dataset-items/{id}", get_item, "datasetItems_get"),
    Operation("DELETE", "/api/public/dataset-items/{id}", delete_item, "datasetItems_delete"),
]
