"""pytest plugin: write down which test modules send requests to which operations.

    python -m pytest -p tests.operation_recorder tests/embedded     # or: make api-reference

Requests over httpx are seen, those of the SDK in the same process included. What applications in processes of
their own send is not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from langfuse_embedded.http.router import Router
from langfuse_embedded.routes import all_operations

RECORDS = Path(__file__).resolve().parents[1] / "build" / "operations"

_router = Router(all_operations())
_touched: set[tuple[str, str]] = set()


@pytest.fixture(scope="session", autouse=True)
def _record_operations() -> Iterator[None]:
    """Watch every request of the session and keep those that were answered as the operation promises."""
    send = httpx.Client.send

    def watched(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        response = send(client, request, **options)
        match = _router.match(request.url.raw_path.decode().partition("?")[0])
        if match is not None and request.method in match.operations:
            module = os.environ["PYTEST_CURRENT_TEST"].partition("::")[0]
            # A refusal of the key or the mode shows nothing of the operation.
            if response.status_code not in (401, 429, 503):
                _touched.add((f"{request.method} {match.operations[request.method].path}", module))
        return response

    patch = pytest.MonkeyPatch()
    patch.setattr(httpx.Client, "send", watched)
    yield
    patch.undo()
    RECORDS.mkdir(parents=True, exist_ok=True)
    (RECORDS / f"{os.getpid()}.json").write_text(json.dumps(sorted(_touched)))
