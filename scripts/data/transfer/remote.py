"""One project of one server, as exports and imports see it: pages to read, bodies to write."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx
import orjson
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from scripts.api.proxies import uses_proxy
from scripts.core.errors import StackError, UsageError
from scripts.engines.context import Context
from scripts.settings.envfile import read_env

_TIMEOUT_S = 120.0
_ATTEMPTS = 6
_OF_ONE_OBJECT = frozenset({400, 404, 409, 413, 414, 415, 422, 431, 500})
"""What a server answers when something is wrong with one object, after all attempts."""

Row = dict[str, Any]


class TransferError(StackError):
    """An export or import failed; it goes on where it stopped when it is repeated."""


class ObjectRefused(TransferError):
    """The server does not give or take this one object; others are not concerned."""


class Remote:
    """Talks to a server with the key of one project. Close it, or use it in a `with`."""

    def __init__(self, base_url: str, public_key: str, secret_key: str) -> None:
        self.base_url = base_url
        self._http = httpx.Client(
            base_url=base_url,
            auth=(public_key, secret_key),
            timeout=_TIMEOUT_S,
            trust_env=uses_proxy(base_url),
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

    def get_or_none(self, path: str, **query: str | int) -> Any:
        """Return the JSON of a GET, or None where there is nothing. Raises TransferError."""
        return self._call("GET", path, absent=404, params=query)

    def observations_of(self, traces: Sequence[str], **query: str) -> Iterator[list[Row]]:
        """Yield the observations of some traces in pages, with their ids alone."""
        condition = {
            "column": "traceId",
            "type": "stringOptions",
            "operator": "any of",
            "value": list(traces),
        }
        times = [
            {"column": "startTime", "type": "datetime", "operator": operator, "value": query[name]}
            for name, operator in (("fromStartTime", ">="), ("toStartTime", "<"))
            if name in query
        ]
        filtered = orjson.dumps([condition, *times]).decode()
        wanted: Row = {"fields": "core", "limit": 1000, "filter": filtered}
        for page, _ in self.by_cursor("v2/observations", wanted, ""):
            yield page

    def post(self, path: str, body: object) -> Any:
        """POST JSON below `/api/public/`; return the answer's JSON. Raises TransferError."""
        content = orjson.dumps(body)
        return self._call("POST", path, content=content, headers={"content-type": "application/json"})

    def post_or_none(self, path: str, body: object) -> Any:
        """POST JSON, or return None when the server does not find what it is about. Raises TransferError."""
        content = orjson.dumps(body)
        headers = {"content-type": "application/json"}
        return self._call("POST", path, absent=404, content=content, headers=headers)

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

    def _call(self, method: str, path: str, *, absent: int = 0, **options: Any) -> Any:
        try:
            answer = self._retry(self._send, method, f"/api/public/{path}", **options)
        except httpx.HTTPStatusError as error:
            if error.response.status_code == absent:
                return None
            kind = ObjectRefused if error.response.status_code in _OF_ONE_OBJECT else TransferError
            raise kind(
                f"{method} {self.base_url}/api/public/{path} answers {error.response.status_code}.",
                details=[error.response.text[:300]],
                fix="correct what it names, then repeat the command.",
            ) from error
        except httpx.HTTPError as error:
            raise TransferError(
                f"{self.base_url} does not answer ({type(error).__name__}).",
                fix="start it, then repeat the command: it goes on where it stopped.",
            ) from error
        except httpx.InvalidURL as error:
            raise ObjectRefused(
                f"{path[:80]}... cannot be asked for: {error}.", fix="delete or rename it on the server."
            ) from error
        return _parsed(answer.content) if answer.content else None

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._http.request(method, path, **options).raise_for_status()


def _parsed(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except ValueError:
        # A lone half of a surrogate pair, which no file can hold; a server may give it back as it was sent.
        text = json.dumps(json.loads(content), ensure_ascii=False)
        return orjson.loads(text.encode("utf-8", "replace"))


def remote_of(context: Context, project: str, base_url: str) -> Remote:
    """Return a project of this stack, or of another server with its key in the environment.

    Raises:
        UsageError: there is no key.
    """
    directory = context.layout.credentials_dir
    names = sorted(path.stem for path in directory.glob("*.env"))
    if base_url:
        keys: Mapping[str, str] = context.environment
    else:
        chosen = project or ("" if len(names) > 1 else "".join(names))
        if names and chosen not in names:
            reason = f"There is no project {project!r}." if project else "There are several projects."
            raise UsageError(reason, fix=f"choose one with PROJECT=: {', '.join(names)}.")
        keys = read_env(directory / f"{chosen}.env").values()
        base_url = keys.get("LANGFUSE_BASE_URL", "")
    public, secret = keys.get("LANGFUSE_PUBLIC_KEY"), keys.get("LANGFUSE_SECRET_KEY")
    if not public or not secret:
        raise UsageError(
            f"There is no key for {base_url or project or 'any project'}.",
            fix="make up, or set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY together with BASE_URL.",
        )
    return Remote(base_url.rstrip("/"), public, secret)


def _passes(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code == 429 or error.response.status_code >= 500
    return isinstance(error, httpx.TransportError)
