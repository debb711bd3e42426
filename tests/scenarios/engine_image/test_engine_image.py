"""The image of the embedded engine beside an application: examples/compose-with-your-app, as it stands."""

from __future__ import annotations

import os
import secrets
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import docker
import httpx
import pytest

from langfuse_testing import Keys, LangfuseServer
from scripts.develop.selftest import free_port
from tests.scenarios.report import Report
from tests.scenarios.stack import ROOT

HERE = Path(__file__).parent
EXAMPLE = ROOT / "examples" / "compose-with-your-app"
KEYS = Keys("assistant", "pk-lf-test-assistant", "sk-lf-test-assistant")
IMAGE = "langfuse-stack-rehearsal/langfuse-embedded:current"
LARGEST = 200 * 10**6
"""Bytes of the image as a registry keeps and a runner pulls it."""


class Example:
    """The example, with a name and a port of its own."""

    def __init__(self) -> None:
        self.name = f"{os.environ.get('REHEARSAL_RUN', 'rehearsal')}-{secrets.token_hex(4)}"
        self.port = free_port()
        self.server = LangfuseServer(f"http://127.0.0.1:{self.port}", KEYS)

    def compose(self, *arguments: str) -> str:
        """Run a command of compose; return what it printed."""
        files = [EXAMPLE / "compose.yaml", HERE / "compose.yaml"]
        argv = ["docker", "compose", "--project-name", self.name]
        done = subprocess.run(
            [*argv, *(word for file in files for word in ("--file", str(file))), *arguments],
            env={**os.environ, "LANGFUSE_PORT": str(self.port)},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def engine(self, client: docker.DockerClient) -> docker.models.containers.Container:
        """Return the container of the engine."""
        return client.containers.get(self.compose("ps", "--quiet", "langfuse").strip())


@pytest.fixture(scope="module")
def example() -> Iterator[Example]:
    """The example with a healthy engine."""
    made = Example()
    try:
        made.compose("build", "--quiet")
        made.compose("up", "--wait", "langfuse")
        yield made
    finally:
        made.compose("down", "--volumes", "--timeout", "5")


def test_the_application_finds_its_keys_and_its_trace_stays(example: Example) -> None:
    """After the engine was made anew: its data is in the volume."""
    trace = example.compose("run", "--rm", "app").strip()
    example.compose("up", "--wait", "--force-recreate", "langfuse")
    [answer] = example.server.wait_for_trace(trace)
    assert (answer["name"], answer["output"]) == ("answer", "On its way.")
    assert answer["totalCost"] > 0


def test_it_runs_as_nobody_on_a_root_that_it_cannot_write(
    example: Example, engine: docker.DockerClient
) -> None:
    container = example.engine(engine)
    host = container.attrs["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"]) == (True, ["ALL"])
    assert container.exec_run(["id", "-u"]).output == b"65532\n"
    assert container.exec_run(["touch", "/opt/engine/x"]).exit_code != 0
    assert container.exec_run(["stat", "-c", "%a", "/data/state.db"]).output == b"600\n"


def test_it_is_unhealthy_while_the_engine_does_not_answer(
    example: Example, engine: docker.DockerClient
) -> None:
    container = example.engine(engine)
    probe = container.attrs["Config"]["Healthcheck"]["Test"][1:]
    assert container.exec_run(probe).exit_code == 0
    elsewhere = [word.replace(":3000", ":3001") for word in probe]
    assert container.exec_run(elsewhere).exit_code != 0


def test_it_ends_with_all_it_holds(example: Example, engine: docker.DockerClient) -> None:
    """The first process of the container gets the signal, writes, and is not killed."""
    container = example.engine(engine)
    container.stop(timeout=30)
    container.reload()
    assert container.attrs["State"]["ExitCode"] == 0, container.logs()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{example.server.base_url}/api/public/health")
    example.compose("up", "--wait", "langfuse")


def test_the_image_is_small(example: Example, engine: docker.DockerClient, report: Report) -> None:
    image, compressor = engine.images.get(IMAGE), zlib.compressobj(level=1)
    packed = sum(len(compressor.compress(chunk)) for chunk in image.save()) + len(compressor.flush())
    unpacked = image.attrs["Size"]
    report.measured(f"{IMAGE}: {packed / 10**6:.0f} MB to pull, {unpacked / 10**6:.0f} MB unpacked")
    assert packed < LARGEST
