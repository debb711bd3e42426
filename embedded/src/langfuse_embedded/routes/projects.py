"""The project that a key belongs to: the first question of every SDK."""

from __future__ import annotations

from starlette.responses import Response

from langfuse_embedded.http.access import Access
from langfuse_embedded.http.errors import Forbidden
from langfuse_embedded.http.json_answers import json_response

from .call import Call
from .operations import Operation


async def get_projects(call: Call) -> Response:
    """Return the key's project in a list of one."""
    if call.principal.scores_only:
        raise Forbidden("Invalid API key. Are you using an organization key?", named=False)
    project = call.engine.state.tenancy.project(call.project_id)
    if project is None:
        return json_response({"data": []})
    return json_response(
        {
            "data": [
                {
                    "id": project.id,
                    "name": project.name,
                    "organization": {"id": project.organization_id, "name": project.organization_name},
                    "metadata": project.metadata,
                }
            ]
        }
    )


OPERATIONS = [
    Operation("GET", "/api/public/projects", get_projects, "projects_get", Access.OWN_PROJECT),
]
