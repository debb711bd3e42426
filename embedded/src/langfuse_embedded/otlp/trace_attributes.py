"""What a span says of its whole trace beyond the columns that every observation has."""

from __future__ import annotations

from .batch import Attributes
from .event import TraceAttributes
from .fields import text
from .metadata import metadata_attributes, metadata_under


def trace_attributes(attributes: Attributes) -> TraceAttributes | None:
    """Return the trace's input and output and the names of its metadata, as far as the span gives any."""
    given, answered = (attributes.get(f"langfuse.trace.{part}") for part in ("input", "output"))
    attached = metadata_attributes(attributes)
    names = list(metadata_under("langfuse.trace.metadata", attached))
    own = metadata_under("langfuse.observation.metadata", attached) if names else {}
    if given is None and answered is None and not names:
        return None
    return TraceAttributes(text(given), text(answered), names, [name for name in names if name in own])
