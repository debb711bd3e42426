"""A Langfuse for the tests of your application: keys, a URL, and a wait for what the SDK sent."""

from __future__ import annotations

from .embedded import EmbeddedLangfuse
from .server import Keys, LangfuseFailed, LangfuseServer, ScoreNotFound, TraceNotFound
from .traces import Trace

__all__ = [
    "EmbeddedLangfuse",
    "Keys",
    "LangfuseFailed",
    "LangfuseServer",
    "ScoreNotFound",
    "Trace",
    "TraceNotFound",
]
