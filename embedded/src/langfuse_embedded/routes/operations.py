"""The routing table's row: one operation of the API, who may call it, and what answers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.responses import Response

from langfuse_embedded.http.access import Access, ErrorStyle

from .call import Call

Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path.

    `path` is the template of the official description, such as `/api/public/v2/prompts/{promptName}`.
    A parameter matches one raw path segment and is percent-decoded afterwards, so `%2F` stays inside it.
    `legacy` operations answer 404 in `events_only` mode, before the key is looked at.
    `body_limit` is in bytes; larger bodies answer 413.
    """

    method: str
    path: str
    handler: Handler
    operation_id: str = ""
    access: Access = Access.PROJECT
    legacy: bool = False
    errors: ErrorStyle = ErrorStyle.MESSAGE
    body_limit: int = 1_048_576
