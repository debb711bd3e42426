"""The global set-up for test runners in JavaScript: URL and keys for every test file, and no engine left."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import httpx
import pytest

from tests.embedded.harness import REPOSITORY

from .conftest import subprocess_of, told

PAGE = REPOSITORY / "docs" / "how-to" / "test-your-application.md"
PACKAGES = REPOSITORY / "build" / "js-client"
# As vitest and jest do: the default export runs first, in their process, then test files in others.
RUNNER = """
import { spawnSync } from "node:child_process";
import setup from "./langfuse.setup.mjs";
await setup();
const [file, directory] = process.argv.slice(2);
const test = spawnSync(process.execPath, ["--input-type=module", "-"], {
  cwd: directory, input: (await import("node:fs")).readFileSync(file), env: process.env, encoding: "utf8",
});
process.stderr.write(test.stderr);
process.stdout.write(test.stdout);
process.exitCode = test.status;
"""
TEST = """
import { LangfuseClient } from "@langfuse/client";
import { LangfuseSpanProcessor } from "@langfuse/otel";
import { startActiveObservation } from "@langfuse/tracing";
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const processor = new LangfuseSpanProcessor();
new NodeTracerProvider({ spanProcessors: [processor] }).register();
const answer = (span) => span.update({ output: "On its way." }).traceId;
const traceId = await startActiveObservation("answer", answer);
await processor.forceFlush();
const { data } = await new LangfuseClient().api.observations.getMany({ traceId, fields: "core,basic,io" });
const found = data.map((one) => [one.name, one.output]);
console.log(JSON.stringify({ url: process.env.LANGFUSE_BASE_URL, found }));
"""


@pytest.fixture
def node() -> str:
    """Node.js, where the packages of the SDK are."""
    found = shutil.which("node")
    if found is None or not (PACKAGES / "node_modules").is_dir():
        pytest.skip("no Node.js or no packages of the SDK: run make test-clients")
    return found


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment with the console script, which a checkout does not have."""
    script = tmp_path / "bin" / "langfuse-embedded"
    script.parent.mkdir()
    source = REPOSITORY / "embedded" / "src"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={source} exec {sys.executable} -m langfuse_testing "$@"\n')
    script.chmod(0o755)
    return {"PATH": f"{script.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}


@pytest.fixture
def setup(tmp_path: Path) -> Path:
    """The file of the page."""
    [code] = re.findall(r"```js\n// langfuse\.setup\.mjs\n(.*?)```", PAGE.read_text(), re.DOTALL)
    body = re.search(r"async function setup\(\) \{\n(.*?)^\}", code, re.DOTALL | re.MULTILINE)
    assert body
    assert len(body[1].splitlines()) == 3
    (tmp_path / "langfuse.setup.mjs").write_text(code)
    (tmp_path / "runner.mjs").write_text(RUNNER)
    (tmp_path / "answer.test.mjs").write_text(TEST)
    return tmp_path


def test_the_set_up_gives_every_test_url_and_keys_and_stops_the_engine(
    node: str, setup: Path, environment: dict[str, str]
) -> None:
    argv = [node, "runner.mjs", str(setup / "answer.test.mjs"), str(PACKAGES)]
    facts = told(subprocess_of(argv, cwd=setup, env=environment))
    assert facts["found"] == [["answer", "On its way."]]
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{facts['url']}/api/public/health")


def test_an_engine_that_does_not_start_fails_the_run(
    node: str, setup: Path, environment: dict[str, str]
) -> None:
    script = Path(environment["PATH"].split(":")[0], "langfuse-embedded")
    script.write_text("#!/bin/sh\necho 'error: no room' >&2\nexit 1\n")
    argv = [node, "runner.mjs", str(setup / "answer.test.mjs"), str(PACKAGES)]
    done = subprocess_of(argv, cwd=setup, env=environment)
    assert done.returncode != 0
    assert "error: no room" in done.stderr
    assert "SyntaxError" in done.stderr
    assert done.stdout == ""


def test_the_command_runs_a_test_of_any_runner(node: str, setup: Path, environment: dict[str, str]) -> None:
    argv = ["langfuse-embedded", "--exec", node, "--input-type=module", "-"]
    done = subprocess_of(argv, cwd=PACKAGES, env=environment, input=(setup / "answer.test.mjs").read_text())
    assert told(done)["found"] == [["answer", "On its way."]]
    assert json.loads(done.stdout.splitlines()[-1])["url"].startswith("http://127.0.0.1:")
