"""The client of Langfuse's API: one proxy rule, one retry rule, paging, errors.

httpx and tenacity take 0.1-0.3 s to import: `make help` and failing preflights do without.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote

from .errors import (
    OF_ONE_OBJECT,
    Advice,
    ApiError,
    ErrorAnswer,
    NoAnswer,
    ObjectRefused,
    UnexpectedAnswer,
    reason_of,
)
from .proxies import client_options

if TYPE_CHECKING:
    import httpx
    import tenacity

T = TypeVar("T")
R = TypeVar("R")
Row = dict[str, Any]
Keys = tuple[str, str] | str
"""Public and secret key of a project, or the admin key."""

TIMEOUT_S = 5.0
CONCURRENCY = 8
ATTEMPTS = 6
"""For work that waits for a server that restarts: a quarter of a minute in all, or as long as it asks for."""
PAGE = 100
_BUSY = frozenset({429, 502, 503, 504})
_LONGEST_PAUSE_S = 30.0


class _Client:
    """What both clients have in common: whom they ask, as whom, and what an answer means."""

    def __init__(self, base_url: str, keys: Keys | None, advice: Advice) -> None:
        self.base_url = base_url.rstrip("/")
        self._keys = keys
        self._advice = advice

    def _request(
        self, path: str, query: Mapping[str, Any] | None = None, body: object = None, keys: Keys | None = None
    ) -> dict[str, Any]:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        headers = _authorization(self._keys if keys is None else keys)
        return {"url": _whole(path), "params": given or None, "json": body, "headers": headers}

    @contextmanager
    def _errors(self, method: str, path: str) -> Iterator[None]:
        """Raise NoAnswer, or ObjectRefused for what no URL can hold."""
        import httpx

        try:
            yield
        except httpx.InvalidURL as error:
            raise ObjectRefused(
                f"{method} {path[:80]}... cannot be asked for: {error}.",
                fix="delete or rename it on the server.",
            ) from error
        except httpx.HTTPError as error:
            raise NoAnswer(self._call_text(method, path), error, fix=self._advice.away) from error

    def _content(self, answer: httpx.Response, method: str, path: str, also: Sequence[int] = ()) -> Any:
        """Return what an answer holds; None for the statuses in `also`. Raises ApiError."""
        status = answer.status_code
        if status in also:
            return None
        if status == 401:
            raise ErrorAnswer(f"{self.base_url} refuses the API key.", status=401, fix=self._advice.key)
        call = self._call_text(method, path)
        if not answer.is_success:
            kind = ObjectRefused if status in OF_ONE_OBJECT else ErrorAnswer
            text = f"{call} answers {status}: {_message(answer)}".rstrip(": ")
            raise kind(text, status=status, fix=self._advice.refused)
        try:
            return _parsed(answer.content) if answer.content else None
        except ValueError as error:
            raise UnexpectedAnswer(f"{call} does not answer with JSON.", fix=self._advice.away) from error

    def _call_text(self, method: str, path: str) -> str:
        return f"{method} {self.base_url}{_whole(path)}"[:300]


class Api(_Client):
    """A server, asked with the keys of one project, with the admin key, or with none.

    Safe to use from several threads. Close it, or use it in a `with`.
    """

    def __init__(
        self,
        base_url: str,
        keys: Keys | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        attempts: int = 1,
        repeatable: bool = False,
        concurrency: int = CONCURRENCY,
        on_limit: Callable[[float], None] | None = None,
        advice: Advice | None = None,
        any_certificate: bool = False,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Prepare calls of the server at `base_url`, with `keys` where a call names no others.

        Args:
            timeout_s: for each attempt.
            attempts: how often a call is made while the server cannot be connected to or asks to come again.
            repeatable: whether everything that is sent may arrive twice. Then a call is made again also after
                an error of the server and after a connection that broke.
            concurrency: how many things `each` does at once.
            on_limit: called with the seconds of `Retry-After` when a limit of requests is reached. Then that
                is waited for, however long it is and however often; else it counts as an attempt.
            any_certificate: find out who answers at all: take any certificate, and follow redirects.
            transport: what takes the place of the network.
        """
        import httpx

        super().__init__(base_url, keys, advice or Advice())
        self._http = httpx.Client(
            base_url=self.base_url,
            timeout=timeout_s,
            follow_redirects=any_certificate,
            transport=transport,
            **client_options(base_url, any_certificate=any_certificate),
        )
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="api")
        self._on_limit = on_limit
        self._repeated = _repeated(attempts, self._over, repeatable=repeatable) if attempts > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End what is under way, and every connection."""
        self._over.set()
        self._pool.shutdown(cancel_futures=True)
        self._http.close()

    def request(self, method: str, path: str, **what: Any) -> httpx.Response:
        """Return the answer, whatever its status is. `what` are query, body (for JSON) and keys.

        The path is below `/api/public/`, or begins with a slash. Raises NoAnswer; ObjectRefused for a path
        that is too long.
        """
        with self._errors(method, path):
            arguments = self._request(path, **what)
            if self._repeated is None:
                return self._send(method, **arguments)
            return self._repeated(self._send, method, **arguments)

    def _send(self, method: str, **arguments: Any) -> httpx.Response:
        """Send it once more after each limit of requests, where those are waited for."""
        while True:
            answer = self._http.request(method, **arguments)
            wanted = _asked_pause_s(answer)
            if self._on_limit is None or answer.status_code != 429 or wanted is None or self._over.is_set():
                return answer
            self._on_limit(wanted)
            self._over.wait(wanted)

    def call(self, method: str, path: str, *, also: Sequence[int] = (), **what: Any) -> Any:
        """Return the JSON of the answer; None for the statuses in `also`. Raises ApiError."""
        return self._content(self.request(method, path, **what), method, path, also)

    def get(self, path: str, *, keys: Keys | None = None, also: Sequence[int] = (), **query: Any) -> Any:
        """Return the answer to a read; None for the statuses in `also`. Raises ApiError."""
        return self.call("GET", path, query=query, keys=keys, also=also)

    def post(self, path: str, body: object, *, also: Sequence[int] = ()) -> Any:
        """Create something; None for the statuses in `also`. Raises ApiError."""
        return self.call("POST", path, body=body, also=also)

    def put(self, path: str, body: object, *, also: Sequence[int] = ()) -> Any:
        """Create or replace something; None for the statuses in `also`. Raises ApiError."""
        return self.call("PUT", path, body=body, also=also)

    def patch(self, path: str, body: object) -> Any:
        """Change something. Raises ApiError."""
        return self.call("PATCH", path, body=body)

    def delete(self, path: str, body: object = None, *, also: Sequence[int] = (404,)) -> None:
        """Delete something; what is gone already is not an error. Raises ApiError."""
        self.call("DELETE", path, body=body, also=also)

    def each(self, work: Callable[[T], R], things: Iterable[T]) -> list[R]:
        """Return the results of `work`, several at a time. After the first error none begins any more."""
        over = threading.Event()
        errors: list[BaseException] = []

        def guarded(thing: T) -> R:
            if over.is_set():
                raise CancelledError
            try:
                return work(thing)
            except BaseException as error:
                errors.append(error)
                over.set()
                raise

        futures = [self._pool.submit(guarded, thing) for thing in things]
        try:
            return [future.result() for future in futures]
        except CancelledError:
            raise errors[0] from None
        finally:
            over.set()

    def pages(self, path: str, **query: Any) -> list[Row]:
        """Return all rows of a list with page numbers, several pages at a time. Raises ApiError."""
        first = self.get(path, page=1, limit=PAGE, **query)

        def page(number: int) -> list[Row]:
            return list(self.get(path, page=number, limit=PAGE, **query)["data"])

        further = self.each(page, range(2, int(first["meta"]["totalPages"]) + 1))
        seen: set[Any] = set()
        return [row for rows in (first["data"], *further) for row in _new(rows, seen)]

    def by_number(self, path: str, query: Mapping[str, Any]) -> Iterator[list[Row]]:
        """Yield the pages of a list with page numbers, one after the other. Raises ApiError."""
        number, last, seen = 1, 1, set[Any]()
        while number <= last:
            page = self.get(path, **query, page=number)
            yield _new(page["data"], seen)
            number, last = number + 1, int(page["meta"]["totalPages"])

    def by_cursor(
        self, path: str, query: Mapping[str, Any], cursor: str = ""
    ) -> Iterator[tuple[list[Row], str]]:
        """Yield pages and the cursor behind each, which is empty behind the last one. Raises ApiError."""
        while True:
            page = self.get(path, **query, cursor=cursor or None)
            cursor = page["meta"].get("cursor") or ""
            yield page["data"], cursor
            if not cursor:
                return

    def ready(self) -> str:
        """Return an empty string when the server takes requests, else what it does instead."""
        try:
            answer = self.request("GET", "ready")
        except NoAnswer as error:
            return f"no answer ({error.kind})"
        if answer.status_code == 200:
            return ""
        return f"/api/public/ready answers {answer.status_code}: {_message(answer)}".rstrip(": ")

    def version(self) -> str:
        """Return the version of the server, or an empty string when it does not say."""
        try:
            return str(self.get("health").get("version", ""))
        except (ApiError, AttributeError):
            return ""

    def project_of(self, keys: Keys | None = None) -> str | None:
        """Return the id of the project that a key belongs to, or None when the server refuses the key.

        A refusal is remembered by a real server for five minutes: ask only for keys that should exist.

        Raises:
            ApiError: the server does not answer, or not as a Langfuse server does.
        """
        found = self._project(keys)
        return found and found[0]

    def organization_name(self, keys: Keys) -> str:
        """Return how the server calls the organization of a key's project; empty where it does not say.

        Raises:
            ApiError: the server does not answer, or not as a Langfuse server does.
        """
        found = self._project(keys)
        return found[1] if found else ""

    def _project(self, keys: Keys | None) -> tuple[str, str] | None:
        """Return the project's id and the name of its organization; None when the key is refused."""
        try:
            project = self.get("projects", keys=keys)["data"][0]
            return str(project["id"]), str((project.get("organization") or {}).get("name") or "")
        except ErrorAnswer as error:
            if error.status == 401:
                return None
            raise
        except (KeyError, IndexError, TypeError) as error:
            raise UnexpectedAnswer(
                f"{self.base_url}/api/public/projects does not answer as Langfuse does "
                f"({type(error).__name__}: {error}).",
                fix="look at `make logs`.",
            ) from error

    def forget_rejected_keys(self, admin_api_key: str) -> None:
        """Empty the server's cache of API keys, so that a key it refused before is looked up anew."""
        body = {"action": "invalidate-all"}
        try:
            self.call("POST", "/api/admin/api-keys", body=body, keys=admin_api_key)
        except ApiError as error:
            raise ApiError(
                f"The key cache of {self.base_url} could not be emptied ({reason_of(error)}).",
                fix="wait five minutes, then run make bootstrap.",
            ) from error


class AsyncApi(_Client):
    """A server, for those who have many requests under way; each is made once."""

    def __init__(
        self, base_url: str, *, timeout_s: float, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """Prepare calls of the server at `base_url`; `transport` takes the place of the network."""
        import httpx

        super().__init__(base_url, None, Advice())
        self._http = httpx.AsyncClient(
            base_url=self.base_url, timeout=timeout_s, transport=transport, **client_options(base_url)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def request(self, method: str, path: str, **what: Any) -> httpx.Response:
        with self._errors(method, path):
            return await self._http.request(method, **self._request(path, **what))

    async def get(self, path: str, *, keys: Keys | None = None, **query: Any) -> Any:
        return self._content(await self.request("GET", path, query=query, keys=keys), "GET", path)


def _whole(path: str) -> str:
    return path if path.startswith("/") else f"/api/public/{path}"


def segment(name: str) -> str:
    """Return a name as one segment of a path."""
    return quote(name, safe="")


def _authorization(keys: Keys | None) -> dict[str, str]:
    if keys is None:
        return {}
    if isinstance(keys, str):
        # httpx refuses to send a header that ends with a space.
        return {"Authorization": f"Bearer {keys or 'none'}"}
    return {"Authorization": f"Basic {base64.b64encode(':'.join(keys).encode()).decode()}"}


def _repeated(attempts: int, over: threading.Event, *, repeatable: bool) -> tenacity.Retrying:
    """Return THE retry rule; when `over` is set nobody waits any more."""
    import httpx
    import tenacity

    def is_busy(answer: httpx.Response) -> bool:
        return answer.status_code in _BUSY or (repeatable and answer.status_code >= 500)

    def pause(state: tenacity.RetryCallState) -> float:
        outcome = state.outcome
        answer = outcome.result() if outcome and not outcome.failed else None
        asked = _asked_pause_s(answer) if answer is not None else None
        return min(0.25 * 2.0**state.attempt_number if asked is None else asked, _LONGEST_PAUSE_S)

    broken = httpx.TransportError if repeatable else httpx.ConnectError
    return tenacity.Retrying(
        retry=tenacity.retry_if_result(is_busy) | tenacity.retry_if_exception_type(broken),
        wait=pause,
        stop=tenacity.stop_after_attempt(attempts) | tenacity.stop_when_event_set(over),
        sleep=tenacity.sleep_using_event(over),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )


def _asked_pause_s(answer: httpx.Response) -> float | None:
    """Return the seconds of `Retry-After`, or None: the server sends no date there (RateLimitService.ts)."""
    after = answer.headers.get("Retry-After", "")
    return float(after) if after.isascii() and after.isdigit() else None


def _new(rows: Iterable[Row], seen: set[Any]) -> list[Row]:
    """Return the rows that were not seen: one that moved to the next page while we read counts once."""
    found = {row.get("id", row.get("name")): row for row in rows}
    new = [row for key, row in found.items() if key not in seen]
    seen.update(found)
    return new


def _message(answer: httpx.Response) -> str:
    try:
        content = answer.json()
    except ValueError:
        return " ".join(answer.text.split())[:500]
    if not isinstance(content, dict):
        return str(content)[:500]
    message, details = str(content.get("message") or content.get("status") or ""), content.get("error")
    more = "" if details in (None, "", message) else details
    return f"{message} {more}".strip()[:1500]


def _parsed(content: bytes) -> Any:
    import orjson

    try:
        return orjson.loads(content)
    except ValueError:
        # A lone half of a surrogate pair, which no file can hold; a server may give it back as it was sent.
        text = json.dumps(json.loads(content), ensure_ascii=False)
        return orjson.loads(text.encode("utf-8", "replace"))
