"""Comments on traces, observations, sessions and prompts."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from langfuse_embedded.clock import iso
from langfuse_embedded.http.errors import InvalidRequest, NotFound
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.pagination import PAGE_PARAMETERS, Page
from langfuse_embedded.http.schema import Enum, Object, String
from langfuse_embedded.store.comments import Comment

from .call import Call
from .operations import Operation

_OBJECT_TYPE = Enum("TRACE", "OBSERVATION", "SESSION", "PROMPT")
_CREATE = Object(
    {
        "projectId": String(),
        "content": String(trim=True, min=1, max=5000),
        "objectId": String(),
        "objectType": _OBJECT_TYPE,
        "authorUserId": String().nullish(),
    },
    strict=True,
)
_LIST = Object(
    {
        "objectType": _OBJECT_TYPE.nullish(),
        "objectId": String().nullish(),
        "authorUserId": String().nullish(),
        **PAGE_PARAMETERS,
    },
    strict=True,
).refine(
    lambda query: not query.get("objectId") or bool(query.get("objectType")),
    "objectType is required when objectId is provided",
    ("objectType",),
)


async def create_comment(call: Call) -> Response:
    """Store a comment on something that exists. The project is the key's, whatever the body says."""
    body = await call.json(_CREATE)
    author = body.get("authorUserId")
    if author is not None and not call.engine.state.tenancy.is_member(call.project_id, author):
        raise InvalidRequest(
            "authorUserId must belong to a member of the organization that owns the authenticated project."
        )
    object_type, object_id = body["objectType"], body["objectId"]
    if not await _exists(call, object_type, object_id):
        if object_type == "OBSERVATION":
            raise NotFound(f"Observation with id {object_id} not found")
        raise NotFound(f"Reference object, {object_type}: {object_id} not found. Skipping comment creation.")
    with call.engine.state.transaction():
        comment = call.engine.comments.create(
            call.project_id, object_type, object_id, body["content"], author
        )
    return json_response({"id": comment.id})


async def _exists(call: Call, object_type: str, object_id: str) -> bool:
    if object_type == "PROMPT":
        return call.engine.prompts.has_version(call.project_id, object_id)
    subjects = call.engine.subjects
    if object_type == "TRACE":
        return subjects.has_trace(call.project_id, object_id)
    if object_type == "SESSION":
        return subjects.has_session(call.project_id, object_id)
    return await subjects.trace_of_observation(call.project_id, object_id) is not None


async def list_comments(call: Call) -> Response:
    """List comments, of one object or author or all."""
    query = call.query(_LIST)
    page = Page.of(query)
    columns = {"objectType": "object_type", "objectId": "object_id", "authorUserId": "author_user_id"}
    wanted = {column: query[key] for key, column in columns.items() if query.get(key) is not None}
    comments, total = call.engine.comments.page(call.project_id, wanted, page.limit, page.offset)
    return json_response({"data": [_shown(one) for one in comments], "meta": page.meta(total)})


async def get_comment(call: Call) -> Response:
    """Return one comment."""
    comment = call.engine.comments.get(call.project_id, call.params["commentId"])
    if comment is None:
        raise NotFound("Comment not found within authorized project")
    return json_response(_shown(comment))


def _shown(comment: Comment) -> dict[str, Any]:
    return {
        "id": comment.id,
        "projectId": comment.project_id,
        "createdAt": iso(comment.created_at),
        "updatedAt": iso(comment.updated_at),
        "objectType": comment.object_type,
        "objectId": comment.object_id,
        "content": comment.content,
        "authorUserId": comment.author_user_id,
    }


OPERATIONS = [
    Operation("POST", "/api/public/comments", create_comment, "comments_create"),
    Operation("GET", "/api/public/comments", list_comments, "comments_get"),
    Operation("GET", "/api/public/comments/{commentId}", get_comment, "comments_get-by-id"),
]
