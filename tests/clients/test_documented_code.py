"""Every code block of the pages about applications runs as it stands, in the order of its page.

Blocks of shell run in one session; a block of another language names its file in the first line and is
written to that file before. Only the addresses differ from what a person types: this test found free ports.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.embedded.exporting import IN_ROOT, free_port
from tests.embedded.harness import REPOSITORY

from .conftest import PYTHON

HOW_TO = REPOSITORY / "docs" / "how-to"
PACKAGES = REPOSITORY / "build" / "js-client" / "node_modules"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SERVICE_FILES = re.compile(r"^```python\n# ((?:producer|consumer)\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"(?:#|//) (\w+\.(?:py|mjs))\n")
DOCUMENTED_LLM = "http://127.0.0.1:8080/v1"
DOCUMENTED_PORT = re.compile(r"\b81\d\d\b")
"""Where the services of the pages listen."""
TIMEOUT_S = 240.0
END_SERVICES = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
TYPED = "0.5\n" * 20
"""Grades for every answer that waits for a person."""

INSTRUMENT = "instrument-your-app.md"
ACROSS = "trace-across-services.md"
CUSTOMERS = "customers.md"
PAGES = {
    "example-attribution.md": r"20 queries in session \S+: mean confidence .*\"count_count\"",
    "example-chat.md": r"session \S+: \d+% of the gaps filled",
    "example-voice.md": r"call \S+: median \d+ ms",
    "example-agents.md": r"variant-a \d+%, variant-b \d+%\n.*from version 1 to 2\n.*from version 2 to 1",
    "example-rag.md": r"4 answers in session .*1 answers in session warranty.*quality 0\.5",
    "example-observer.md": r'careful-coder: reward 0\.9.*"agent":"careful-coder".*"agent":"quick-coder"',
    "example-orchestrator.md": r"agent +attempts +success.*of 20 tasks done",
    "example-evaluation.md": (
        r"grounded-\w+ +12 +0\.93 +0\.92\nfrom-memory-\w+ +12 +0\.\d+ +0\.00\n.*"
        r"\d+ items in the dataset.*grounded-first"
    ),
    INSTRUMENT: r"Turntables have a warranty.*You said: How long is the warranty\?",
    ACROSS: r"same trace: True\nsame trace: true\n",
    CUSTOMERS: r"nothing.*customer,usd,tokens,calls\n.*customer-17,0\.0",
    "ask-your-traces.md": (
        r"last seven days cost\?\n  1 rows, first: \{'sum_totalCost'.*agent succeeds\?\n  [12]\d rows.*"
        r"people use it\?\n  1 rows"
    ),
    "report-cost-and-quality.md": r"Cost by model.*month_to_date",
}


@dataclass(frozen=True)
class Stack:
    """A stack that `up` started with the example company and one more project, in a directory of its own."""

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
        """Return a client with the keys of the project default."""
        text = (self.root / ".stack" / "credentials" / "default.env").read_text()
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
    shutil.copytree(REPOSITORY / "config", root / "config", ignore=shutil.ignore_patterns("local"))
    # Pages of examples are about the project kosmos, all others about the one that any stack begins with.
    site = root / "config" / "local"
    shutil.copytree(REPOSITORY / "examples" / "kosmos", site)
    with (site / "stack.yaml").open("a") as file:
        file.write("  - {id: default, name: default, content: [content]}\n")
    (root / "examples").symlink_to(REPOSITORY / "examples")
    for name in (".venv", ".venv-clients"):
        (root / name).symlink_to(PYTHON.parents[1])
    if PACKAGES.is_dir():
        (root / "node_modules").symlink_to(PACKAGES)
    command = f"{shlex.join([sys.executable, '-c', IN_ROOT, str(root)])}"
    bin_directory = root / "bin"
    bin_directory.mkdir()
    # The real Makefile, but its environment is installed already and its commands work on this directory.
    make = ["make", "--no-print-directory", "-f", str(REPOSITORY / "Makefile"), "-o", ".venv/.runtime"]
    (bin_directory / "make").write_text(
        f"#!/bin/sh\ncd {shlex.quote(str(REPOSITORY))}\nexport PYTHONPATH=$PWD PATH=/usr/bin:/bin\n"
        f'exec {shlex.join(make)} RUN={shlex.quote(command)} "$@"\n'
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


@pytest.mark.parametrize("page", [page for page in PAGES if page not in (INSTRUMENT, ACROSS, CUSTOMERS)])
def test_the_code_of_a_page_runs(stack: Stack, llm: str, page: str) -> None:
    run_page(stack, llm, page)


def test_the_page_on_instrumentation_sends_the_same_from_every_language(stack: Stack, llm: str) -> None:
    if not (shutil.which("node") and PACKAGES.is_dir()):
        pytest.skip("no Node.js, or no packages of the JavaScript SDK: run make test-clients")
    run_page(stack, llm, INSTRUMENT)
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
        rows = rows_where(client, "sessionId", "async-1", "core,basic,usage,trace_context")
        roots = {row["traceId"]: row for row in rows if row["name"] == "request"}
        assert {row["userId"] for row in roots.values()} == {"zeus", "kosmos"}
        parts = Counter((roots[row["traceId"]]["userId"], row["userId"], row["type"]) for row in rows)
        assert parts == {
            (user, user, kind): count
            for user in ("zeus", "kosmos")
            for kind, count in (("SPAN", 1), ("TOOL", 1), ("GENERATION", 2))
        }
        assert all(row["totalCost"] > 0 for row in rows if row["type"] == "GENERATION")
        assert {row["parentObservationId"] for row in rows} == {None, *(row["id"] for row in roots.values())}


def test_the_page_on_services_joins_their_traces_with_user_and_session(stack: Stack, llm: str) -> None:
    if not (shutil.which("node") and PACKAGES.is_dir()):
        pytest.skip("no Node.js, or no packages of the JavaScript SDK: run make test-clients")
    run_page(stack, llm, ACROSS)
    chains = {
        "http-1": ["caller", "service", "answer"],
        "node-1": ["caller", "service", "answer"],
        "queue-1": ["ask-for-report", "write-report", "write"],
        "later-1": ["request", "approve"],
    }
    with stack.client() as client:
        for session, chain in chains.items():
            rows = rows_where(client, "sessionId", session)
            by_name = {row["name"]: row for row in rows}
            assert (by_name.keys(), len(rows)) == (set(chain), len(chain)), session
            assert len({row["traceId"] for row in rows}) == 1
            assert {row["userId"] for row in rows} in ({"athena"}, {"zeus"}, {"hermes"})
            parents = [by_name[name]["parentObservationId"] for name in chain]
            assert parents == [None, *(by_name[name]["id"] for name in chain[:-1])]
        trace = {"traceId": by_name["approve"]["traceId"]}
        [score] = client.get("/api/public/v3/scores", params=trace).json()["data"]
        assert (score["name"], score["value"]) == ("user-feedback", 1)


def test_without_baggage_the_second_service_has_neither_user_nor_session(stack: Stack) -> None:
    for name, text in (block.groups() for block in SERVICE_FILES.finditer((HOW_TO / ACROSS).read_text())):
        changed = text.replace(", as_baggage=True", "").replace("queue-1", "queue-without")
        (stack.root / f"without_{name}").write_text(changed)
    keys = "set -a; . .stack/credentials/default.env; set +a\n"
    done = stack.run(f"{keys} python without_producer.py | python without_consumer.py")
    assert done.returncode == 0, done.stderr
    with stack.client() as client:
        [first] = rows_where(client, "sessionId", "queue-without")
        rows = rows_where(client, "traceId", first["traceId"])
    found = {row["name"]: (row["userId"] or None, row["sessionId"] or None) for row in rows}
    assert found == {
        "ask-for-report": ("zeus", "queue-without"),
        "write-report": (None, None),
        "write": (None, None),
    }


def test_what_is_masked_is_in_no_store_and_what_is_sampled_is_whole(stack: Stack, llm: str) -> None:
    run_page(stack, llm, CUSTOMERS)
    with stack.client() as client:
        rows = rows_where(client, "sessionId", "masked-1", "core,basic,io,metadata")
        by_name = {row["name"]: row for row in rows}
        assert by_name["answer"]["output"] == "Sent to [removed]"
        assert by_name["order"]["output"] == "Paid with [removed]"
        text = json.dumps(rows)
        assert "I am [removed], card [removed]" in text
        assert "athena.papadaki" not in text
        assert "4111" not in text
        sampled = rows_where(client, "traceName", "sampled")
        traces = Counter(row["traceId"] for row in sampled)
        assert set(traces.values()) == {2}
        assert 50 < len(traces) < 150
        scores = client.get(
            "/api/public/v3/scores", params={"name": "sampled-score", "fields": "subject"}
        ).json()
        assert {one["subject"]["id"] for one in scores["data"]} <= traces.keys()


def test_without_the_mask_the_search_of_the_page_finds_what_was_sent(stack: Stack) -> None:
    [text] = [text for _, text in blocks_of(CUSTOMERS) if text.startswith("# masked.py")]
    changed = text.replace("Langfuse(mask=mask)", "Langfuse()").replace("athena.papadaki", "hermes.unmasked")
    (stack.root / "unmasked.py").write_text(changed)
    keys = "set -a; . .stack/credentials/default.env; set +a\n"
    assert stack.run(f"{keys} python unmasked.py").returncode == 0
    assert stack.run("make erase USER_ID=hermes.unmasked@acme.example VERIFY=1").returncode != 0


def test_the_costs_of_customers_are_complete_beyond_what_one_answer_holds(stack: Stack) -> None:
    [text] = [text for _, text in blocks_of(CUSTOMERS) if text.startswith("# costs.py")]
    sender = """
import time
from langfuse import get_client, propagate_attributes
langfuse = get_client()
for number in range(30):
    time.sleep(0.01)  # so that parts of this time have few customers
    with propagate_attributes(user_id=f"many-{number % 10}"):
        call = langfuse.start_observation(name="call", as_type="generation", usage_details={"input": 7})
        call.update(cost_details={"total": 0.001 * (number % 10)}).end()
langfuse.flush()
"""
    (stack.root / "sender.py").write_text(sender)
    (stack.root / "costs_all.py").write_text(text)
    (stack.root / "costs_split.py").write_text(text.replace("LIMIT = 1000", "LIMIT = 4"))
    keys = "set -a; . .stack/credentials/default.env; set +a\n"
    assert stack.run(f"{keys} python sender.py").returncode == 0
    whole, split = (stack.run(f"{keys} python {name}.py") for name in ("costs_all", "costs_split"))
    assert sorted(whole.stdout.splitlines()) == sorted(split.stdout.splitlines())
    found = [line for line in whole.stdout.splitlines() if line.startswith("many-")]
    assert found == [f"many-{number},{0.003 * number:.6f},21,3" for number in range(9, -1, -1)]


def rows_where(
    client: httpx.Client, column: str, value: str, fields: str = "core,basic,trace_context"
) -> list[dict[str, Any]]:
    """Return the observations with a value in a column."""
    chosen = [{"column": column, "type": "string", "operator": "=", "value": value}]
    query = {"filter": json.dumps(chosen), "fields": fields, "limit": "1000"}
    rows: list[dict[str, Any]] = client.get("/api/public/v2/observations", params=query).json()["data"]
    return rows


def run_page(stack: Stack, llm: str, page: str) -> None:
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
    done = stack.run(END_SERVICES + shell.replace(DOCUMENTED_LLM, llm))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    assert re.search(PAGES[page], done.stdout, re.DOTALL), done.stdout[-3000:]
