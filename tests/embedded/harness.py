"""Run the embedded engine as users do: a process with a data directory, a port and keys."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx

from langfuse_testing.embedded import DEFAULT_KEYS, EmbeddedLangfuse, engine_command
from langfuse_testing.server import Keys
from langfuse_testing.server import LangfuseFailed as EngineFailed

__all__ = ["DEFAULT_KEYS", "REPOSITORY", "EngineFailed", "Keys", "RunningEngine", "engine_command"]

REPOSITORY = Path(__file__).resolve().parents[2]


class RunningEngine(EmbeddedLangfuse):
    """An engine process with an HTTP client. `client` sends the keys of the default project."""

    _client: httpx.Client | None = None

    @property
    def client(self) -> httpx.Client:
        """An HTTP client for the default project."""
        if self._client is None:
            self._client = httpx.Client(base_url=self.base_url, auth=self.keys.auth, timeout=30)
        return self._client

    def start(self) -> RunningEngine:  # type: ignore[override]  # tests chain it
        """Start the process, wait until it is ready, return this engine."""
        super().start()
        return self

    def client_for(self, keys: Keys) -> httpx.Client:
        """Return a client with other keys; the caller closes it."""
        return httpx.Client(base_url=self.base_url, auth=keys.auth, timeout=30)

    def _end(self, how: signal.Signals) -> int:
        if self._client is not None:
            self._client.close()
            self._client = None
        return super()._end(how)
