"""The last upgrade, on disk before anything is done: it goes on, or back, whenever the process ends."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scripts.core.errors import StackError
from scripts.core.layout import Layout, write_private
from scripts.engines.base import EngineName

from .steps import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One upgrade.

    Attributes:
        old, new: versions; of the embedded engine, the schemas of its databases.
        step: the one that was begun last.
        done: whether it got to its end. Then it can still be rolled back.
        going_back: whether a rollback has begun.
        snapshot: id of the backup that it made, or empty.
        began: when that backup was begun, ISO 8601, or empty.
        levels: of the migrations before.
    """

    engine: EngineName
    old: str
    new: str
    step: Step
    done: bool = False
    going_back: bool = False
    snapshot: str = ""
    began: str = ""
    levels: dict[str, Any] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether it was interrupted, forth or back."""
        return self.going_back or not self.done


def journal_file(layout: Layout) -> Path:
    """Return where the entry is."""
    return layout.stack_dir / "upgrade.json"


def read(layout: Layout) -> Entry | None:
    """Return the last upgrade, or None. Raises StackError when the file is damaged."""
    path = journal_file(layout)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        document["engine"] = EngineName(document["engine"])
        document["step"] = Step(document["step"])
        return Entry(**document)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StackError(
            f"{layout.shown(path)} cannot be read ({type(error).__name__}: {error}).",
            fix="see `make status` and `make backups`, then delete the file.",
        ) from error


def write(layout: Layout, entry: Entry) -> None:
    """Keep an upgrade."""
    write_private(journal_file(layout), json.dumps(asdict(entry), indent=1) + "\n")


def forget(layout: Layout) -> None:
    """Forget the last upgrade; there is no rollback any more."""
    journal_file(layout).unlink(missing_ok=True)
