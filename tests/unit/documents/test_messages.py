"""What a message tells people to do exists: targets and their variables, commands and flags, files, settings.

Messages are all texts of the code but docstrings, found in its syntax tree, and what shell scripts and the
Makefile print.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import typer.main

from scripts.cli import app
from scripts.settings.server_variables import server_variables
from scripts.settings.table import SETTINGS

from .test_documents import MADE, OF_OTHERS, ROOT, anchors, makefile, targets

PACKAGES = ("scripts", "embedded/src", "smoke_tests", "rehearsal", "deploy")
# After "make" in plain English.
ENGLISH = frozenset({"a", "an", "as", "ends", "installs", "it", "one", "the"})
# What every target hands on to the commands, besides settings.
EVERYWHERE = frozenset({"STACK_DIR", "PYTHON", "LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY"})
# Words of other programs: errors of ClickHouse, the resolver and the server, variables of psql and libpq.
OF_PROGRAMS = frozenset(
    {
        *("ACCESS_DENIED", "AUTHENTICATION_FAILED", "TOO_MANY_UNEXPECTED_DATA_PARTS", "EAI_AGAIN", "API_KEY"),
        *("ON_ERROR_STOP", "SHELL_ERROR", "PGCONNECT_TIMEOUT"),
    }
)
FOLDERS = ("docs", "config", "scripts", "deploy", "rehearsal", "examples", "tests", "smoke_tests")
# What stands in the place of a value in an f-string.
VALUE = "\x00"


def texts_of(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of every string but docstrings; several pieces, or pieces and values, are one."""
    tree = ast.parse(source)
    skipped: set[int] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            skipped |= {id(one.value) for one in body if isinstance(one, ast.Expr)}
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
            pieces = [part.value if isinstance(part, ast.Constant) else VALUE for part in node.values]
            yield node.lineno, "".join(map(str, pieces))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.lineno, node.value


@cache
def sources() -> dict[str, str]:
    """Return the code whose messages are read, by its path."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in sorted(paths)}


@cache
def messages() -> list[tuple[str, str]]:
    """Return every text with the place where it stands."""
    found = [
        (f"{path}:{line}", text) for path, source in sources().items() for line, text in texts_of(source)
    ]
    for path in (ROOT / "Makefile", *sorted((ROOT / "scripts").glob("*.sh"))):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.startswith("#") and re.search(r"\b(echo|printf|fail) ", line):
                found.append((f"{path.name}:{number}", line))
    return found


@cache
def variables_of(target: str) -> frozenset[str]:
    """Return the variables that the recipe of a target reads."""
    recipe = re.search(rf"^{target}:[^\n]*\n((?:\t[^\n]*\n)*)", makefile(), re.MULTILINE)
    read = re.findall(r"\$\(call \w+,(?:[a-z-]+,)?([A-Z][A-Z0-9_]*)\)", recipe[1] if recipe else "")
    return frozenset({*read, "ARGS"} if recipe and "with_args" in recipe[1] else read)


@cache
def variables() -> frozenset[str]:
    """Return the names of settings, of the server, of make, and what code or a service reads by itself."""
    of_make = {name for target in targets() for name in variables_of(target)}
    exact = {text for _, text in messages() if re.fullmatch(r"[A-Z][A-Z0-9_]*", text)}
    composed = re.findall(
        r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b", (ROOT / "compose.yaml").read_text(encoding="utf-8")
    )
    return frozenset({*settings(), *server_variables(), *OF_OTHERS, *EVERYWHERE, *of_make, *exact, *composed})


@cache
def settings() -> frozenset[str]:
    return frozenset(setting.name for setting in SETTINGS)


@cache
def commands() -> dict[str, Any]:
    return dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def wrong_targets(text: str) -> Iterator[str]:
    """Yield the targets that do not exist, and the variables that they do not read."""
    for target, beside in re.findall(r"\bmake ([a-z][a-z0-9-]*)((?: [A-Z][A-Z0-9_]*=[^\s,;:]*)*)", text):
        if target in ENGLISH:
            continue
        if target not in targets():
            yield f"make {target}"
        for name in re.findall(r" ([A-Z][A-Z0-9_]*)=", beside):
            if name not in variables_of(target) | settings() | EVERYWHERE:
                yield f"make {target} {name}="


def wrong_commands(text: str) -> Iterator[str]:
    """Yield the commands of `python -m scripts` that do not exist, and their flags."""
    for name, rest in re.findall(r"-m scripts ([a-z][a-z-]*)([^;&|#]*)", text):
        command = commands().get(name)
        if command is None:
            yield f"scripts {name}"
            continue
        every = (command, *getattr(command, "commands", {}).values())
        known = {
            option for one in every for given in one.params for option in (*given.opts, *given.secondary_opts)
        }
        flags = [] if command.ignore_unknown_options else re.findall(r"(?<!\S)--[a-z][a-z-]*", rest)
        yield from (f"scripts {name} {flag}" for flag in flags if flag not in known)


def wrong_files(text: str) -> Iterator[str]:
    """Yield the files and headings of this repository that are not there."""
    beginnings = "|".join(FOLDERS)
    for path, heading in re.findall(
        rf"(?<![\w/.{VALUE}-])((?:{beginnings})/[\w./-]*\w)(?![\w./*{VALUE}-]*[*{VALUE}])(?:#([\w-]+))?", text
    ):
        place = ROOT / path
        if not place.exists() and not path.startswith(MADE):
            yield path
        elif heading and heading not in anchors(place):
            yield f"{path}#{heading}"


def wrong_variables(text: str) -> Iterator[str]:
    """Yield the variables of a sentence that nothing reads."""
    if " " in text:
        named = re.findall(r"(?<![\w$.{<-])[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9]\b(?![*(])", text)
        yield from (name for name in named if name not in variables() | OF_PROGRAMS)


CHECKS = (wrong_targets, wrong_commands, wrong_files, wrong_variables)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_messages_name_exists(check: Callable[[str], Iterator[str]]) -> None:
    assert len(messages()) > 5000
    assert [f"{place}: {one}" for place, text in messages() for one in check(text)] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("run make up or make validated once", ["make validated"]),
        ("then make restore REPLACE=1 BACKUPS=2", ["make restore BACKUPS="]),
        ("make it so, then make up LANGFUSE_PORT=3100", []),
        ("python -m scripts nonsense", ["scripts nonsense"]),
        ("python -m scripts up --zeus", ["scripts up --zeus"]),
        ("see docs/how-to/nothing.md.", ["docs/how-to/nothing.md"]),
        ("see docs/reference/tls.md#nothing", ["docs/reference/tls.md#nothing"]),
        ("see docs/reference/tls.md#trust.", []),
        (f"config/sizes/{VALUE}.env", []),
        ("set ATHENA_OF_NOBODY to 1", ["ATHENA_OF_NOBODY"]),
        ("set LANGFUSE_PORT in .env", []),
    ],
)
def test_what_does_not_exist_is_found(text: str, found: list[str]) -> None:
    assert [one for check in CHECKS for one in check(text)] == found


def test_a_message_in_several_pieces_is_read_as_one_and_a_docstring_is_none() -> None:
    source = '"""make nothing"""\nraise E(\n    f"{a} failed; run make "\n    f"nothing {b}"\n)\n'
    assert list(texts_of(source)) == [(3, f"{VALUE} failed; run make nothing {VALUE}")]
