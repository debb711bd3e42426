"""One project of one server, as exports and imports see it: pages to read, bodies to write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import httpx
import orjson
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from scripts.core.errors import StackError, UsageError

_TIMEOUT_S = 120.0
_ATTEMPTS = 6

Row = dict[str, Any]


class TransferError(StackError):
    """An export or import failed; it goes on where it stopped when it is repeated."""


class Remote:
    """Talks to a server with the key of one project. Close it, or use it in a `with`."""

    def __init__(self, base_url: str, public_key: str, secret_key: str) -> None:
        self.base_url = base_url
        self._http = httpx.Client(
            base_url=base_url, auth=(public_key, secret_key), timeout=_TIMEOUT_S, trust_env=False
        )
        # A server that restarts, or asks to come back later, is waited for: half a minute in all.
        self._retry = Retrying(
            retry=retry_if_exception(_passes),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_exponential(multiplier=0.5, max=15),
            reraise=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def project_id(self) -> str:
        """Return the project that the key belongs to.

        Raises:
            UsageError: the server does not accept the key.
        """
        try:
            return str(self.get("projects")["data"][0]["id"])
        except TransferError as error:
            if "401" in error.message:
                message = f"{self.base_url} refuses the key."
                raise UsageError(message, fix="check the project's key.") from error
            raise

    def get(self, path: str, **query: str | int) -> Any:
        """Return the JSON of a GET below `/api/public/`. Raises TransferError."""
        return self._call("GET", path, params=query)

    def post(self, path: str, body: object) -> Any:
        """POST JSON below `/api/public/`; return the answer's JSON. Raises TransferError."""
        content = orjson.dumps(body)
        return self._call("POST", path, content=content, headers={"content-type": "application/json"})

    def patch(self, path: str, body: object) -> None:
        """PATCH with a JSON body below `/api/public/`. Raises TransferError."""
        content = orjson.dumps(body)
        self._call("PATCH", path, content=content, headers={"content-type": "application/json"})

    def delete(self, path: str, body: object) -> None:
        """DELETE with a JSON body below `/api/public/`. Raises TransferError."""
        content = orjson.dumps(body)
        self._call("DELETE", path, content=content, headers={"content-type": "application/json"})

    def by_cursor(
        self, path: str, query: Mapping[str, str | int], cursor: str
    ) -> Iterator[tuple[list[Row], str]]:
        """Yield pages and the cursor behind each, which is empty behind the last one."""
        while True:
            page = self.get(path, **query, **({"cursor": cursor} if cursor else {}))
            cursor = page["meta"].get("cursor") or ""
            yield page["data"], cursor
            if not cursor:
                return

    def by_number(self, path: str, query: Mapping[str, str | int]) -> Iterator[list[Row]]:
        """Yield the pages of a list with page numbers."""
        number = 1
        while True:
            page = self.get(path, **query, page=number)
            yield page["data"]
            if number >= page["meta"]["totalPages"]:
                return
            number += 1

    def _call(self, method: str, path: str, **options: Any) -> Any:
        try:
            answer = self._retry(self._send, method, f"/api/public/{path}", **options)
        except httpx.HTTPStatusError as error:
            raise TransferError(
                f"{method} {self.base_url}/api/public/{path} answers {error.response.status_code}.",
                details=[error.response.text[:300]],
                fix="correct what it names, then repeat the command.",
            ) from error
        except httpx.HTTPError as error:
            raise TransferError(
                f"{self.base_url} does not answer ({type(error).__name__}).",
                fix="start it, then repeat the command: it goes on where it stopped.",
            ) from error
        return orjson.loads(answer.content) if answer.content else None

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._http.request(method, path, **options).raise_for_status()


def _passes(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code == 429 or error.response.status_code >= 500
    return isinstance(error, httpx.TransportError)
