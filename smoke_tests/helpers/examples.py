"""Run the examples as a person runs them, with the keys of the target and the packages they need."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import langfuse

from smoke_tests.helpers.erasing import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smoke_tests.helpers.target import Target

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TIMEOUT_S = 120.0
# Names a Python that has what examples with a model need, such as the one of `make test-clients`.
PYTHON_VARIABLE = "EXAMPLES_PYTHON"
MODEL_PACKAGES = ("openai", "langchain_openai", "langgraph")


def run(
    target: Target,
    script: str,
    *arguments: str,
    python: str = sys.executable,
    typed: str = "",
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """Run an example with the keys of the target in its environment, and no other setting of an SDK.

    `typed` is what a person types; `variables` are further variables of the environment.
    """
    own = ("LANGFUSE_", "OTEL_", "OPENAI_")
    of_this_run = {
        "LANGFUSE_TRACING_ENVIRONMENT": ENVIRONMENT,
        "LANGFUSE_RELEASE": os.environ.get("LANGFUSE_RELEASE", "smoke"),
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return subprocess.run(
        [python, str(EXAMPLES / script), *arguments],
        env=inherited | target.environment() | of_this_run | variables,
        input=typed,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def result_of(target: Target, script: str, *arguments: str, **options: Any) -> dict[str, Any]:
    """Run an example to its good end and return what it prints as JSON."""
    done = run(target, script, "--json", *arguments, **options)
    assert done.returncode == 0, done.stderr
    if not options.get("typed"):
        assert done.stderr == ""
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def models_python() -> str:
    """Return the Python that runs examples with a model."""
    return os.environ.get(PYTHON_VARIABLE) or sys.executable


def why_without_models() -> str:
    """Return why examples with a model cannot run here; an empty text when they can."""
    if not langfuse.__version__.startswith("5."):
        return "examples with a model are tested once, with SDK 5"
    if os.environ.get(PYTHON_VARIABLE) or all(importlib.util.find_spec(name) for name in MODEL_PACKAGES):
        return ""
    return f"needs {', '.join(MODEL_PACKAGES)}, or {PYTHON_VARIABLE}: `make test-clients` runs it"


@contextmanager
def fake_llm() -> Iterator[dict[str, str]]:
    """Serve the stand-in for models as long as the block runs; yields the variables that lead to it."""
    argv = [sys.executable, str(EXAMPLES / "fake_llm.py"), "--port", "0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().partition("listening on ")[2].split()[0]
            yield {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-test-none"}
        finally:
            process.terminate()
