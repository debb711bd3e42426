"""The distribution declares what its modules import, and its image has what it declares."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
EMBEDDED = ROOT / "embedded"
# Distributions with another name than their module, and what uvicorn loads by a name in a setting.
DISTRIBUTIONS = {
    "google": "protobuf",
    "opentelemetry": "opentelemetry-proto",
    "splintr": "splintr-rs",
    "genai_prices": "genai-prices",
}
LOADED_BY_NAME = {"httptools", "uvloop"}
# Of an extra, and what loads the plugin.
OPTIONAL = {"docker", "testcontainers", "pytest"}


def test_the_declared_dependencies_are_those_that_are_imported() -> None:
    project = tomllib.loads((EMBEDDED / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[><=;\s\[]", one, maxsplit=1)[0] for one in project["dependencies"]}
    imported = set()
    for path in (EMBEDDED / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                imported.add(node.module.split(".")[0])
    own = {"langfuse_embedded", "langfuse_testing", *sys.stdlib_module_names}
    needed = {DISTRIBUTIONS.get(name, name) for name in imported - own - OPTIONAL} | LOADED_BY_NAME
    assert declared == needed


def pins(path: Path) -> dict[str, str]:
    """Return the versions of a lock file by name."""
    return dict(re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", path.read_text(), re.MULTILINE))


def test_the_image_has_what_is_declared_in_the_versions_that_the_stack_is_tested_with() -> None:
    project = tomllib.loads((EMBEDDED / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[><=;\s\[]", one, maxsplit=1)[0] for one in project["dependencies"]}
    image = pins(EMBEDDED / "requirements.lock")
    assert declared <= set(image)
    assert image.items() <= pins(ROOT / "requirements" / "runtime.lock").items()
    assert not {"docker", "langfuse", "typer"} & set(image)


def test_the_image_needs_nothing_of_the_repository_beside_the_distribution() -> None:
    """It can be built from a URL of git that names the directory."""
    copied = re.findall(r"^COPY (?:--\S+ )*(\S+)", (EMBEDDED / "Dockerfile").read_text(), re.MULTILINE)
    assert copied == ["requirements.lock", "src/langfuse_embedded"]
    assert all((EMBEDDED / name).exists() for name in copied)
