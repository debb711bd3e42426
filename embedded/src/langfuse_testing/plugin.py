"""pytest fixtures; pytest finds them where the distribution is installed, in a checkout `-p` names them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .embedded import EmbeddedLangfuse
from .server import Keys, LangfuseServer


@pytest.fixture(scope="session")
def langfuse_server() -> Iterator[LangfuseServer]:
    """A provisioned server for the whole run.

    It is the one that `LANGFUSE_TEST_URL`, `LANGFUSE_TEST_PUBLIC_KEY` and `LANGFUSE_TEST_SECRET_KEY` name,
    such as a stack that CI has started; or a compose stack of the checkout that `LANGFUSE_TEST_STACK` names,
    which goes at the end; or else an embedded engine.
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
    with EmbeddedLangfuse() as engine:
        yield engine


@pytest.fixture
def langfuse_environment(langfuse_server: LangfuseServer, monkeypatch: pytest.MonkeyPatch) -> LangfuseServer:
    """The same server, with its URL and keys where the SDK looks for them during the test."""
    for name, value in langfuse_server.environment().items():
        monkeypatch.setenv(name, value)
    return langfuse_server
