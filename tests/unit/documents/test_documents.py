"""What the documents name exists: targets, variables, commands, flags, files, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.main

from scripts.cli import app
from scripts.settings.table import SETTINGS

ROOT = Path(__file__).resolve().parents[3]
SECRET_SETTINGS = frozenset(
    {one.name for one in SETTINGS if one.secret} | {"LANGFUSE_SECRET_KEY", "LANGFUSE_INIT_PROJECT_SECRET_KEY"}
)
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

# What a document may name though it is not in the repository: made by the reader or a command, or upstream's.
MADE = (
    "config/alertmanager/secrets",
    "config/caddy/certificates",
    "config/mine",
    "config/local",
    "config/other",
    "config/private-ca",
    "deploy/kubernetes/out",
    "tests/e2e",
    ".github/workflows/traces.yml",
    "tests/integration",
)
# Variables that others read: a newer server, Node.js, the OpenTelemetry SDK, pip, most programs.
OF_OTHERS = frozenset(
    {
        "AUTH_CUSTOM_CHECKS",
        "AUTH_CUSTOM_ID_TOKEN_SIGNED_RESPONSE_ALG",
        "LANGFUSE_OBSERVE_DECORATOR_IO_CAPTURE_ENABLED",
        "LANGFUSE_OTEL_MEDIA_UPLOAD_ENABLED",
        "LANGFUSE_S3_DELETE_OBJECTS_CHECKSUM_ALGORITHM",
        "LANGFUSE_SAMPLE_RATE",
        "LANGFUSE_TIMEOUT",
        "NODE_EXTRA_CA_CERTS",
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "PIP_INDEX_URL",
        "PIP_PROXY",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "NO_PROXY",
    }
)
CODE = ("scripts", "embedded/src", "rehearsal", "smoke_tests", "examples", "tests")


def code_of(page: Path) -> Iterator[str]:
    """Yield what stands in code: fenced and indented blocks line by line, and spans."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for line in text.splitlines():
        if line.startswith("    "):
            yield line.strip()
        else:
            yield from re.findall(r"`([^`]+)`", line)


@cache
def makefile() -> str:
    return (ROOT / "Makefile").read_text(encoding="utf-8")


@cache
def known_words() -> str:
    """Return the text of everything that may read a variable."""
    files = [ROOT / "Makefile", *ROOT.glob("*.yaml")]
    for directory in ("config", "rehearsal"):
        files += (ROOT / directory).rglob("*")
    for directory in (*CODE, "benchmarks", "deploy", ".github", "ci"):
        files += (ROOT / directory).rglob("*.py")
        files += (ROOT / directory).rglob("*.y*ml")
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in files if path.is_file())


def is_known(name: str) -> bool:
    """Return whether something reads a variable; a name that ends with _ stands for several."""
    return name in OF_OTHERS or bool(re.search(rf"\b{name}", known_words()))


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z0-9-]*):", makefile(), re.MULTILINE))


def make_calls(code: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the targets that a piece of code makes, each with the variables beside it."""
    for call in re.split(r"&&|\|\||[;|#(]", code):
        words = call.split()
        if "make" not in words:
            continue
        variables = [word.partition("=")[0] for word in words if re.match(r"[A-Z][A-Z0-9_]*=", word)]
        if not all("=" in word or word == "sudo" for word in words[: words.index("make")]):
            continue  # `apt install make ...`
        for word in words[words.index("make") + 1 :]:
            if re.fullmatch(r"[a-z][a-z0-9-]*", word):
                yield word, variables
                break


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_target_and_its_variables_exist(page: Path) -> None:
    wrong = []
    for code in code_of(page):
        for target, variables in make_calls(code):
            if target not in targets():
                wrong.append(f"make {target}")
            wrong += [f"make {target} {name}=" for name in variables if not is_known(name)]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_and_flag_exists(page: Path) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    wrong = []
    for code in code_of(page):
        for name, rest in re.findall(r"python -m scripts ([a-z][a-z-]*)([^;&|#]*)", code):
            if name not in commands:
                wrong.append(f"python -m scripts {name}")
                continue
            command = commands[name]
            known = {
                option
                for one in (command, *getattr(command, "commands", {}).values())
                for parameter in one.params
                for option in (*parameter.opts, *parameter.secondary_opts)
            }
            flags = [] if command.ignore_unknown_options else re.findall(r"(?<!\S)--[a-z][a-z-]*", rest)
            wrong += [f"{name} {flag}" for flag in flags if flag not in known]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_variable_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?:=[^`]*)?`", text))
    assert [name for name in sorted(named) if not is_known(name)] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_somewhere(page: Path) -> None:
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, part = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists() or (part and part not in anchors(linked)):
            wrong.append(target)
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_file_exists(page: Path) -> None:
    directories = (*CODE, "config", "docs", "benchmarks", "deploy", ".ci", ".github", "ci")
    beginnings = "|".join(map(re.escape, directories))
    wrong = []
    for code in code_of(page):
        named = re.findall(rf"(?<![\w./-])((?:{beginnings})/[\w./*-]*[\w*])", code)
        wrong += [path for path in named if not path.startswith(MADE) and not list(ROOT.glob(f"{path}*"))]
    assert wrong == []


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return frozenset(re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings)


def test_a_page_that_names_what_does_not_exist_would_be_found(tmp_path: Path) -> None:
    """The tests above can fail."""
    nothing = "NOTHING"  # composed: the names must not stand in this file, which is looked through as well
    page = tmp_path / "page.md"
    page.write_text(
        f"`make nonsense`, `make up ZEUS_OF_{nothing}=1`, `ATHENA_OF_{nothing}`, `scripts/nothing.py`,\n"
        "[there](nothing.md), [here](#nothing), `python -m scripts nonsense`, `python -m scripts up --zeus`\n"
    )
    for test in (
        test_every_target_and_its_variables_exist,
        test_every_command_and_flag_exists,
        test_every_variable_exists,
        test_every_link_leads_somewhere,
        test_every_file_exists,
    ):
        with pytest.raises(AssertionError):
            test(page)


# Messages are read in the code: a fix is a command.
SOURCES = sorted(path for folder in ("scripts", "embedded/src") for path in (ROOT / folder).rglob("*.py"))


def secrets_on_the_command_line(text: str) -> list[str]:
    """Return the calls of make that get a secret as an argument, which `ps` shows to everybody."""
    given = re.compile(rf"\b({'|'.join(sorted(SECRET_SETTINGS))})=\S")
    calls = re.findall(r"\bmake [a-z][^\n`|;&]*", text)
    return [call for call in calls if given.search(call)]


def test_a_secret_after_make_is_found_and_one_in_the_environment_is_not() -> None:
    assert secrets_on_the_command_line("`make restore BACKUP_PASSWORD=...`; then") == [
        "make restore BACKUP_PASSWORD=..."
    ]
    assert secrets_on_the_command_line("BACKUP_PASSWORD=... make restore BACKUP=1") == []
    assert secrets_on_the_command_line("make rotate SECRET=BACKUP_PASSWORD") == []


@pytest.mark.parametrize(
    "path", [*PAGES, ROOT / "Makefile", *SOURCES], ids=lambda path: str(path.relative_to(ROOT))
)
def test_nobody_is_told_to_put_a_secret_on_the_command_line_of_make(path: Path) -> None:
    assert secrets_on_the_command_line(path.read_text(encoding="utf-8")) == []


def test_the_table_of_where_a_change_goes_has_ten_changes_and_names_what_is_there() -> None:
    part = (ROOT / "CONTRIBUTING.md").read_text().partition("## Where a change goes")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| an? .*\|$", part, re.MULTILINE)
    assert len(rows) == 10
    for row in rows:
        named = [one for one in re.findall(r"`([^` ]+)`", row) if "/" in one]
        assert named, row
        assert [one for one in named if not (ROOT / one).exists()] == [], row
