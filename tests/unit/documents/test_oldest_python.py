"""Python 3.11.0 runs all of this: nothing uses what came with a later release of 3.11.

mypy knows what came with 3.12 and later, and nothing of the releases within 3.11: Debian 12 has 3.11.2.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
PACKAGES = (
    *("scripts", "embedded/src", "smoke_tests", "rehearsal"),
    *("benchmarks", "examples", "deploy", "tests"),
)
# "New in version 3.11.N" and "Changed in version 3.11.N" of https://docs.python.org/3.11/library/
KEYWORDS = {
    "extractall": "filter",  # tarfile, 3.11.4
    "extract": "filter",
    "unpack_archive": "filter",  # shutil, 3.11.4
    "getaddresses": "strict",  # email.utils, 3.11.10
    "parseaddr": "strict",
}
ATTRIBUTES = {
    "extraction_filter",  # tarfile.TarFile, 3.11.4
    "verify_generated_headers",  # email.policy.Policy, 3.11.10
    "SetReparseDeferralEnabled",  # xml.parsers.expat, 3.11.9
    "GetReparseDeferralEnabled",
}
OF_TARFILE = {  # 3.11.4
    *("data_filter", "tar_filter", "fully_trusted_filter", "FilterError", "AbsolutePathError"),
    *("OutsideDestinationError", "SpecialFileError", "AbsoluteLinkError", "LinkOutsideDestinationError"),
}


def newer_uses(source: str) -> Iterator[str]:
    """Yield what Python 3.11.0 does not have, with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            yield from (
                f"line {node.lineno}: {name}({keyword.arg}=)"
                for keyword in node.keywords
                if keyword.arg and KEYWORDS.get(name) == keyword.arg
            )
        elif isinstance(node, ast.Attribute):
            of_tarfile = isinstance(node.value, ast.Name) and node.value.id == "tarfile"
            if node.attr in ATTRIBUTES or (of_tarfile and node.attr in OF_TARFILE):
                yield f"line {node.lineno}: {node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module == "tarfile":
            found = (alias.name for alias in node.names if alias.name in OF_TARFILE)
            yield from (f"line {node.lineno}: {name}" for name in found)


def python_files() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py"))


def test_nothing_uses_what_came_later_than_python_3_11_0() -> None:
    files = python_files()
    assert len(files) > 500
    found = [
        f"{path.relative_to(REPOSITORY)}, {use}"
        for path in files
        for use in newer_uses(path.read_text("utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "archive.extractall(into, filter='data')",
        "import shutil\nshutil.unpack_archive('a', filter='data')",
        "from tarfile import data_filter\ndata_filter(a, b)",
        "import tarfile\ntry: pass\nexcept tarfile.FilterError: pass",
        "tarfile.TarFile.extraction_filter = None",
        "getaddresses(texts, strict=True)",
    ],
)
def test_each_of_those_uses_is_found(source: str) -> None:
    assert list(newer_uses(source))
