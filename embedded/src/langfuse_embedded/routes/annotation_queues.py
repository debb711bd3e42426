"""Annotation queues: queues, their items, and who is assigned."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from langfuse_embedded.clock import iso, iso_or_none
from langfuse_embedded.http.errors import InvalidRequest, NotFound
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.names import MAX_LENGTH
from langfuse_embedded.http.pagination import PAGE_PARAMETERS, Page
from langfuse_embedded.http.schema import Array, Enum, Object, String
from langfuse_embedded.store.annotation_queues import (
    COMPLETED,
    PENDING,
    AnnotationQueue,
    AnnotationQueueItem,
)

from .call import Call
from .operations import Operation

_STATUS = Enum(PENDING, COMPLETED)
_LIST = Object(PAGE_PARAMETERS, strict=True)
_LIST_ITEMS = Object({**PAGE_PARAMETERS, "status": _STATUS.optional()}, strict=True)
_NOTHING = Object({}, strict=True)
_CREATE = Object(
    {
        "name": String(max=MAX_LENGTH),
        "description": String().nullish(),
        "scoreConfigIds": Array(String(), min=1),
    },
    strict=True,
)
_CREATE_ITEM = Object(
    {
        "objectId": String(),
        "objectType": Enum("TRACE", "OBSERVATION", "SESSION"),
        "status": _STATUS.default(PENDING),
    },
    strict=True,
)
_UPDATE_ITEM = Object({"status": _STATUS.optional()}, strict=True)
_ASSIGNMENT = Object({"userId": String()}, strict=True)


async def list_queues(call: Call) -> Response:
    """List queues, newest first."""
    page = Page.of(call.query(_LIST))
    queues, total = call.engine.annotation_queues.page(call.project_id, page.limit, page.offset)
    return json_response({"data": [_shown(queue) for queue in queues], "meta": page.meta(total)})


async def create_queue(call: Call) -> Response:
    """Create a queue for existing score configs."""
    body = await call.json(_CREATE)
    configs = call.engine.score_configs
    if any(configs.get(call.project_id, config_id) is None for config_id in body["scoreConfigIds"]):
        raise InvalidRequest("At least one of the score config IDs cannot be found for the given project.")
    with call.engine.state.transaction():
        queue = call.engine.annotation_queues.create(
            call.project_id, body["name"], body.get("description"), body["scoreConfigIds"]
        )
    if queue is None:
        raise InvalidRequest("A queue with this name already exists.")
    return json_response(_shown(queue))


async def get_queue(call: Call) -> Response:
    """Return one queue."""
    call.query(_NOTHING)
    return json_response(_shown(_queue(call)))


async def list_items(call: Call) -> Response:
    """List the items of a queue, newest first."""
    query = call.query(_LIST_ITEMS)
    page = Page.of(query)
    items, total = call.engine.annotation_queues.items(
        _queue(call).id, query.get("status"), page.limit, page.offset
    )
    return json_response({"data": [_shown_item(item) for item in items], "meta": page.meta(total)})


async def create_item(call: Call) -> Response:
    """Put a trace, observation or session into a queue; whether it exists is not asked, as on the server."""
    body = await call.json(_CREATE_ITEM)
    queue = _queue(call)
    with call.engine.state.transaction():
        item = call.engine.annotation_queues.add_item(
            queue.id, body["objectId"], body["objectType"], body["status"]
        )
    return json_response(_shown_item(item))


async def get_item(call: Call) -> Response:
    """Return one item of a queue."""
    call.query(_NOTHING)
    return json_response(_shown_item(_item(call)))


async def update_item(call: Call) -> Response:
    """Change the status of an item."""
    body = await call.json(_UPDATE_ITEM)
    item = _item(call)
    with call.engine.state.transaction():
        call.engine.annotation_queues.set_status(item, body.get("status"))
    return json_response(_shown_item(_item(call)))


async def delete_item(call: Call) -> Response:
    """Take an item out of its queue."""
    call.query(_NOTHING)
    item = _item(call)
    with call.engine.state.transaction():
        call.engine.annotation_queues.delete_item(item)
    return json_response({"success": True, "message": "Annotation queue item deleted successfully"})


async def create_assignment(call: Call) -> Response:
    """Give a queue to a user of the organization."""
    body = await call.json(_ASSIGNMENT)
    queue = _queue(call)
    if not call.engine.state.tenancy.is_member(call.project_id, body["userId"]):
        raise NotFound("User not found or not authorized for this project")
    with call.engine.state.transaction():
        call.engine.annotation_queues.assign(queue.id, body["userId"])
    return json_response({"userId": body["userId"], "projectId": call.project_id, "queueId": queue.id})


async def delete_assignment(call: Call) -> Response:
    """Take a queue from a user; succeeds also when it was not given."""
    body = await call.json(_ASSIGNMENT)
    queue = _queue(call)
    with call.engine.state.transaction():
        call.engine.annotation_queues.unassign(queue.id, body["userId"])
    return json_response({"success": True})


def _queue(call: Call) -> AnnotationQueue:
    queue = call.engine.annotation_queues.get(call.project_id, call.params["queueId"])
    if queue is None:
        raise NotFound("Annotation queue not found")
    return queue


def _item(call: Call) -> AnnotationQueueItem:
    item = call.engine.annotation_queues.item(_queue(call).id, call.params["itemId"])
    if item is None:
        raise NotFound("Annotation queue item not found")
    return item


def _shown(queue: AnnotationQueue) -> dict[str, Any]:
    return {
        "id": queue.id,
        "name": queue.name,
        "description": queue.description,
        "scoreConfigIds": queue.score_config_ids,
        "createdAt": iso(queue.created_at),
        "updatedAt": iso(queue.updated_at),
    }


def _shown_item(item: AnnotationQueueItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "queueId": item.queue_id,
        "objectId": item.object_id,
        "objectType": item.object_type,
        "status": item.status,
        "completedAt": iso_or_none(item.completed_at),
        "createdAt": iso(item.created_at),
        "updatedAt": iso(item.updated_at),
    }


_QUEUES = "/api/public/annotation-queues"
_QUEUE = f"{_QUEUES}/{{queueId}}"
_ITEMS = f"{_QUEUE}/items"
_ITEM = f"{_ITEMS}/{{itemId}}"
_ASSIGNMENTS = f"{_QUEUE}/assignments"

OPERATIONS = [
    Operation("GET", _QUEUES, list_queues, "annotationQueues_listQueues"),
    Operation("POST", _QUEUES, create_queue, "annotationQueues_createQueue"),
    Operation("GET", _QUEUE, get_queue, "annotationQueues_getQueue"),
    Operation("GET", _ITEMS, list_items, "annotationQueues_listQueueItems"),
    Operation("POST", _ITEMS, create_item, "annotationQueues_createQueueItem"),
    Operation("GET", _ITEM, get_item, "annotationQueues_getQueueItem"),
    Operation("PATCH", _ITEM, update_item, "annotationQueues_updateQueueItem"),
    Operation("DELETE", _ITEM, delete_item, "annotationQueues_deleteQueueItem"),
    Operation("POST", _ASSIGNMENTS, create_assignment, "annotationQueues_createQueueAssignment"),
    Operation("DELETE", _ASSIGNMENTS, delete_assignment, "annotationQueues_deleteQueueAssignment"),
]
