"""One project of a Langfuse server, as reading and writing its objects needs it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import tenacity

from scripts.core.errors import ProvisioningError
from scripts.core.proxies import uses_proxy

T = TypeVar("T")
R = TypeVar("R")
CONCURRENCY = 8
TIMEOUT_S = 30.0
PAGE = 100
_BUSY = frozenset({429, 502, 503, 504})


class _Busy(Exception):
    """The server asked to come again; `after` says in how many seconds."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer
        given = answer.headers.get("Retry-After", "")
        self.after = float(given) if given.isdigit() else None


def _pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    after = error.after if isinstance(error, _Busy) else None
    return min(after if after is not None else 0.2 * 2**state.attempt_number, 30.0)


class Server:
    """The API with the key of one project; safe to use from several threads.

    Attributes:
        ids: (kind, key) -> the server's id, noted by reads and writes for objects that refer to others.
        unreadable: objects that the files do not name and the server does not give; they stay as they are.
    """

    def __init__(
        self,
        base_url: str,
        public_key: str,
        secret_key: str,
        *,
        concurrency: int = CONCURRENCY,
        attempts: int = 6,
    ) -> None:
        self.base_url = base_url
        self.ids: dict[tuple[str, str], str] = {}
        self.unreadable: list[str] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._http = httpx.Client(
            base_url=base_url,
            auth=(public_key, secret_key),
            timeout=TIMEOUT_S,
            trust_env=uses_proxy(base_url),
            limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
        )
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="provision")
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((_Busy, httpx.ConnectError)),
            wait=_pause,
            # Whoever is interrupted does not wait for a server that is away.
            stop=tenacity.stop_after_attempt(attempts) | tenacity.stop_when_event_set(self._over),
            sleep=tenacity.sleep_using_event(self._over),
            reraise=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what is under way, and every connection."""
        self._over.set()
        self._pool.shutdown(cancel_futures=True)
        self._http.close()

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

    def note_unreadable(self, kind: str, name: str, why: str) -> None:
        """Note an object that is left alone because it cannot be read."""
        shown = name if len(name) <= 80 else f"{name[:60]}... ({len(name):,} characters)"
        with self._lock:
            self.unreadable.append(f"{kind} {shown} cannot be read and is left alone: {why[:200]}")

    def note_id(self, kind: str, key: str, value: str) -> None:
        """Note the id of an object for others that refer to it."""
        with self._lock:
            self.ids[kind, key] = value

    def get(self, path: str, **query: Any) -> Any:
        """Return the answer to a read. Raises ProvisioningError."""
        return self._call("GET", path, query=query)

    def get_or_none(self, path: str, **query: Any) -> Any:
        """Return the answer to a read, or None when there is nothing. Raises ProvisioningError."""
        return self._call("GET", path, query=query, also=(404,))

    def pages(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """Return all rows of a list in pages. Raises ProvisioningError."""
        first = self.get(path, page=1, limit=PAGE, **query)
        rows = list(first["data"])
        total = int(first["meta"]["totalPages"])

        def page(number: int) -> list[dict[str, Any]]:
            return list(self.get(path, page=number, limit=PAGE, **query)["data"])

        for more in self.each(page, range(2, total + 1)):
            rows += more
        # A row that moved to the next page while we read must not count twice.
        return list({row.get("id", row.get("name")): row for row in rows}.values())

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Create something. Raises ProvisioningError."""
        return self._call("POST", path, body=body)

    def put(self, path: str, body: Mapping[str, Any], *, also: Sequence[int] = ()) -> Any:
        """Create or replace something; None for the statuses in `also`. Raises ProvisioningError."""
        return self._call("PUT", path, body=body, also=also)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Change something. Raises ProvisioningError."""
        return self._call("PATCH", path, body=body)

    def delete(self, path: str, *, also: Sequence[int] = (404,)) -> None:
        """Delete something; what is gone already is no error. Raises ProvisioningError."""
        self._call("DELETE", path, also=also)

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        also: Sequence[int] = (),
    ) -> Any:
        path = f"/api/public/{path}"
        try:
            answer = self._retrying(self._send, method, path, query, body)
        except _Busy as busy:
            answer = busy.answer
        except httpx.InvalidURL as error:
            raise ProvisioningError(
                f"{method} {path[:80]}... cannot be asked for: {error}.",
                fix="delete or rename it on the server.",
            ) from error
        except httpx.HTTPError as error:
            raise ProvisioningError(
                f"{method} {self.base_url}{path} got no answer ({type(error).__name__}: {error}).",
                fix="look at `make status` and `make logs`; then run make bootstrap again, it goes on.",
            ) from error
        if answer.status_code in also:
            return None
        if answer.status_code == 401:
            raise ProvisioningError(
                f"{self.base_url} refuses the API key.", fix="run make bootstrap, or correct the key."
            )
        if not answer.is_success:
            raise ProvisioningError(
                f"{method} {path} answered {answer.status_code}: {_message(answer)}",
                fix="correct what it says in config/, then run make bootstrap again; it goes on.",
            )
        return answer.json() if answer.content else None

    def _send(
        self, method: str, path: str, query: Mapping[str, Any] | None, body: Mapping[str, Any] | None
    ) -> httpx.Response:
        given = {key: value for key, value in (query or {}).items() if value is not None}
        answer = self._http.request(method, path, params=given or None, json=body)
        if answer.status_code in _BUSY:
            raise _Busy(answer)
        return answer


def segment(name: str) -> str:
    """Return a name as one segment of a path."""
    return quote(name, safe="")


def _message(answer: httpx.Response) -> str:
    try:
        content = answer.json()
    except ValueError:
        return answer.text[:500]
    if not isinstance(content, dict):
        return str(content)[:500]
    message, details = str(content.get("message") or ""), content.get("error")
    more = "" if details in (None, "", message) else details
    return f"{message} {more}".strip()[:1500]
