"""What can go wrong with a store: an expected failure with a fix."""

from __future__ import annotations

from scripts.core.errors import StackError


class StoreError(StackError):
    """A store refused something, or said what it should not."""
