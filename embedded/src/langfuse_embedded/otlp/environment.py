"""The environment of an observation, and the rule for environment names."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from langfuse_embedded.javascript.values import loads_or_none, truthy

from .batch import Attributes

DEFAULT = "default"
MAX_LENGTH = 40

_KEYS = ("langfuse.environment", "deployment.environment.name", "deployment.environment")
"""Each key is looked for in the span, then in the resource, before the next one."""

_RESERVED_PREFIX = re.compile(r"(?:langfuse[-_]?)+")
_NAME = re.compile(r"[a-z0-9_-]+")
_JUDGE = "langfuse-llm-as-a-judge"


def environment_of(attributes: Attributes, resource: Attributes) -> str:
    """Return the environment of a span, `default` when none is named."""
    for key in _KEYS:
        for source in (attributes, resource):
            value = source.get(key)
            if truthy(value):
                return environment_named(value)
    if resource.get("service.name") == "openrouter" and _is_failed_judge_call(attributes):
        return normalize_environment(_JUDGE)
    return DEFAULT


def environment_named(value: Any) -> str:
    """Return the environment that a value names, `default` unless it is a text."""
    return normalize_environment(value) if isinstance(value, str) else DEFAULT


@lru_cache(maxsize=1024)
def normalize_environment(name: str) -> str:
    """Return an environment name as it is stored.

    It is put in lower case, loses the reserved prefix and is cut to 40 characters. A name that has other
    characters than letters, digits, `-` and `_` counts as `default`.
    """
    name = name.lower()
    prefix = _RESERVED_PREFIX.match(name)
    if prefix:
        name = name[prefix.end() :]
    name = name[:MAX_LENGTH]
    return name if _NAME.fullmatch(name) else DEFAULT


def _is_failed_judge_call(attributes: Attributes) -> bool:
    """Tell whether OpenRouter reports a failed evaluator call: it then only echoes the request.

    Such a span must not look like the application's own traffic.
    """
    if attributes.get("openrouter.source") != "openrouter":
        return False
    completion = loads_or_none(attributes.get("gen_ai.completion"))
    if not isinstance(completion, dict) or completion.get("completion", "") is not None:
        return False
    trace: Any = completion.get("rawRequest")
    for key in ("trace", "environment"):
        trace = trace.get(key) if isinstance(trace, dict) else None
    return bool(trace == _JUDGE)
