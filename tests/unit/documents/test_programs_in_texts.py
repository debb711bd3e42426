"""Programs in texts of the code, for another process, import what exists: no linter reads them."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator

from .test_documents import ROOT

PACKAGES = ("scripts", "tests", "rehearsal", "benchmarks", "smoke_tests", "deploy", "embedded")
OURS = ("scripts", "tests", "rehearsal", "benchmarks", "smoke_tests", "langfuse_embedded", "langfuse_testing")


def imports_in_texts(source: str) -> Iterator[str]:
    """Yield the modules and names of this repository that programs in strings import, as dotted names."""
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str) and "import " in node.value):
            continue
        for line in node.value.splitlines():
            try:
                (statement,) = ast.parse(line.strip()).body
            except (SyntaxError, ValueError):
                continue
            if isinstance(statement, ast.Import):
                yield from (name.name for name in statement.names)
            elif isinstance(statement, ast.ImportFrom) and statement.module:
                yield from (f"{statement.module}.{name.name}" for name in statement.names)


def exists(dotted: str) -> bool:
    """Return whether that is a module, or a name of one."""
    try:
        if importlib.util.find_spec(dotted):
            return True
    except ModuleNotFoundError:
        pass
    module, _, name = dotted.rpartition(".")
    try:
        return bool(module) and hasattr(importlib.import_module(module), name)
    except ModuleNotFoundError:
        return False


def test_programs_in_texts_import_what_exists() -> None:
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for dotted in imports_in_texts(path.read_text(encoding="utf-8")):
                if dotted.startswith(tuple(f"{one}." for one in OURS)):
                    found[dotted] = path.relative_to(ROOT)
    assert len(found) > 10
    assert {dotted: str(path) for dotted, path in found.items() if not exists(dotted)} == {}


def test_a_module_or_name_that_does_not_exist_is_found() -> None:
    name = "scripts.core.runner"
    source = f'PROGRAM = """\\nimport sys\\nfrom {name} import Runner, Nothing\\n"""\n'
    assert list(imports_in_texts(source)) == ["sys", f"{name}.Runner", f"{name}.Nothing"]
    assert exists(f"{name}.Runner")
    assert not exists(f"{name}.Nothing")
    assert not exists("scripts.nothing.at_all")
