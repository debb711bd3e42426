"""`selftest` runs every part, on a stack of its own, and fails when one of them does."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.core.console import Console
from scripts.core.layout import Layout
from scripts.core.runner import Completed, SubprocessRunner
from scripts.develop import selftest
from scripts.develop.selftest import free_port
from scripts.engines.base import Engine, EngineName
from scripts.engines.embedded import EmbeddedEngine
from scripts.run import down, up
from scripts.settings.envfile import read_env
from scripts.settings.values import Settings

from .fakes import FakeRunner, Screen, layout_in
from .test_commands import FakeContext
from .test_stack_file import GOOD


@dataclass(frozen=True, slots=True)
class RecordingContext(FakeContext):
    """Records the commands of the tests, but lets the engine's own commands run."""

    def engine(self, name: EngineName, settings: Settings, *, looking: bool = False) -> Engine:
        engine = FakeContext.engine(self, name, settings, looking=looking)
        if isinstance(engine, EmbeddedEngine):
            engine.runner = SubprocessRunner(self.layout.root)
        return engine


def make_context(directory: Path, runner: FakeRunner, screen: Screen, **environment: str) -> RecordingContext:
    layout = layout_in(directory)
    for described in (layout.stack_file, directory / "examples" / "kosmos" / "stack.yaml"):
        described.parent.mkdir(parents=True)
        described.write_text(GOOD)
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parent), **environment}
    return RecordingContext(layout, given, Console(given, screen.out, screen.err), runner)


@pytest.mark.parametrize(
    ("rules", "code", "words"),
    [
        ({}, 0, ["passed", "passed", "passed"]),
        ({"tests/unit": Completed(1)}, 1, ["FAILED", "passed", "passed"]),
        ({"sdk4 -m pytest": Completed(1)}, 1, ["passed", "passed", "FAILED"]),
    ],
)
def test_every_part_runs_and_one_failure_fails_the_whole(
    tmp_path: Path, rules: dict[str, Completed], code: int, words: list[str]
) -> None:
    runner, screen = FakeRunner(dict(rules)), Screen()
    assert selftest.selftest(make_context(tmp_path, runner, screen), sdk4_python=Path("sdk4")) == code
    own = ["-m", "pytest", "-q", *selftest.PARALLEL, "-m", "not slow", "tests/unit", "tests/embedded"]
    assert runner.calls == [
        [sys.executable, *own],
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "smoke_tests", "-q"],
        ["sdk4", "-m", "pytest", "-p", "no:cacheprovider", "smoke_tests", "-q"],
    ]
    summary = screen.out.getvalue().splitlines()[-3:]
    assert [line.split()[0] for line in summary] == words


@pytest.mark.parametrize(("code", "word"), [(0, "passed"), (1, "FAILED")])
def test_the_stack_that_runs_is_tested_first_and_its_result_said_at_once(
    tmp_path: Path, code: int, word: str
) -> None:
    said: list[str] = []

    def look(_argv: object, _env: object) -> Completed:
        said.append(screen.out.getvalue())
        return Completed(0)

    quick = " ".join(selftest.QUICK)
    runner, screen = FakeRunner({quick: Completed(code), "tests/unit": look}), Screen()
    context = make_context(tmp_path, runner, screen, ENGINE="embedded", LANGFUSE_PORT=str(free_port()))
    assert up.up(context) == 0
    try:
        assert selftest.selftest(context, sdk4_python=Path("sdk4")) == code
    finally:
        down.down(context)
    first = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "smoke_tests", *selftest.QUICK]
    assert runner.calls[0] == first
    assert runner.environments[0] is not None
    assert runner.environments[0]["STACK_DIR"] == str(context.layout.stack_dir)
    assert said[0].splitlines()[-1].startswith(f"{word}  your stack: http://localhost:")
    assert len(screen.out.getvalue().splitlines()[-4:]) == 4


def test_without_a_stack_the_tests_say_so_and_begin_with_the_code(tmp_path: Path) -> None:
    runner, screen = FakeRunner(), Screen()
    assert selftest.selftest(make_context(tmp_path, runner, screen), sdk4_python=Path("sdk4")) == 0
    assert "No stack runs here" in screen.err.getvalue()
    assert "tests/unit" in runner.calls[0]


def test_the_smoke_tests_get_a_fresh_stack_that_is_gone_afterwards(tmp_path: Path) -> None:
    seen: dict[str, str] = {}

    def look(_argv: object, env: object) -> Completed:
        assert isinstance(env, dict)
        seen.update(env)
        stack = Path(seen["STACK_DIR"])
        seen["url"] = read_env(stack / "credentials" / "kosmos.env").values()["LANGFUSE_BASE_URL"]
        return Completed(0)

    context = make_context(tmp_path, FakeRunner({"smoke_tests": look}), Screen())
    selftest.selftest(context, sdk4_python=Path("sdk4"))
    assert seen["url"] == f"http://localhost:{seen['LANGFUSE_PORT']}"
    assert not Path(seen["STACK_DIR"]).exists()
    assert not context.layout.env_file.exists()
    assert not context.layout.stack_dir.exists()


def test_an_engine_that_does_not_start_is_a_failed_part(tmp_path: Path) -> None:
    runner, screen = FakeRunner(), Screen()
    context = make_context(tmp_path, runner, screen, FAKE_ENGINE="die")
    assert selftest.selftest(context, sdk4_python=Path("sdk4")) == 1
    assert len(runner.calls) == 1
    assert "ended with exit code 1" in screen.err.getvalue()
    assert screen.out.getvalue().splitlines()[-1].startswith("FAILED  starting an engine")


def test_settings_of_a_stack_and_of_the_sdk_do_not_reach_the_tests(tmp_path: Path) -> None:
    context = make_context(
        tmp_path,
        FakeRunner(),
        Screen(),
        LANGFUSE_BASE_URL="https://elsewhere.example",
        OTEL_SDK_DISABLED="true",
        SALT="ab" * 16,
        BASE_URL="https://elsewhere.example",
        STACK_DIR="/elsewhere",
        LANGFUSE_REFERENCE_DIR="/recordings",
    )
    kept = selftest.environment_of_tests(context)
    assert set(kept) == {"PATH", "PYTHONPATH", "LANGFUSE_REFERENCE_DIR"}


def test_paths_outside_the_repository_are_shown_in_full(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "repository", tmp_path / ".env", tmp_path / "stack")
    assert layout.shown(layout.env_file) == str(tmp_path / ".env")
    assert layout.shown(layout.stack_file) == "config/stack.yaml"
