"""One visit of a page: who asks, which project it is about, and what a page answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from langfuse_embedded.engine import Engine
from langfuse_embedded.http.errors import Unavailable
from langfuse_embedded.store.deadline import QueryTooLong
from langfuse_embedded.store.tenancy import Project, User
from langfuse_embedded.store.trace_overview import SearchTooSlow

_MAX_DIGITS = 15
Result = TypeVar("Result")


class PageRefused(Exception):
    """A page that says no: a status, a heading, and a sentence for the reader."""

    def __init__(self, status: int, title: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.title = title
        self.text = text
        self.headers: dict[str, str] = {}


def not_found(what: str) -> PageRefused:
    """Return the refusal for something that is not there, or not the visitor's."""
    return PageRefused(404, f"No such {what}", f"This {what} does not exist, or you have no access to it.")


@dataclass(frozen=True, slots=True)
class View:
    """A template with what it shows; rendered outside the event loop."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


Answer = View | Response


@dataclass(slots=True)
class Visit:
    """What a page gets. `user` and `projects` are there behind the login, `project` where paths name one."""

    engine: Engine
    request: Request
    params: dict[str, str]
    user: User | None = None
    projects: Sequence[Project] = ()
    project: Project | None = None

    @property
    def project_id(self) -> str:
        """The id of the project that the path names and the user may see."""
        assert self.project is not None, "a page of no project has no project id"  # noqa: S101
        return self.project.id

    @property
    def project_key(self) -> int:
        """The number of the project in `events.db`."""
        return self.engine.events.project_key(self.project_id)

    @property
    def public_url(self) -> str:
        """What the addresses of this installation begin with."""
        return self.engine.config.public_url or str(self.request.base_url).rstrip("/")

    async def read(self, read: Callable[[], Result]) -> Result:
        """Return what `read` returns; it runs in one of the project's threads.

        Raises:
            PageRefused: it takes too long, or too much is being read for the project already.
        """
        try:
            return await self.engine.reads.run(self.project_id, read)
        except (QueryTooLong, SearchTooSlow) as error:
            raise PageRefused(503, "This takes too long", str(error)) from None
        except Unavailable as busy:
            raise PageRefused(503, "Busy", str(busy)) from None

    def text(self, name: str) -> str:
        """Return a query parameter without spaces around it; empty when it is missing."""
        return self.request.query_params.get(name, "").strip()

    def number(self, name: str, default: int, most: int = 10**9) -> int:
        """Return a query parameter from 1 to `most`; anything else counts as the default."""
        number = whole_number(self.text(name))
        return number if number is not None and 1 <= number <= most else default

    def moment(self, name: str) -> int | None:
        """Return a time (ISO 8601, UTC unless it says otherwise) as Unix milliseconds; ``None`` when missing.

        Raises:
            PageRefused: it is not a time; a list that ignores it looks filtered, and is not.
        """
        text = self.text(name)
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise PageRefused(
                400, "Not a time", f"“{name}” is to be a time like 2026-01-31T09:30, in UTC."
            ) from None
        delta = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
        return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def whole_number(text: str) -> int | None:
    """Return a number of few digits, or ``None``."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None


@dataclass(frozen=True, slots=True)
class Page:
    """One page: `{projectId}` in its path asks for a login and for membership in that project."""

    path: str
    handler: Callable[[Visit], Awaitable[Answer]]
    method: str = "GET"
    open: bool = False
    """Whether it is there for people who did not sign in."""
