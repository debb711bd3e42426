"""One project of a Langfuse server, as reading and writing its objects needs it."""

from __future__ import annotations

import threading
from typing import Any

from scripts.api.client import ATTEMPTS, Api
from scripts.api.errors import Advice

TIMEOUT_S = 30.0
_ADVICE = Advice(
    key="run make bootstrap, or correct the key.",
    refused="correct what it says in config/, then run make bootstrap again; it goes on.",
    away="look at `make status` and `make logs`; then run make bootstrap again, it goes on.",
)


class Server(Api):
    """The API with the key of one project.

    Attributes:
        ids: (kind, key) -> the server's id, noted by reads and writes for objects that refer to others.
        unreadable: objects that the files do not name and the server does not give; they stay as they are.
    """

    def __init__(
        self, base_url: str, public_key: str, secret_key: str, *, attempts: int = ATTEMPTS, **options: Any
    ) -> None:
        """See Api for the further options."""
        keys = public_key, secret_key
        super().__init__(base_url, keys, timeout_s=TIMEOUT_S, attempts=attempts, advice=_ADVICE, **options)
        self.ids: dict[tuple[str, str], str] = {}
        self.unreadable: list[str] = []
        self._lock = threading.Lock()

    def note_unreadable(self, kind: str, name: str, why: str) -> None:
        """Note an object that is left alone because it cannot be read."""
        shown = name if len(name) <= 80 else f"{name[:60]}... ({len(name):,} characters)"
        with self._lock:
            self.unreadable.append(f"{kind} {shown} cannot be read and is left alone: {why[:200]}")

    def note_id(self, kind: str, key: str, value: str) -> None:
        """Note the id of an object for others that refer to it."""
        with self._lock:
            self.ids[kind, key] = value
