"""The file that ends Langfuse's worker when its stop is complete, in Node itself."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "config" / "langfuse" / "exit-when-done.cjs"
# The shape of worker/src/app.ts and worker/src/utils/shutdown.ts: an async handler that ends, and something
# left in the event loop.
WORKER = """
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const onShutdown = async (signal) => {
  console.log("Received", signal);
  await wait(300);
  if (process.env.FAILS) throw new Error("cannot flush");
  console.log("Shutdown complete, exiting process...");
};
const other = () => console.log("another listener");
process.on("SIGTERM", other);
if (process.env.FORGETS) process.off("SIGTERM", other);
process.on("SIGINT", () => onShutdown("SIGINT"));
process.on("SIGTERM", () => onShutdown("SIGTERM"));
setInterval(() => {}, 1000);
console.log("up");
"""
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="needs Node")


def stopped(number: int, **variables: str) -> tuple[int, str]:
    """Run the worker, send it a signal when it is up, and return its exit code and what it said."""
    environment = {**os.environ, "NODE_OPTIONS": f"--require={FILE}", **variables}
    with subprocess.Popen(
        [str(NODE), "-e", WORKER],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.send_signal(number)
        try:
            rest, _ = process.communicate(timeout=20)
        finally:
            process.kill()
    return process.returncode, said + rest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_worker_ends_when_its_handler_is_done_and_not_before(number: int) -> None:
    code, said = stopped(number)
    assert code == 0
    assert said.splitlines()[-1] == "Shutdown complete, exiting process..."


def test_a_handler_that_fails_ends_the_worker_with_an_error() -> None:
    code, said = stopped(signal.SIGTERM, FAILS="1")
    assert code == 1
    assert "Shutdown complete" not in said


def test_a_listener_that_was_taken_back_is_not_called() -> None:
    code, said = stopped(signal.SIGTERM, FORGETS="1")
    assert (code, "another listener" in said) == (0, False)
    assert "another listener" in stopped(signal.SIGTERM)[1]


def test_compose_mounts_the_file_where_node_looks_for_it() -> None:
    worker = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]["langfuse-worker"]
    (mount,) = [one for one in worker["volumes"] if one["source"].endswith(FILE.name)]
    assert f"--require={mount['target']}" in worker["environment"]["NODE_OPTIONS"].split()
    assert mount["read_only"]


def test_the_start_period_covers_the_minute_in_which_a_worker_calls_itself_stuck() -> None:
    """After more than 15 minutes without a run it says so until its next full minute."""
    worker = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]["langfuse-worker"]
    assert int(worker["healthcheck"]["start_period"].removesuffix("s")) >= 90
