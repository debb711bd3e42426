"""What backup and restore ask of the stores of an engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from scripts.data.backup.manifest import Contents, Manifest


@dataclass(frozen=True, slots=True)
class Captured:
    """What a capture holds.

    Attributes:
        consistency: in which sense its stores belong together.
        images: by service, the image that it ran and the id of its content.
    """

    contents: Contents
    consistency: str
    images: Mapping[str, str] = field(default_factory=dict)


class Exchange(Protocol):
    """New stores in the place of the old ones, which stay until it is clear that the new ones work.

    A process that is killed in between leaves a journal, from which the next one undoes it.
    """

    def begin(self) -> None:
        """Put the new stores in place; the engine is stopped. Raises StackError."""

    def undo(self) -> None:
        """Bring the old ones back, however far `begin` came; the engine is stopped. May be repeated."""

    def commit(self) -> None:
        """Let go of the old ones; there is no way back."""


class Driver(Protocol):
    """The stores of one engine of one stack.

    A capture is a directory of files that holds all stores. Its form is the driver's own business.
    """

    def size(self) -> int:
        """Return how large the stores are, in bytes."""

    def has_data(self) -> bool:
        """Return whether there is anything that a restore would replace."""

    def obstacles(self) -> Sequence[str]:
        """Return what a backup would fail on, a line each. Changes nothing."""

    def capture(self, into: Path) -> Captured:
        """Copy all stores to a directory that does not exist, also while the engine works; say what is in it.

        Raises:
            StackError: that failed.
        """

    def newer(self, manifest: Manifest) -> Sequence[str]:
        """Return what of a backup was made by something newer than this stack, a line each.

        Raises:
            StackError: the engine does not say.
        """

    def places(self) -> Sequence[str]:
        """Return what a restore fills that is not run by this stack, a line each."""

    def refusals(self, manifest: Manifest, only: Sequence[str]) -> Sequence[str]:
        """Return why a backup cannot come into these stores, or into some of them, a line each."""

    def describe(self, capture: Path) -> Contents:
        """Return what a capture holds, after looking for damage.

        Raises:
            StackError: it is damaged.
        """

    def replacements(self, capture: Path, only: Sequence[str]) -> Sequence[tuple[Path, Path]]:
        """Return which path of a capture takes which place here while the engine is stopped.

        A path that the capture does not have leaves its place empty. `only` are some of `stores`, or nothing.
        """

    def exchange(self, capture: Path, work: Path, only: Sequence[str]) -> Exchange | None:
        """Return how stores that are not files here take their places; None where all are files.

        `work` is for the journal and for what is replaced.
        """

    def unfinished(self, work: Path) -> Exchange | None:
        """Return the exchange that a killed process has left open, or None."""

    @property
    def stores(self) -> Mapping[str, frozenset[str]]:
        """The stores that can be restored alone, each with the kinds of samples that it decides about."""

    def start_to_read(self) -> None:
        """Start what is needed to read through the API, and nothing that acts by itself.

        Raises:
            StackError: it does not start.
        """

    def settle(self, capture: Path) -> int:
        """Bring back what was on its way into the stores when they were copied; return how many objects.

        Raises:
            StackError: that failed.
        """

    def discard(self) -> None:
        """Stop a throw-away stack and remove its data."""
