"""Dependencies point one way, between the folders of `scripts/` and between the parts of the engine."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = {
    "benchmarks": ROOT,
    "rehearsal": ROOT,
    "scripts": ROOT,
    "langfuse_embedded": ROOT / "embedded/src",
    "langfuse_testing": ROOT / "embedded/src",
}
FLOORS = (
    {"core"},
    {"settings"},
    {"docker", "api"},
    {"stores", "engines"},
    {"provision"},
    {"run", "config", "data", "watch", "check", "images", "develop"},
    {"cli", "__main__"},
)
FLOOR = {folder: number for number, folders in enumerate(FLOORS) for folder in folders}
COMMANDS = FLOOR["run"]
# Promoting is an export and an import, with all that they say, and so is an import from another server.
# Taking a stack over is a restore. An upgrade pulls images, and a bundle carries what `images save` writes.
CALLS_COMMANDS = {
    "scripts.data.transfer.promote",
    "scripts.data.transfer.between",
    "scripts.data.adopt.taking",
    "scripts.data.upgrade.compose",
    "scripts.images.bundle",
}
Graph = Mapping[str, Set[str]]


@cache
def modules() -> dict[str, Path]:
    """Return all modules by name."""
    found = {}
    for package, base in SOURCES.items():
        for path in (base / package).rglob("*.py"):
            name = ".".join(path.relative_to(base).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imported(module: str, tree: ast.AST, known: Mapping[str, object], *, is_package: bool) -> Iterator[str]:
    """Yield the modules among `known` that a module imports, wherever in it."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                name = f"{base}.{alias.name}"
                if name in known or base in known:
                    yield name if name in known else base


@cache
def graph() -> Graph:
    """Return which modules each module imports."""
    known = modules()
    return {
        module: set(imported(module, parsed(module), known, is_package=path.name == "__init__.py")) - {module}
        for module, path in known.items()
    }


def circle(arrows: Graph) -> list[str]:
    """Return a way from a member of the graph back to itself; empty where there is none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def room(module: str) -> str:
    """Return the folder of a module; what a command consists of is one room, as is what is below commands."""
    path = modules()[module]
    folder = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names = folder.split(".")
    return ".".join(names[: 3 if FLOOR.get(names[:2][-1]) == COMMANDS else 2])


def rooms(of: str) -> Graph:
    """Return which folders of a package import which; what only names commands is left out."""
    found: dict[str, set[str]] = defaultdict(set)
    for module, others in graph().items():
        if module.split(".")[0] == of and not names_commands(module):
            found[room(module)] |= {room(other) for other in others if other.split(".")[0] == of}
    return {one: others - {one} for one, others in found.items()}


def parts(of: str) -> Graph:
    """Return which folders and modules directly in a package import which."""
    found: dict[str, set[str]] = defaultdict(set)
    for module, others in graph().items():
        if module.startswith(f"{of}."):
            part = module.split(".")[1]
            found[part] |= {other.split(".")[1] for other in others if other.startswith(f"{of}.")} - {part}
    return found


def names_commands(module: str) -> bool:
    """Return whether a module is a group's part of the command line."""
    return module == "scripts.cli" or module.endswith(".cli")


@pytest.mark.parametrize("package", SOURCES)
def test_no_module_imports_itself_by_a_detour(package: str) -> None:
    assert circle({one: others for one, others in graph().items() if one.split(".")[0] == package}) == []


def test_a_circle_would_be_found() -> None:
    arrows: Graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"d"}}
    assert set(circle(arrows)) == {"a", "b", "c"}
    assert circle({**arrows, "c": {"d"}}) == []


@pytest.mark.parametrize("package", ["scripts", "langfuse_embedded"])
def test_no_part_is_both_above_and_below_another_one(package: str) -> None:
    arrows = parts(package)
    assert len(arrows) > 10
    assert circle(arrows) == []


def test_scripts_import_only_what_is_below_them(capsys: pytest.CaptureFixture[str]) -> None:
    upward = [
        f"{module} imports {other}"
        for module, others in graph().items()
        for other in others
        if module.startswith("scripts.") and other.startswith("scripts.") and not names_commands(module)
        if FLOOR[other.split(".")[1]] > FLOOR[module.split(".")[1]]
    ]
    assert upward == []
    arrows = rooms("scripts")
    assert circle(arrows) == []
    with capsys.disabled():
        count = sum(map(len, arrows.values()))
        print(f" scripts: {len(arrows)} rooms, {len(FLOORS)} floors, {count} arrows, none up ", end="")


def test_no_command_imports_another_one() -> None:
    commands = {
        module
        for group in graph()
        if group.endswith(".cli") and group != "scripts.cli"
        for module in graph()[group]
        if FLOOR.get(module.split(".")[1]) == COMMANDS
        if any(is_command(node) for node in parsed(module).body)
    }
    assert len(commands) > 30
    assert {
        f"{module} imports {other}"
        for module, others in graph().items()
        for other in others & commands
        if module.startswith("scripts.") and not names_commands(module) and module not in CALLS_COMMANDS
    } == set()


def is_command(node: ast.stmt) -> bool:
    """Return whether a definition is a command: it takes the context and returns an exit code."""
    return (
        isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and [argument.arg for argument in node.args.args[:1]] == ["context"]
        and isinstance(node.returns, ast.Name)
        and node.returns.id == "int"
    )


@cache
def parsed(module: str) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(modules()[module].read_text())


def test_the_engine_and_the_scripts_know_nothing_of_each_other() -> None:
    strangers = {
        "scripts": {"langfuse_embedded", "langfuse_testing"},
        "langfuse_embedded": {"scripts", "rehearsal", "tests", "langfuse_testing"},
        "langfuse_testing": {"scripts", "rehearsal", "tests"},
    }
    for module in modules():
        package = module.split(".")[0]
        if package in strangers:
            named = {name.split(".")[0] for name in absolute_imports(parsed(module))}
            assert not named & strangers[package], module


def absolute_imports(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports by its whole name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""
