"""Apply faults to requests before the application sees them."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from langfuse_embedded.faults import Fault, FaultPlan

from .json_answers import json_response
from .protocol import abort

_MESSAGES = {"429": "Rate limit exceeded (injected fault)", "503": "Service unavailable (injected fault)"}


class FaultInjection:
    """An ASGI application around another one: a request that the plan hits gets the fault instead."""

    def __init__(self, app: ASGIApp, plan: FaultPlan) -> None:
        self._app, self._plan = app, plan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        fault = self._plan.draw(scope["path"]) if scope["type"] == "http" else None
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.amount_ms / 1000)
        elif fault is not None and fault.kind == "drop":
            await _drop(scope, receive)
            return
        elif fault is not None:
            await _refuse(fault, scope, receive, send)
            return
        await self._app(scope, receive, send)


async def _refuse(fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
    headers = {"retry-after": str(fault.retry_after)}
    answer = json_response({"message": _MESSAGES[fault.kind]}, int(fault.kind), headers)
    await answer(scope, receive, send)


async def _drop(scope: Scope, receive: Receive) -> None:
    abort(scope)
    # The server answers 500 for an application that ends without a word while the client is still there.
    while (await receive())["type"] != "http.disconnect":
        pass
