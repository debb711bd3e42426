"""The last rotation: kept until the next one, so that it can go on after a crash, or be undone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.core.layout import Layout, write_private

from .plan import Change


@dataclass(frozen=True, slots=True)
class Entry:
    """One rotation.

    Attributes:
        done: whether it got to its end; else it was interrupted.
    """

    secret: str
    changes: tuple[Change, ...]
    done: bool


def journal_file(layout: Layout) -> Path:
    """Return where the entry is; it contains the former and the new secret."""
    return layout.stack_dir / "rotation.json"


def read(layout: Layout) -> Entry | None:
    """Return the last rotation, or None."""
    try:
        document = json.loads(journal_file(layout).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    changes = tuple(Change(one["name"], one["old"], one["new"]) for one in document["changes"])
    return Entry(document["secret"], changes, document["done"])


def write(layout: Layout, secret: str, changes: Sequence[Change], *, done: bool) -> None:
    """Keep a rotation."""
    document = {
        "secret": secret,
        "done": done,
        "changes": [{"name": one.name, "old": one.old, "new": one.new} for one in changes],
    }
    write_private(journal_file(layout), json.dumps(document))


def forget(layout: Layout) -> None:
    """Forget the last rotation, and with it the former secret."""
    journal_file(layout).unlink(missing_ok=True)
