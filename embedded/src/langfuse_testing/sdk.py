"""The SDK of the application in this process, where there is one: what it holds back between two tests."""

from __future__ import annotations

import sys
import threading

_FLUSH_SECONDS = 10.0


def settle_sdk(public_key: str, *, forget: bool) -> None:
    """Have the SDK's client of a project send what it holds; with `forget`, drop the prompts it cached.

    SDK 3 to 5 keep one resource manager for each public key. Clients of other projects are left alone.
    """
    module = sys.modules.get("langfuse._client.resource_manager")
    managers = getattr(getattr(module, "LangfuseResourceManager", None), "_instances", {})
    manager = managers.get(public_key)
    if manager is None:
        return
    # After shutdown() nobody empties its queues: it would wait forever.
    flushing = threading.Thread(target=manager.flush, daemon=True)
    flushing.start()
    flushing.join(_FLUSH_SECONDS)
    if forget:
        manager.prompt_cache.clear()
