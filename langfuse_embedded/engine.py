"""The engine: its parts, opened and closed in order."""

from __future__ import annotations

from .config import EngineConfig
from .http.auth import Authenticator
from .store.prompts import PromptStore
from .store.state import StateStore


class Engine:
    """Everything that handlers share. Open it before the first request, close it after the last."""

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self.state = StateStore(config.data_dir, config.salt)
        self.authenticator = Authenticator(self.state, config)
        self.prompts = PromptStore(self.state)
        if config.init:
            self.state.tenancy.provision(config.init)

    async def open(self) -> None:
        """Start what needs a running event loop."""

    async def close(self) -> None:
        """Stop in the reverse order; everything acknowledged is on disk already."""
        self.state.close()
