"""Every code block of the pages about applications runs as it stands, in the order of its page.

Blocks of shell run in one session; a block of another language names its file in the first line and is
written to that file before. Only the addresses differ from what a person types: this test found free ports.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from examples.fake_llm import serve
from tests.embedded.exporting import IN_ROOT, free_port
from tests.embedded.harness import REPOSITORY

from .conftest import PYTHON

HOW_TO = REPOSITORY / "docs" / "how-to"
PACKAGES = REPOSITORY / "build" / "js-client" / "node_modules"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"(?:#|//) (\w+\.(?:py|mjs))\n")
DOCUMENTED_LLM = "http://127.0.0.1:8080/v1"
DOCUMENTED_PORT = re.compile(r"\b81\d\d\b")
"""Where the services of the pages listen."""
TIMEOUT_S = 240.0
END_SERVICES = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
TYPED = "0.5\n" * 20
"""Grades for every answer that waits for a person."""

INSTRUMENT = "instrument-your-app.md"
PAGES = {
    "example-attribution.md": r"20 queries in session \S+: mean confidence .*\"count_count\"",
    "example-chat.md": r"session \S+: \d+% of the gaps filled",
    "example-voice.md": r"call \S+: median \d+ ms",
    "example-agents.md": r"variant-a \d+%, variant-b \d+%\n.*from version 1 to 2\n.*from version 2 to 1",
    "example-rag.md": r"4 answers in session .*1 answers in session warranty.*quality 0\.5",
    "example-observer.md": r'careful-coder: reward 0\.9.*"agent":"careful-coder".*"agent":"quick-coder"',
    "example-orchestrator.md": r"agent +attempts +success.*of 20 tasks done",
    "example-evaluation.md": r"grounded-\w+ +12 +0\.93 +0\.92\n.*\d+ items in the dataset.*grounded-first",
    INSTRUMENT: r"Turntables have a warranty.*You said: How long is the warranty\?",
    "ask-your-traces.md": (
        r"last seven days cost\?\n  1 rows, first: \{'sum_totalCost'.*agent succeeds\?\n  [12]\d rows.*"
        r"people use it\?\n  1 rows"
    ),
    "report-cost-and-quality.md": r"Cost by model.*month_to_date",
}


@dataclass(frozen=True)
class Stack:
    """A stack that `up` started with the shipped configuration, in a directory of its own."""

    root: Path
    environment: dict[str, str]

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a shell session in its directory."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.root,
            env=self.environment,
            input=TYPED,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )

    def client(self) -> httpx.Client:
        """Return a client with the keys of the project kosmos."""
        text = (self.root / ".stack" / "credentials" / "kosmos.env").read_text()
        values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] != "#")
        return httpx.Client(
            base_url=values["LANGFUSE_BASE_URL"],
            auth=(values["LANGFUSE_PUBLIC_KEY"], values["LANGFUSE_SECRET_KEY"]),
        )


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A checkout with a running embedded engine, `make` and `python` as a person has them."""
    if not PYTHON.exists():
        pytest.skip(f"no packages of client libraries at {PYTHON}: run make test-clients")
    root = tmp_path_factory.mktemp("checkout")
    shutil.copytree(REPOSITORY / "config", root / "config")
    (root / "examples").symlink_to(REPOSITORY / "examples")
    (root / ".venv").symlink_to(PYTHON.parents[1])
    if PACKAGES.is_dir():
        (root / "node_modules").symlink_to(PACKAGES)
    verb = f"{shlex.join([sys.executable, '-c', IN_ROOT, str(root)])}"
    bin_directory = root / "bin"
    bin_directory.mkdir()
    # The real Makefile, but its environment is installed already and its verbs work on this directory.
    make = ["make", "--no-print-directory", "-f", str(REPOSITORY / "Makefile"), "-o", ".venv/.runtime"]
    (bin_directory / "make").write_text(
        f"#!/bin/sh\ncd {shlex.quote(str(REPOSITORY))}\nexport PYTHONPATH=$PWD PATH=/usr/bin:/bin\n"
        f'exec {shlex.join(make)} RUN={shlex.quote(verb)} "$@"\n'
    )
    (bin_directory / "make").chmod(0o755)
    environment = {
        "PATH": f"{bin_directory}:{PYTHON.parent}:{os.environ['PATH']}",
        "HOME": str(root),
        "ENGINE": "embedded",
        "LANGFUSE_PORT": str(free_port()),
    }
    found = Stack(root, environment)
    started = found.run("make up")
    assert started.returncode == 0, started.stderr
    yield found
    stopped = found.run("make down")
    assert stopped.returncode == 0, stopped.stderr


@pytest.fixture(scope="module")
def model_url() -> Iterator[str]:
    """What `make fake-llm` serves, on a free port."""
    server = serve(0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def blocks_of(page: str) -> list[tuple[str, str]]:
    """Return language and text of each block of a page."""
    return BLOCK.findall((HOW_TO / page).read_text())


def test_every_page_about_an_application_is_here() -> None:
    written = {path.name for path in HOW_TO.glob("example-*.md")}
    assert written <= PAGES.keys()
    assert written == {f"example-{path.stem}.md" for path in (REPOSITORY / "examples").glob("*.py")} - {
        "example-client.md",
        "example-fake_llm.md",
    }


@pytest.mark.parametrize("page", [page for page in PAGES if page != INSTRUMENT])
def test_the_code_of_a_page_runs(stack: Stack, model_url: str, page: str) -> None:
    run_page(stack, model_url, page)


def test_the_page_on_instrumentation_sends_the_same_from_every_language(stack: Stack, model_url: str) -> None:
    if not (shutil.which("node") and PACKAGES.is_dir()):
        pytest.skip("no Node.js, or no packages of the JavaScript SDK: run make test-clients")
    run_page(stack, model_url, INSTRUMENT)
    query = {"userId": "athena", "fields": "core,basic,model,usage,trace_context"}
    with stack.client() as client:
        rows = client.get("/api/public/v2/observations", params=query).json()["data"]
        calls = {row["sessionId"]: row for row in rows if row["type"] == "GENERATION"}
        assert calls.keys() == {"python-1", "js-1", "otel-1"}
        for row in calls.values():
            assert (row["name"], row["model"], row["traceName"]) == ("answer", "gpt-4o-mini", "support")
            assert row["totalCost"] > 0
        assert {row["type"] for row in rows} == {"SPAN", "RETRIEVER", "GENERATION"}
        for session in ("python-1", "js-1"):
            trace = {"traceId": calls[session]["traceId"]}
            [score] = client.get("/api/public/v3/scores", params=trace).json()["data"]
            assert (score["name"], score["value"]) == ("user-feedback", 1)
        nested = {"userId": "hermes", "fields": "core,basic,metadata"}
        rows = client.get("/api/public/v2/observations", params=nested).json()["data"]
        agents = {row["name"]: row["metadata"]["agent"].strip('"') for row in rows}
        assert agents == {"planner": "planner", "coder": "coder", "call": "coder"}


def run_page(stack: Stack, model_url: str, page: str) -> None:
    """Write the files of a page, run its shell and look at what was printed."""
    ports: dict[str, str] = defaultdict(lambda: str(free_port()))
    blocks = [
        (language, DOCUMENTED_PORT.sub(lambda port: ports[port[0]], text))
        for language, text in blocks_of(page)
    ]
    shell = "\n".join(text for language, text in blocks if language == "sh")
    for text in (text for language, text in blocks if language != "sh"):
        named = FILE_NAME.match(text)
        assert named, f"{page}: a block names its file in the first line: {text[:60]!r}"
        (stack.root / named[1]).write_text(text)
    done = stack.run(END_SERVICES + shell.replace(DOCUMENTED_LLM, model_url))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    assert re.search(PAGES[page], done.stdout, re.DOTALL), done.stdout[-3000:]
