"""Answers in JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from langfuse_embedded.javascript import answers


def json_response(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return `data` as a JSON answer; numbers of any size and non-string keys are allowed."""
    return Response(
        answers.dumps(data),
        status_code=status,
        media_type="application/json; charset=utf-8",
        headers=headers,
    )


def json_rows(rows: Iterable[Any], meta: Any) -> Response:
    """Return a list as a JSON answer, written row by row: one call for all would hold up other threads."""
    data = b",".join(map(answers.dumps, rows))
    body = b'{"data":[' + data + b'],"meta":' + answers.dumps(meta) + b"}"
    return Response(body, media_type="application/json; charset=utf-8")
