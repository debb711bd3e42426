"""The journal of a command: one file that says how far it has come, for the process that goes on, or back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from .errors import UsageError
from .layout import write_private

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Journal(Generic[Entry]):
    """A file that is there while there is something to go on with, or a way back.

    Attributes:
        kind: what it has: a data class, or a tuple or dict of them.
        fix: what to do where it is damaged.
    """

    path: Path
    kind: type[Entry]
    fix: str

    def read(self) -> Entry | None:
        """Return what was saved last, or None.

        Raises:
            UsageError: it is damaged, or not for this user. The message has nothing of what is in it.
        """
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(self.kind).validate_python(json.loads(self.path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            reason = ": ".join([*map(str, first["loc"]), first["msg"]])
        except OSError as error:
            reason = error.strerror or str(error)
        except ValueError as error:
            reason = str(error)
        raise UsageError(f"{self.path} cannot be read ({reason}).", fix=self.fix)

    def save(self, entry: Entry) -> Entry:
        """Put an entry in the place of the last one, in one step, for its owner alone; return it."""
        from pydantic import TypeAdapter

        document = TypeAdapter(self.kind).dump_python(entry, mode="json")
        write_private(self.path, json.dumps(document, indent=1) + "\n")
        return entry

    def forget(self) -> None:
        """Remove it, and what a process that was killed while it saved has left."""
        for path in (self.path, *self.path.parent.glob(f".{self.path.name}.*")):
            path.unlink(missing_ok=True)
