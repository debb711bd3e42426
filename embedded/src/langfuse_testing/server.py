"""What a test needs of a Langfuse server, wherever it runs."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from .traces import Observation, Trace, traces_of

_POLL_SECONDS = 0.05
_PAGE = 1000
_SCORE_FIELDS = "core,details,subject"
_FIELDS = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"
# What a busy server answers, and one with faults: later it may be another answer.
_TRY_AGAIN = (429, 502, 503, 504)


class LangfuseFailed(AssertionError):
    """The server did not do what a test needs of it; the text carries its last log lines."""


class TraceNotFound(AssertionError):
    """A trace did not become readable in time; the text says what was found instead."""


class ScoreNotFound(AssertionError):
    """A score did not become readable in time; the text says what was found instead."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The credentials of one project."""

    project_id: str
    public_key: str
    secret_key: str

    @property
    def auth(self) -> tuple[str, str]:
        """User and password of HTTP Basic."""
        return self.public_key, self.secret_key

    @property
    def header(self) -> str:
        """The value of the `Authorization` header."""
        pair = f"{self.public_key}:{self.secret_key}"
        return "Basic " + base64.b64encode(pair.encode()).decode()


class LangfuseServer:
    """A server with one provisioned project: an `EmbeddedLangfuse`, a `LangfuseStack`, or any that runs.

    Attributes:
        since: lists leave out what began earlier; ``None``: nothing.
    """

    def __init__(self, base_url: str, keys: Keys) -> None:
        self.base_url = base_url
        self.keys = keys
        self.since: datetime | None = None

    def environment(self) -> dict[str, str]:
        """Return the variables from which the SDKs of both lines take URL and keys."""
        return {
            "LANGFUSE_BASE_URL": self.base_url,
            "LANGFUSE_HOST": self.base_url,
            "LANGFUSE_PUBLIC_KEY": self.keys.public_key,
            "LANGFUSE_SECRET_KEY": self.keys.secret_key,
        }

    @property
    def prompts(self) -> Prompts:
        """The prompts of the project."""
        return Prompts(self)

    def observations(self, trace_id: str) -> list[Observation]:
        """Return the observations of a trace that are readable now, oldest first, with all field groups."""
        with self._api() as api:
            return self._observations(api, traceId=trace_id)

    def traces(self) -> list[Trace]:
        """Return the traces that are readable now, in the order in which they began."""
        with self._api() as api:
            return self._traces(api)

    def scores(self, *, name: str = "", trace_id: str = "") -> list[dict[str, Any]]:
        """Return the scores that are readable now, oldest first, as `GET v3/scores` returns them."""
        with self._api() as api:
            return [one for one in self._scores(api) if _belongs(one, name, trace_id)]

    def wait_for_trace(
        self,
        trace_id: str = "",
        *,
        name: str = "",
        session_id: str = "",
        observations: int = 1,
        seconds: float = 20,
    ) -> list[Observation]:
        """Return the observations of a trace, oldest first, as soon as there are at least so many.

        A real server stores what it accepted a moment later, so a test must wait; flush the SDK before.

        Args:
            trace_id: its id; without one the trace that began last of those that fit.
            name: the name of the trace, or of one of its observations.
            session_id: the session that it belongs to.
            observations: how many there must be.
            seconds: how long to wait for them.

        Raises:
            TraceNotFound: there are fewer after `seconds`.
        """
        if not (trace_id or name or session_id):
            raise TypeError("wait_for_trace needs trace_id, name or session_id")

        def look(api: httpx.Client) -> list[Trace]:
            if trace_id:
                return traces_of(self._observations(api, traceId=trace_id))
            return self._traces(api)

        def fits(trace: Trace) -> bool:
            return (
                (not name or trace.is_called(name))
                and (not session_id or trace.session_id == session_id)
                and len(trace.observations) >= observations
            )

        found = self._wait(look, fits, seconds)
        if found.fitting:
            return list(found.fitting[-1].observations)
        wanted = _words(trace_id=trace_id, name=name, session_id=session_id)
        if trace_id and not (name or session_id):
            seen = [str(one.get("name")) for trace in found.all for one in trace.observations]
            what = f"Trace {trace_id} has {len(seen)} of {observations} observations"
        else:
            seen = [f"{one.name} ({one.id}, {len(one.observations)} observations)" for one in found.all]
            what = f"No trace with {wanted} has {observations} observations or more"
        raise TraceNotFound(self._not_found(what, seconds, seen, found.trouble))

    def wait_for_score(self, *, name: str = "", trace_id: str = "", seconds: float = 20) -> dict[str, Any]:
        """Return the newest score with this name, of this trace, as soon as there is one.

        Raises:
            ScoreNotFound: there is none after `seconds`.
        """
        found = self._wait(self._scores, lambda score: _belongs(score, name, trace_id), seconds)
        if found.fitting:
            return dict(found.fitting[-1])
        what = f"There is no score with {_words(name=name, trace_id=trace_id) or 'any name'}"
        seen = [f"{one['name']} ({one['value']})" for one in found.all]
        raise ScoreNotFound(self._not_found(what, seconds, seen, found.trouble))

    @contextmanager
    def faults(self, text: str) -> Iterator[dict[str, int]]:
        """Have requests fail during the block, such as `503:x2@/api/public/otel`.

        Yields:
            How many requests were hit, by kind of fault; filled at the end of the block.

        Raises:
            LangfuseFailed: the text cannot be read, or the server has no faults: only an embedded engine with
                EMBEDDED_FAULTS has.
        """
        hit: dict[str, int] = {}
        with self._api() as api:
            self._put_faults(api, text)
            try:
                yield hit
            finally:
                hit.update(api.get("/api/embedded/faults").json()["injected"])
                self._put_faults(api, "none")

    def reset(self) -> None:
        """Delete all that the project holds: traces, scores, prompts, datasets and the rest.

        Raises:
            LangfuseFailed: the server is not an embedded engine, or its EMBEDDED_ALLOW_RESET is not true.
        """
        with self._api() as api:
            _succeeded(api.post("/api/embedded/reset"), "cannot be reset")

    def _put_faults(self, api: httpx.Client, text: str) -> None:
        _succeeded(api.put("/api/embedded/faults", json={"faults": text}), f"refuses the faults {text!r}")

    @contextmanager
    def _api(self) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=self.base_url, auth=self.keys.auth, timeout=10) as client:
            yield client

    def _observations(self, api: httpx.Client, **query: str) -> list[Observation]:
        rows = _pages(api, "/api/public/v2/observations", {"fields": _FIELDS, "limit": str(_PAGE), **query})
        return rows[::-1]

    def _traces(self, api: httpx.Client) -> list[Trace]:
        query = {"fromStartTime": _iso(self.since)} if self.since else {}
        return traces_of(self._observations(api, **query))

    def _scores(self, api: httpx.Client) -> list[dict[str, Any]]:
        query = {"fromTimestamp": _iso(self.since)} if self.since else {}
        return _pages(api, "/api/public/v3/scores", {"fields": _SCORE_FIELDS, "limit": "100", **query})[::-1]

    def _wait(
        self, look: Callable[[httpx.Client], list[Any]], fits: Callable[[Any], bool], seconds: float
    ) -> _Found:
        deadline = time.monotonic() + seconds
        found = _Found([], [], "")
        with self._api() as api:
            while not found.fitting:
                try:
                    everything = look(api)
                except httpx.HTTPStatusError as error:
                    if error.response.status_code not in _TRY_AGAIN:
                        raise
                    found = _Found([], found.all, f"it answered {error.response.status_code}")
                except httpx.TransportError as error:
                    found = _Found([], found.all, f"it did not answer ({error!r})")
                else:
                    found = _Found([one for one in everything if fits(one)], everything, "")
                if found.fitting or time.monotonic() >= deadline:
                    break
                time.sleep(_POLL_SECONDS)
        return found

    def _not_found(self, what: str, seconds: float, seen: Sequence[str], trouble: str) -> str:
        there = f"Last, {trouble}." if trouble else f"There is: {', '.join(seen) or 'nothing'}."
        return (
            f"{what} after {seconds:g} s on {self.base_url} (project {self.keys.project_id}). {there} "
            "Was the SDK flushed, and does it use this URL and these keys?"
        )


class Prompts:
    """The prompts of a project, for what a test starts from and for what it finds."""

    def __init__(self, server: LangfuseServer) -> None:
        self._server = server

    def create(
        self,
        name: str,
        prompt: str | Sequence[Mapping[str, Any]],
        *,
        labels: Sequence[str] = ("production",),
        config: Mapping[str, Any] | None = None,
    ) -> int:
        """Create a version of a prompt, a text or a list of messages; return its number."""
        body = {
            "name": name,
            "type": "text" if isinstance(prompt, str) else "chat",
            "prompt": prompt,
            "labels": list(labels),
            "config": dict(config or {}),
        }
        with self._server._api() as api:
            answer = api.post("/api/public/v2/prompts", json=body)
        answer.raise_for_status()
        return int(answer.json()["version"])

    def get(self, name: str, *, label: str = "production") -> dict[str, Any]:
        """Return the version with a label, as the API describes it.

        Raises:
            KeyError: there is none.
        """
        with self._server._api() as api:
            answer = api.get(f"/api/public/v2/prompts/{quote(name, safe='')}", params={"label": label})
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise KeyError(f"{name} with the label {label}")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


@dataclass(frozen=True, slots=True)
class _Found:
    fitting: list[Any]
    all: list[Any]
    trouble: str


def _belongs(score: Mapping[str, Any], name: str, trace_id: str) -> bool:
    subject = score["subject"]
    trace = subject["id"] if subject["kind"] == "trace" else subject.get("traceId")
    return (not name or score["name"] == name) and (not trace_id or trace == trace_id)


def _pages(api: httpx.Client, path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = api.get(path, params={**query, **cursor})
        answer.raise_for_status()
        page = answer.json()
        rows += page["data"]
        if not page["meta"].get("cursor"):
            return rows
        cursor = {"cursor": page["meta"]["cursor"]}


def _succeeded(answer: httpx.Response, what: str) -> None:
    if answer.is_success:
        return
    try:
        message = answer.json()["message"]
    except (ValueError, KeyError, TypeError):
        message = f"status {answer.status_code}"
    raise LangfuseFailed(f"{answer.request.url.copy_with(path='/')} {what}: {message}")


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _words(**wanted: str) -> str:
    return " and ".join(f"{name} {value!r}" for name, value in wanted.items() if value)
