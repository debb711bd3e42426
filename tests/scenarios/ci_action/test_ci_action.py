"""The action of GitHub with the compose engine, on a runner that is empty, beside a second checkout."""

from __future__ import annotations

import time
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.develop.selftest import free_port
from tests.embedded.documented import Checkout
from tests.embedded.test_ci_page import Runner, files, job
from tests.scenarios.report import Report
from tests.scenarios.stack import Stack, new_stack

TEST = "tests/integration/test_traces.py"
PORTS = ("LANGFUSE_PORT", "S3_PORT", "GRAFANA_PORT")


@dataclass(frozen=True)
class Machine:
    """A runner: its home is empty, it has a Python, and the application that the job is about is checked out.

    Attributes:
        origin: where this repository is cloned from.
    """

    home: Path
    origin: Path
    python: Path
    stack: Stack

    def environment(self, **more: str) -> dict[str, str]:
        """Return what every step gets: nothing of this checkout, and none of its caches."""
        kept = {
            name: value
            for name, value in self.stack.context.environment.items()
            if name not in ("VIRTUAL_ENV", "PYTHONPATH", "COMPOSE_PROJECT_NAME")
            and not name.startswith(("XDG_", "UV_CACHE", "PIP_CACHE"))
        }
        path = f"{self.python / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {**kept, "HOME": str(self.home), "PATH": path, **more}

    def clone(self, target: Path) -> None:
        """Bring this repository, as `uses:` does."""
        argv = ["git", "clone", "--quiet", "--depth", "1", f"file://{self.origin}", str(target)]
        done = self.stack.context.runner.run(argv, env=self.environment(), timeout_s=120)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A runner of the kind that begins empty."""
    home, python = tmp_path / "home", tmp_path / "python"
    home.mkdir()
    venv.create(python, with_pip=True)
    origin = Checkout(tmp_path / "origin", {}, {}).make().root
    return Machine(home, origin, python, new_stack(tmp_path))


@pytest.fixture
def application(tmp_path: Path) -> Path:
    """The application of the page: what it needs, and its test."""
    root = tmp_path / "application"
    (root / TEST).parent.mkdir(parents=True)
    (root / TEST).write_text(files()[TEST])
    (root / "requirements.txt").write_text("langfuse>=5\npytest\n")
    return root


def test_an_empty_runner_gets_to_a_passed_test_while_another_checkout_has_its_own_stack(
    machine: Machine, application: Path, tmp_path: Path, report: Report
) -> None:
    ports = {name: machine.stack.context.environment[name] for name in PORTS}
    environment = machine.environment()
    inputs = {"engine": "compose", "port": ports["LANGFUSE_PORT"], "name": machine.stack.name}
    runner = Runner(Checkout(application, environment, {}), inputs)
    later = ["set -e", *(step["run"] for step in job()["steps"] if "run" in step)]
    began = time.monotonic()
    passed: dict[str, float] = {}

    def mark(what: str) -> None:
        passed[what] = time.monotonic() - began - sum(passed.values())

    machine.clone(runner.action_path)
    mark("clone")
    try:
        said = runner.all()
        mark("the action")
        assert "Engine: compose" in said
        outputs, variables = runner.given("OUTPUT"), runner.given("ENV")
        assert outputs["base-url"].endswith(f":{ports['LANGFUSE_PORT']}")
        assert f"::add-mask::{outputs['secret-key']}" in said
        assert "| engine | compose |" in runner.files["STEP_SUMMARY"].read_text()
        done = Checkout(application, {**environment, **variables}, {}).run("\n".join(later))
        mark("its packages and the first passed test")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 passed" in done.stdout
        report.measured(told("empty runner", passed))

        beside(machine, application, tmp_path / "second", report)

        health = f"curl -sf {outputs['base-url']}/api/public/health"
        assert Checkout(application, environment, {}).run(health).returncode == 0
        assert Path(bundle(runner)).stat().st_size > 1000
    finally:
        runner.all(command="destroy")
    assert machine.stack.leftovers() == {}


def beside(machine: Machine, application: Path, target: Path, report: Report) -> None:
    """Start a second checkout by hand, with the caches that are there by now; run the same test on it."""
    second = Stack(f"{machine.stack.name}b", machine.stack.context)
    own = {name: str(free_port()) for name in PORTS}
    environment = machine.environment(**own)
    checkout = Checkout(target, environment, {})
    began = time.monotonic()
    machine.clone(target)
    try:
        started = checkout.run(f"make up COMPOSE_PROJECT_NAME={second.name}")
        assert started.returncode == 0, started.stdout + started.stderr
        up = time.monotonic() - began
        keys = "set -a; . .stack/credentials/default.env; set +a"
        done = checkout.run(f"{keys}; python -m pytest -q {application / TEST}")
        assert done.returncode == 0, done.stdout + done.stderr
        found = {"clone and make up": up, "first passed test": time.monotonic() - began - up}
        report.measured(told("second checkout", found))
    finally:
        destroyed = checkout.run("make destroy YES=1")
    assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
    assert second.leftovers() == {}, destroyed.stdout + destroyed.stderr


def bundle(runner: Runner) -> str:
    """Return the support bundle that a step with that command makes."""
    runner.all(command="support-bundle")
    return runner.given("OUTPUT")["file"]


def told(who: str, seconds: dict[str, float]) -> str:
    """Return a line of the table."""
    parts = ", ".join(f"{what} {taken:.0f} s" for what, taken in seconds.items())
    return f"{who}: {sum(seconds.values()):.0f} s to the first passed test ({parts})"
