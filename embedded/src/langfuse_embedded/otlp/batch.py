"""The decoded batch: what both encodings of an OTLP trace export have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class DecodeError(Exception):
    """A request body cannot be taken. The text is the server's answer, for a response with status 400."""


class TooLarge(DecodeError):
    """A request body is larger, or holds more, than is taken."""


Attributes = dict[str, Any]
"""Attribute values by key: str, bool, int, float, None, and lists of these."""


@dataclass(slots=True)
class SpanEvent:
    """Something that happened during a span; older GenAI conventions carry messages this way."""

    name: str
    attributes: Attributes | None


@dataclass(slots=True)
class Span:
    """One span. Times are Unix milliseconds, ``None`` when absent or unreadable."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    start_time: int | None
    end_time: int | None
    status_code: int | None
    status_message: Any
    attributes: Attributes
    events: list[SpanEvent]


@dataclass(slots=True)
class Scope:
    """The instrumentation scope and its spans. `fields` is the scope object as sent, attributes decoded."""

    name: str | None
    version: str | None
    fields: dict[str, Any]
    spans: list[Span]


@dataclass(slots=True)
class Resource:
    """The resource (process, service) and what its scopes recorded."""

    attributes: Attributes
    scopes: list[Scope]


@dataclass(slots=True)
class Decoded:
    """A whole trace export."""

    resources: list[Resource] = field(default_factory=list)

    @property
    def span_count(self) -> int:
        """Return the number of spans in the batch."""
        return sum(len(scope.spans) for resource in self.resources for scope in resource.scopes)
