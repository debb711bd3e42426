"""What other projects import: a server, its keys where the SDK looks, and a wait that explains itself."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from langfuse_testing import EmbeddedLangfuse, Keys, LangfuseFailed, LangfuseServer, TraceNotFound

from .harness import REPOSITORY

PAGE = REPOSITORY / "docs" / "how-to" / "test-your-application.md"
# Where the distribution is installed pytest finds it by its entry point: tests/clients/test_distribution.py.
PLUGIN = "langfuse_testing.plugin"
TRACE = "0af7651916cd43dd8448eb211c80319c"


def run_pytest(
    directory: Path, *, seconds: float = 90, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", PLUGIN, str(directory)],
        cwd=directory,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY / "embedded" / "src"), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def write_example(directory: Path) -> None:
    """Write the files of the how-to page, as a reader does."""
    blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert [name for name, _ in blocks] == ["test_assistant.py"]
    for name, code in blocks:
        (directory / name).write_text(code)


def test_the_example_of_the_documentation_runs(tmp_path: Path) -> None:
    write_example(tmp_path)
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_the_same_tests_run_on_a_server_that_is_there_already(tmp_path: Path) -> None:
    write_example(tmp_path)
    with EmbeddedLangfuse() as engine:
        done = run_pytest(
            tmp_path,
            LANGFUSE_TEST_URL=engine.base_url,
            LANGFUSE_TEST_PUBLIC_KEY=engine.keys.public_key,
            LANGFUSE_TEST_SECRET_KEY=engine.keys.secret_key,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found = httpx.get(
            f"{engine.base_url}/api/public/v2/observations", auth=engine.keys.auth, params={"name": "answer"}
        )
        assert len(found.json()["data"]) == 1


def test_a_trace_that_does_not_come_is_reported_with_what_was_found() -> None:
    with EmbeddedLangfuse() as engine, pytest.raises(TraceNotFound) as caught:
        engine.wait_for_trace(TRACE, observations=2, seconds=0.1)
    text = str(caught.value)
    assert f"Trace {TRACE} has 0 of 2 observations after 0.1 s on {engine.base_url}" in text
    assert "Was the SDK flushed" in text


def test_wrong_keys_are_not_waited_out() -> None:
    with EmbeddedLangfuse() as engine:
        stranger = LangfuseServer(engine.base_url, Keys("x", "pk-lf-test-x", "sk-lf-test-x"))
        with pytest.raises(httpx.HTTPStatusError, match="401"):
            stranger.wait_for_trace(TRACE, seconds=5)


def test_an_engine_that_cannot_start_shows_its_own_words(tmp_path: Path) -> None:
    engine = EmbeddedLangfuse(tmp_path / "data", {"INGEST_LAG_MS": "soon"})
    with pytest.raises(LangfuseFailed, match=r"ended before it listened(.|\n)*INGEST_LAG_MS is 'soon'"):
        engine.start()


def test_nothing_stays_behind() -> None:
    with EmbeddedLangfuse() as engine:
        assert engine.data_dir.exists()
        process = engine.process
    assert process is not None
    assert process.returncode == 0
    assert not engine.data_dir.parent.exists()


def langfuse_embedded(*arguments: str) -> list[str]:
    """Return the argv of the console script, which a checkout does not have."""
    return [sys.executable, "-m", "langfuse_testing", *arguments]


def test_a_command_gets_url_and_keys_and_its_exit_code_is_returned() -> None:
    code = (
        "import os, httpx; e = os.environ; keys = (e['LANGFUSE_PUBLIC_KEY'], e['LANGFUSE_SECRET_KEY']);"
        " httpx.get(e['LANGFUSE_BASE_URL'] + '/api/public/projects', auth=keys).raise_for_status();"
        " raise SystemExit(7)"
    )
    done = subprocess.run(
        langfuse_embedded("--public-key", "pk-lf-athena", "--exec", sys.executable, "-c", code),
        capture_output=True, text=True, timeout=60, check=False, env=package_environment(),
    )  # fmt: skip
    assert done.returncode == 7, done.stderr


def test_a_command_that_is_not_there_is_told() -> None:
    done = subprocess.run(
        langfuse_embedded("--exec", "no-such-command"),
        capture_output=True, text=True, timeout=60, check=False, env=package_environment(),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "error: no-such-command is not a command here.\n")


def test_it_prints_what_an_application_needs_and_ends_with_all_it_started(tmp_path: Path) -> None:
    with subprocess.Popen(
        langfuse_embedded("--data-dir", str(tmp_path / "data")),
        stdout=subprocess.PIPE, text=True, env=package_environment(),
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            lines: list[str] = []
            while not lines or not lines[-1].startswith("export "):
                lines.append(process.stdout.readline())
                assert lines[-1], "".join(lines)
            variables = dict(word.split("=", 1) for word in shlex.split(lines[-1])[1:])
            keys = variables["LANGFUSE_PUBLIC_KEY"], variables["LANGFUSE_SECRET_KEY"]
            url = f"{variables['LANGFUSE_BASE_URL']}/api/public/projects"
            assert httpx.get(url, auth=keys).status_code == 200
        finally:
            process.send_signal(signal.SIGTERM)
        process.wait(30)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, auth=keys)
    assert (tmp_path / "data" / "state.db").is_file()


def package_environment() -> dict[str, str]:
    """Return an environment in which the packages of this checkout are found."""
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY / "embedded" / "src")}
