"""`langfuse-embedded` as other projects install it: a wheel beside their SDK and older libraries."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEST = """
from langfuse import Langfuse


def test_the_answer_is_traced(langfuse_environment):
    langfuse = Langfuse()
    with langfuse.start_as_current_observation(name="answer") as span:
        span.update(output="On its way.")
        span.score(name="helpful", value=1)
    langfuse.flush()
    [answer] = langfuse_environment.wait_for_trace(name="answer")
    assert answer["output"] == "On its way."
    assert langfuse_environment.wait_for_score(name="helpful", trace_id=span.trace_id)["value"] == 1


def test_nothing_of_it_is_left(langfuse_environment):
    assert langfuse_environment.traces() == langfuse_environment.scores() == []
"""
TEST_SDK_3 = TEST.replace("start_as_current_observation(", "start_as_current_span(")
# It sends events that a server in `events_only` mode refuses.
TEST_SDK_2 = """
from langfuse import Langfuse
from langfuse_testing import EmbeddedLangfuse


def test_the_answer_is_traced(monkeypatch):
    with EmbeddedLangfuse(environment={"LANGFUSE_MIGRATION_V4_WRITE_MODE": "dual"}) as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        langfuse = Langfuse()
        trace = langfuse.trace(name="question")
        trace.generation(name="answer", output="On its way.").end()
        langfuse.flush()
        outputs = [one["output"] for one in server.wait_for_trace(name="answer") if one["name"] == "answer"]
        assert outputs == ["On its way."]


def test_the_fixture_is_there(langfuse_environment):
    assert langfuse_environment.traces() == []
"""
# Two years old, as an application may have them.
OLD = ("pytest==8.3.5", "starlette==0.41.3", "httpx==0.27.2", "uvicorn==0.32.1", "orjson==3.10.18")
BESIDE = {
    "SDK 2": (TEST_SDK_2, "langfuse==2.60.10", *OLD),
    "SDK 3": (TEST_SDK_3, "langfuse>=3.15,<4", *OLD),
    "SDK 4": (TEST, "langfuse>=4.18,<5", *OLD),
    "SDK 5": (TEST, "langfuse>=5.0.4,<6", "pytest"),
}


def pip(directory: Path, *arguments: str) -> None:
    done = subprocess.run(
        [directory / "bin" / "python", "-m", "pip", "-q", "--disable-pip-version-check", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: a build writes beside its sources."""
    directory = tmp_path_factory.mktemp("wheel")
    source = shutil.copytree(
        ROOT / "embedded",
        directory / "embedded",
        ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"),
    )
    builder = directory / "builder"
    subprocess.run([sys.executable, "-m", "venv", builder], check=True, timeout=120)
    pip(builder, "wheel", "--no-deps", "--wheel-dir", str(directory), str(source))
    [made] = directory.glob("*.whl")
    return made


def make_environment(directory: Path, *packages: str) -> Path:
    """Make an environment with these packages; return its `bin`."""
    subprocess.run([sys.executable, "-m", "venv", directory], check=True, timeout=120)
    pip(directory, "install", "--no-compile", *packages)
    return directory / "bin"


def run(argv: list[str | Path], directory: Path, **environment: str) -> str:
    """Run to a good end; return what was printed."""
    done = subprocess.run(
        argv, cwd=directory, env={"PATH": "/usr/bin:/bin", "HOME": str(directory), **environment},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", BESIDE)
def test_it_is_installed_beside_an_application_and_pytest_finds_it(
    wheel: Path, tmp_path: Path, name: str
) -> None:
    test, *packages = BESIDE[name]
    programs = make_environment(tmp_path / "venv", str(wheel), *packages)
    (tmp_path / "test_assistant.py").write_text(test)
    pytest_argv: list[str | Path] = [
        programs / "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        tmp_path / "test_assistant.py",
    ]
    said = run([programs / "langfuse-embedded", "--exec", *pytest_argv], tmp_path)
    assert "2 passed" in said
    listed = run([programs / "python", "-m", "pip", "list", "--format", "freeze"], tmp_path)
    assert not {"docker", "typer", "rich", "testcontainers"} & {
        line.split("==")[0] for line in listed.splitlines()
    }


def test_beside_packages_that_it_excludes_it_runs_in_an_environment_of_its_own(
    wheel: Path, tmp_path: Path
) -> None:
    """pydantic 1 is too old for what the engine needs; the plugin alone needs httpx."""
    engine = make_environment(tmp_path / "engine", str(wheel))
    packages = ("langfuse>=3.15,<4", "pydantic<2", "pytest==8.3.5")
    programs = make_environment(tmp_path / "venv", *packages)
    pip(tmp_path / "venv", "install", "--no-deps", str(wheel))
    (tmp_path / "test_assistant.py").write_text(TEST_SDK_3)
    argv: list[str | Path] = [
        programs / "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        tmp_path / "test_assistant.py",
    ]
    assert "2 passed" in run(argv, tmp_path, LANGFUSE_TEST_PYTHON=str(engine / "python"))
    listed = run([programs / "python", "-m", "pip", "list", "--format", "freeze"], tmp_path)
    assert "pydantic==1." in listed
    assert "duckdb" not in listed
