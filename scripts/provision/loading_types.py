"""What checks ask of whoever read the files."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel


class PlaceOf(Protocol):
    """Knows where objects stand."""

    def of(self, thing: BaseModel, *loc: str | int) -> str:
        """Return `file:line:column` of an object, or of something inside it."""
