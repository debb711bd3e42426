"""What operators ask with the admin key and the engine alone cannot answer: queues, replay, faults."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from .queues import FAULTS, OTEL, SECONDARY, Queues

_MOST_KEYS = 1000
_OTEL_KEY = re.compile(r"otel/([^/]+)/\d{4}/\d\d/\d\d/\d\d/\d\d/[^/]+\.json")
_STANDARD_KEY = re.compile(r"([^/]+)/([^/]+)/[^/]+/[^/]+\.json")
_REPLAYED_TYPES = frozenset(("score",))


class Admin:
    """The routes of an operator. Raises redis.RedisError when Valkey is away."""

    def __init__(self, queues: Queues, key: str) -> None:
        self._queues = queues
        self._key = key

    def allows(self, request: Request) -> bool:
        """Return whether a request carries the admin key."""
        given = request.headers.get("authorization", "")
        return bool(self._key) and hmac.compare_digest(given.encode(), f"Bearer {self._key}".encode())

    def with_counts(self, answer: bytes) -> bytes:
        """Return the engine's list of queues with what stands in Valkey."""
        counts = self._queues.counts()
        listed = json.loads(answer)
        for queue in listed:
            if queue["queueName"] in counts:
                queue["jobCount"] |= counts[queue["queueName"]]
        return json.dumps(listed).encode()

    def manage(self, body: Mapping[str, Any]) -> None:
        """Retry or remove jobs, after the engine has accepted the body."""
        if body["action"] == "retry":
            self._queues.retry(body["queueNames"])
        else:
            self._queues.remove(body["queueNames"], body["bullStatus"])

    def replay(self, body: Any) -> JSONResponse:
        """Queue objects of the events bucket again, as `POST /api/admin/ingestion-replay`."""
        keys = body.get("keys") if isinstance(body, dict) else None
        if not isinstance(keys, list) or not 1 <= len(keys) <= _MOST_KEYS or not _all_text(keys):
            return JSONResponse({"error": f"keys: a list of 1 to {_MOST_KEYS} texts"}, 400)
        jobs: dict[str, list[dict[str, str]]] = {OTEL: [], SECONDARY: []}
        errors = []
        for key in keys:
            if found := _OTEL_KEY.fullmatch(key):
                jobs[OTEL].append({"project_id": found[1], "key": key})
            elif not (found := _STANDARD_KEY.fullmatch(key)):
                errors.append(f"Invalid key format: {key}")
            elif found[2] not in _REPLAYED_TYPES:
                errors.append(f"Unsupported replay type: {found[2]}")
            else:
                jobs[SECONDARY].append({"project_id": found[1], "key": key})
        for queue, queued in jobs.items():
            if queued:
                self._queues.add(queue, queued)
        count = sum(map(len, jobs.values()))
        return JSONResponse({"queued": count, "skipped": len(errors), "errors": errors})

    def set_fault(self, body: Any) -> JSONResponse:
        """Tell the worker what to do wrong from now on: `{"fault": one of FAULTS}`."""
        fault = body.get("fault") if isinstance(body, dict) else None
        if fault not in FAULTS:
            return JSONResponse({"error": f"fault: one of {', '.join(FAULTS)}"}, 400)
        self._queues.fault = fault
        return JSONResponse({"fault": fault})


def _all_text(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)
