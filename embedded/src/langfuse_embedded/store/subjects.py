"""What comments, runs and queues refer to in `events.db`: does a trace, observation or session exist?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from .events import EventsReader
from .hexid import pack, unpack

# Runs what may take long in a thread of the project's.
Read = Callable[[str, Callable[[], str | None]], Awaitable[str | None]]


class Subjects:
    """Looks up traces, observations and sessions of a project."""

    def __init__(self, events: EventsReader, read: Read) -> None:
        self._events, self._read = events, read

    def has_trace(self, project_id: str, trace_id: str) -> bool:
        """Return whether any observation of a trace is stored."""
        return self._any("trace_id = ?", project_id, pack(trace_id))

    def has_session(self, project_id: str, session_id: str) -> bool:
        """Return whether any observation of a session is stored."""
        return session_id != "" and self._any("session_id = ? and session_id <> ''", project_id, session_id)

    async def trace_of_observation(self, project_id: str, observation_id: str) -> str | None:
        """Return the trace of an observation, or ``None``; scans the project's ids in a thread."""
        project = self._events.project_key(project_id)
        return await self._read(project_id, lambda: self._scan(project, pack(observation_id)))

    def _scan(self, project: int, span_id: bytes | str) -> str | None:
        with self._events.connection() as connection:
            row = connection.execute(
                "select trace_id from observations where project = ? and span_id = ? limit 1",
                (project, span_id),
            ).fetchone()
        return unpack(row[0]) if row else None

    def _any(self, condition: str, project_id: str, value: bytes | str) -> bool:
        row = self._events.db.execute(
            f"select 1 from observations where project = ? and {condition} limit 1",
            (self._events.project_key(project_id), value),
        ).fetchone()
        return row is not None
