"""What the server has and the embedded engine openly has not: one table, and the answer 501 with the reason.

An operation belongs either to the module of its resource or into this table.
"""

from __future__ import annotations

from starlette.responses import Response

from langfuse_embedded.http.access import Access, ErrorStyle
from langfuse_embedded.http.errors import NotImplementedHere

from .call import Call
from .operations import Handler, Operation

_SKILLS = "The embedded engine stores no skills. Use the compose engine, or a prompt with a tag instead."
_MCP = (
    "The embedded engine has no MCP endpoint. Let the agent call the public API, through an MCP server that"
    " speaks it, or use the compose engine."
)
_REPLAY = (
    "The embedded engine keeps no event files to replay: what it has answered is stored and readable at once."
)

# operation id, method, path below /api/public
_SKILL_OPERATIONS = (
    ("unstable_skills_list", "GET", "unstable/skills"),
    ("unstable_skills_createVersion", "POST", "unstable/skills"),
    ("unstable_skills_get", "GET", "unstable/skills/{skillName}"),
    ("unstable_skills_update", "PATCH", "unstable/skills/{skillName}"),
    ("unstable_skills_getFileContents", "GET", "unstable/skills/files/content"),
    ("unstable_skills_setLabels", "PATCH", "unstable/skills/{skillName}/versions/{skillVersion}"),
    ("unstable_skills_deleteVersion", "DELETE", "unstable/skills/{skillName}/versions/{skillVersion}"),
)


def _refusing(reason: str) -> Handler:
    async def refuse(call: Call) -> Response:
        raise NotImplementedHere(reason)

    return refuse


def _refused(reason: str, table: tuple[tuple[str, str, str], ...]) -> list[Operation]:
    return [
        Operation(
            method,
            f"/api/public/{path}",
            _refusing(reason),
            operation_id,
            errors=ErrorStyle.UNSTABLE if path.startswith("unstable/") else ErrorStyle.NAMED,
        )
        for operation_id, method, path in table
    ]


OPERATIONS = [
    *_refused(_SKILLS, _SKILL_OPERATIONS),
    *(
        Operation(method, "/api/public/mcp", _refusing(_MCP), errors=ErrorStyle.NAMED)
        for method in ("GET", "POST", "DELETE")
    ),
    Operation(
        "POST",
        "/api/admin/ingestion-replay",
        _refusing(_REPLAY),
        access=Access.ADMIN,
        errors=ErrorStyle.ERROR,
    ),
]
