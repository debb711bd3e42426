"""What was done to an old stack, so that it can be started again, whenever this process ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from scripts.core.errors import UsageError
from scripts.core.layout import Layout, write_private


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal of one adoption.

    Attributes:
        directory, project: of the old stack.
        policies: by container, with which policy Docker starts it again.
        backup: the id of the set that was made of it, or empty.
        done: whether this stack has taken over.
    """

    directory: str
    project: str
    policies: Mapping[str, str]
    backup: str = ""
    done: bool = False

    def save(self, layout: Layout, **changes: object) -> Journal:
        """Write it in one step, with changes; return it."""
        changed = replace(self, **changes)  # type: ignore[arg-type]
        write_private(path_of(layout), json.dumps(asdict(changed), indent=1) + "\n")
        return changed


def path_of(layout: Layout) -> Path:
    """Return where it lies."""
    return layout.stack_dir / "adopt.json"


def read(layout: Layout) -> Journal | None:
    """Return the journal of the adoption of this stack, or None.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return Journal(**json.loads(path_of(layout).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{layout.shown(path_of(layout))} cannot be read: {error}.",
            fix="start the old stack by hand: docker compose up -d in its directory; then delete that file.",
        ) from error
