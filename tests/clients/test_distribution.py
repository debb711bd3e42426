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
    with langfuse.start_as_current_span(name="answer") as span:
        span.update(output="On its way.")
    langfuse.flush()
    [answer] = langfuse_environment.wait_for_trace(span.trace_id)
    assert answer["output"] == "On its way."
"""
# Two years old, as an application may have them.
OLD = ("pytest==8.3.5", "starlette==0.41.3", "httpx==0.27.2", "uvicorn==0.32.1", "orjson==3.10.18")


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


@pytest.mark.parametrize("sdk", ["langfuse>=3.15,<4", "langfuse>=4.18,<5"], ids=["SDK 3", "SDK 4"])
def test_it_is_installed_beside_an_older_application_and_pytest_finds_it(
    wheel: Path, tmp_path: Path, sdk: str
) -> None:
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=120)
    pip(environment, "install", str(wheel), sdk, *OLD)
    test = TEST if "<4" in sdk else TEST.replace("start_as_current_span(", "start_as_current_observation(")
    (tmp_path / "test_assistant.py").write_text(test)
    run = [environment / "bin" / "langfuse-embedded", "--exec", environment / "bin" / "pytest", "-q"]
    done = subprocess.run(
        [*run, "-p", "no:cacheprovider", str(tmp_path / "test_assistant.py")],
        cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    listed = subprocess.run(
        [environment / "bin" / "python", "-m", "pip", "list", "--format", "freeze"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert not {"docker", "typer", "rich", "testcontainers"} & {
        line.split("==")[0] for line in listed.splitlines()
    }
