"""What backup and restore ask of the stores of an engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from scripts.backup.manifest import Contents


class Driver(Protocol):
    """The stores of one engine of one stack.

    A capture is a directory of files that holds all stores. Its form is the driver's own business.
    """

    @property
    def consistency(self) -> str:
        """In which sense the stores of a capture belong together, for the manifest."""

    def size(self) -> int:
        """Return how large the stores are, in bytes."""

    def has_data(self) -> bool:
        """Return whether there is anything that a restore would replace."""

    def capture(self, into: Path) -> Contents:
        """Copy all stores to a directory that does not exist, also while the engine works; say what is in it.

        Raises:
            StackError: that failed.
        """

    def known_schema(self) -> Mapping[str, int]:
        """Return the newest migration level of each database that the engine of this stack can use.

        Raises:
            StackError: the engine does not say.
        """

    def describe(self, capture: Path) -> Contents:
        """Return what a capture holds, after looking for damage.

        Raises:
            StackError: it is damaged.
        """

    def replacements(self, capture: Path) -> Sequence[tuple[Path, Path]]:
        """Return which path of a capture has to take which place while the engine is stopped."""
