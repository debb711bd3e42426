"""pytest fixtures; pytest finds them where the distribution is installed, in a checkout `-p` names them."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from .embedded import EmbeddedLangfuse
from .server import Keys, LangfuseServer

_SERVER = pytest.StashKey[LangfuseServer]()
_MOST_TRACES = 20
_FLUSH_SECONDS = 10.0


@pytest.fixture(scope="session")
def langfuse_server() -> Iterator[LangfuseServer]:
    """A provisioned server for the whole run; with pytest-xdist, one for each worker.

    It is the one that `LANGFUSE_TEST_URL`, `LANGFUSE_TEST_PUBLIC_KEY` and `LANGFUSE_TEST_SECRET_KEY` name,
    such as a stack that CI has started; or a compose stack of the checkout that `LANGFUSE_TEST_STACK` names,
    which goes at the end; or else an embedded engine, run by the Python that `LANGFUSE_TEST_PYTHON` names or
    by that of the tests.
    """
    url = os.environ.get("LANGFUSE_TEST_URL")
    if url:
        keys = Keys("", os.environ["LANGFUSE_TEST_PUBLIC_KEY"], os.environ["LANGFUSE_TEST_SECRET_KEY"])
        yield LangfuseServer(url, keys)
        return
    if checkout := os.environ.get("LANGFUSE_TEST_STACK"):
        from .stack import LangfuseStack  # needs testcontainers

        with LangfuseStack(Path(checkout)) as stack:
            yield stack
        return
    with EmbeddedLangfuse(environment={"EMBEDDED_FAULTS": "none", "EMBEDDED_ALLOW_RESET": "true"}) as engine:
        yield engine


@pytest.fixture
def langfuse_environment(
    langfuse_server: LangfuseServer, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[LangfuseServer]:
    """The same server for one test, with its URL and keys where the SDK looks for them.

    An engine that `langfuse_server` has started is emptied. On any other server nothing is deleted, and lists
    leave out what is older than the test.
    """
    for name, value in langfuse_server.environment().items():
        monkeypatch.setenv(name, value)
    _settle_sdk(langfuse_server.keys.public_key, forget=True)
    if isinstance(langfuse_server, EmbeddedLangfuse):
        langfuse_server.reset()
    else:
        langfuse_server.since = datetime.now(UTC)
    request.node.stash[_SERVER] = langfuse_server
    yield langfuse_server
    _settle_sdk(langfuse_server.keys.public_key, forget=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Show the traces of a test that failed in a section of its report."""
    report: pytest.TestReport = (yield).get_result()
    server = item.stash.get(_SERVER, None)
    if server is not None and report.when == "call" and report.failed:
        report.sections.append(("Langfuse traces", _traces(server)))


def _traces(server: LangfuseServer) -> str:
    _settle_sdk(server.keys.public_key, forget=False)
    try:
        traces = server.traces()
    except httpx.HTTPError as error:
        return f"{server.base_url} does not show them: {error!r}"
    shown = [trace.tree() for trace in traces[-_MOST_TRACES:]]
    earlier = len(traces) - len(shown)
    return "\n".join([*([f"{earlier} earlier traces"] if earlier else []), *shown]) or "none"


def _settle_sdk(public_key: str, *, forget: bool) -> None:
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
