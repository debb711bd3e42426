"""One place in scripts/ opens connections to an API of Langfuse; other servers are listed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[3] / "scripts"
LANGFUSE = {"scripts/api/client.py": {"Client", "AsyncClient"}}
OTHERS = {
    "scripts/api/signed_urls.py": "the object store, or the embedded engine as its stand-in",
    "scripts/check/doctor/sources/certificates.py": "Caddy, which sends plain HTTP on to HTTPS",
    "scripts/check/doctor/sources/login.py": "identity providers: their OpenID configuration",
    "scripts/check/doctor/sources/objects.py": "the object store, without any key",
    "scripts/config/rotate/stores.py": "the object store, with a signature",
    "scripts/develop/audit.py": "the database of known vulnerabilities",
    "scripts/images/check.py": "registries of images",
    "scripts/stores/network.py": "ClickHouse over HTTP",
    "scripts/stores/s3.py": "the object store",
}
LIBRARIES = {"httpx", "requests", "aiohttp", "urllib3", "http.client", "urllib.request"}
OPENING = {"AsyncClient", "Client", "HTTPConnection", "HTTPSConnection", "PoolManager", "Session", "urlopen"}
OPENING |= {"delete", "get", "head", "options", "patch", "post", "put", "request", "stream"}
CORE = ("scripts.api", "scripts.core", "scripts.settings")


def names_in(tree: ast.AST) -> dict[str, str]:
    """Return local name -> library, and local name -> library.function, of what a module imports."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                if one.name in LIBRARIES:
                    found[one.asname or one.name] = one.name
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for one in node.names:
                if node.module in LIBRARIES or f"{node.module}.{one.name}" in LIBRARIES:
                    found[one.asname or one.name] = f"{node.module}.{one.name}"
    return found


def connections_in(text: str) -> set[str]:
    """Return the functions and classes that open a connection, by the last part of their names."""
    tree = ast.parse(text)
    names = names_in(tree)
    if not names:
        return set()
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        module, _, function = called.rpartition(".")
        if module in names and function in OPENING:
            found.add(function)
        elif called in names and names[called].rpartition(".")[2] in OPENING:
            found.add(names[called].rpartition(".")[2])
    return found


def modules() -> Iterator[tuple[str, str]]:
    """Yield path and text of every module."""
    for path in sorted(SCRIPTS.rglob("*.py")):
        yield path.relative_to(SCRIPTS.parent).as_posix(), path.read_text(encoding="utf-8")


def test_one_module_talks_to_langfuse_and_every_other_server_is_listed() -> None:
    found = {path: opened for path, text in modules() if (opened := connections_in(text))}
    assert {path: found.get(path) for path in LANGFUSE} == LANGFUSE
    assert sorted(found.keys() - LANGFUSE.keys()) == sorted(OTHERS)


@pytest.mark.parametrize(
    "text",
    [
        "import httpx\nhttpx.Client()",
        "def f():\n    import httpx as h\n    return h.get('http://127.0.0.1')",
        "from httpx import AsyncClient as Mine\nMine()",
        "import urllib.request\nurllib.request.urlopen('http://127.0.0.1')",
        "from urllib import request\nrequest.urlopen('http://127.0.0.1')",
        "from http.client import HTTPConnection\nHTTPConnection('127.0.0.1')",
        "import requests\nrequests.post('http://127.0.0.1')",
    ],
)
def test_a_connection_is_seen_however_it_is_opened(text: str) -> None:
    assert len(connections_in(text)) == 1


def test_what_opens_no_connection_is_not_seen() -> None:
    assert connections_in("import httpx\nhttpx.URL('http://127.0.0.1').host\nstate.get('a')") == set()


@pytest.mark.parametrize(("path", "text"), [one for one in modules() if one[0].startswith("scripts/api/")])
def test_the_client_knows_only_what_lies_below_it(path: str, text: str) -> None:
    imported = [
        name
        for node in ast.walk(ast.parse(text))
        for name in (
            [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and node.level == 0
            else []
        )
    ]
    assert [name for name in imported if name.startswith("scripts") and not name.startswith(CORE)] == [], path
