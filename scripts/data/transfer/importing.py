"""One run of an import: where it goes, what it has sent, and what the ids of the export are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from scripts.api.client import Api, Row
from scripts.api.errors import ObjectRefused

from .files import Manifest, read_part
from .journal import Journal
from .media import FILES
from .remote import observations_of

_TRACES = 100
"""Traces in a filter: the server runs into limits of its URL above that."""


@dataclass(slots=True)
class Import:
    """One run.

    Attributes:
        sent: rows that were not there, by kind.
        refused: what the server did not take, and why.
        left_out: what has no place there, such as comments on what an export with filters does not have.
        configs: the score configs there, by the id that they have in the export.
        queues: the ids of annotation queues there, by the id that they have in the export.
    """

    remote: Api
    source: Path
    manifest: Manifest
    journal: Journal
    sent: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    configs: dict[str, Row] = field(default_factory=dict)
    queues: dict[str, str] = field(default_factory=dict)
    _unreadable: set[tuple[str, str]] = field(default_factory=set)

    def rows(self, kind: str) -> Iterator[Row]:
        """Yield the exported rows of a kind."""
        for path in self.parts(kind):
            yield from read_part(path)

    def parts(self, kind: str) -> list[Path]:
        """Return the files with the rows of a kind."""
        found = [part.path for part in self.manifest.parts if part.path.startswith(f"{kind}/")]
        return [self.source / path for path in found if not path.startswith(FILES)]

    def missing(self, rows: Sequence[Row]) -> list[Row]:
        """Return the observations that are not there, without those that were refused."""
        found = missing_observations(self.remote, rows)
        return [row for row in found if (row["traceId"], row["id"]) not in self._unreadable]

    def refuse_observation(self, row: Row, why: str) -> None:
        """Note an observation that the server does not take."""
        self._unreadable.add((row["traceId"], row["id"]))
        self.refused.append(f"observation {row['id']}: {why}")

    @contextmanager
    def each(self, what: str) -> Iterator[None]:
        """Go on when the server does not take one thing."""
        try:
            yield
        except ObjectRefused as error:
            reason = " ".join([error.message, *error.details])
            self.refused.append(f"{what[:120]}: {reason[:300]}")

    def count(self, kind: str, rows: int = 1) -> None:
        """Note that rows were sent."""
        self.sent[kind] = self.sent.get(kind, 0) + rows
        self.journal.note_sent()


def batches(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    """Yield rows in lists of at most `size`."""
    while batch := list(islice(rows, size)):
        yield batch


def missing_observations(remote: Api, rows: Sequence[Row]) -> list[Row]:
    """Return the rows whose observation the server does not have."""
    times = sorted(row["startTime"] for row in rows)
    window = {"fromStartTime": _moved(times[0], -1), "toStartTime": _moved(times[-1], 1)}
    there: set[tuple[str, str]] = set()
    traces = sorted({row["traceId"] for row in rows})
    for begin in range(0, len(traces), _TRACES):
        for page in observations_of(remote, traces[begin : begin + _TRACES], **window):
            there.update((row["traceId"], row["id"]) for row in page)
    return [row for row in rows if (row["traceId"], row["id"]) not in there]


def _moved(moment: str, seconds: int) -> str:
    found = datetime.fromisoformat(moment) + timedelta(seconds=seconds)
    return found.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
