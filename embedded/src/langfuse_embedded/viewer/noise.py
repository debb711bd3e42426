"""What is not traffic of an application: lists and the overview leave it out by default."""

from __future__ import annotations

from collections.abc import Mapping

NOISE: Mapping[str, tuple[str, ...]] = {
    "smoke tests": ("stack-smoke", "stack-smoke-otel"),
    "canary": ("stack-canary",),
    "experiments": ("sdk-experiment", "prompt-experiment"),
    "judges": ("llm-as-a-judge", "langfuse-llm-as-a-judge"),
}
"""Environments by kind. Names lose the prefix `langfuse-` when they are stored."""
