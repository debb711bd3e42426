"""What other projects import: a server, its keys where the SDK looks, and a wait that explains itself."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from langfuse_testing import (
    EmbeddedLangfuse,
    Keys,
    LangfuseFailed,
    LangfuseServer,
    ScoreNotFound,
    TraceNotFound,
)
from langfuse_testing.traces import traces_of

from .harness import REPOSITORY
from .spans import send, span, trace_id

PAGE = REPOSITORY / "docs" / "how-to" / "test-your-application.md"
# Where the distribution is installed pytest finds it by its entry point: tests/clients/test_distribution.py.
PLUGIN = "langfuse_testing.plugin"
TRACE = "0af7651916cd43dd8448eb211c80319c"


def run_pytest(
    directory: Path, *options: str, seconds: float = 300, **environment: str
) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", PLUGIN]
    # One that hangs shows in which line, long before it is ended.
    return subprocess.run(
        [*argv, "-o", "faulthandler_timeout=60", *options, str(directory)],
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
    assert len([line for line in blocks[0][1].splitlines() if line]) <= 12
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
        assert [trace.name for trace in engine.traces()] == ["answer"]


OLDER = """
def test_what_is_older_stays_and_is_not_listed(langfuse_environment):
    assert langfuse_environment.traces() == []
    assert langfuse_environment.observations("{trace}")[0]["name"] == "older"
"""


def test_on_a_server_that_is_there_already_nothing_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "test_older.py").write_text(OLDER.format(trace=TRACE))
    with EmbeddedLangfuse(environment={"EMBEDDED_ALLOW_RESET": "true"}) as engine:
        export(engine, span(TRACE, "older"))
        done = run_pytest(
            tmp_path,
            LANGFUSE_TEST_URL=engine.base_url,
            LANGFUSE_TEST_PUBLIC_KEY=engine.keys.public_key,
            LANGFUSE_TEST_SECRET_KEY=engine.keys.secret_key,
        )
    assert done.returncode == 0, done.stdout + done.stderr


EACH = """
import pytest
from langfuse import get_client


@pytest.mark.parametrize("number", range(2))
def test_each_starts_from_nothing(langfuse_environment, number):
    assert langfuse_environment.traces() == []
    langfuse_environment.prompts.create("greeting", f"Hello {number}")
    assert get_client().get_prompt("greeting").prompt == f"Hello {number}"
    with get_client().start_as_current_observation(name="not flushed"):
        pass


def test_fails(langfuse_environment):
    with get_client().start_as_current_observation(name="ask", as_type="agent"):
        with get_client().start_as_current_observation(name="look up", as_type="tool") as tool:
            tool.update(level="ERROR", status_message="no such order")
    raise RuntimeError
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_each_test_starts_from_nothing_and_one_that_fails_shows_its_traces(
    tmp_path: Path, workers: str
) -> None:
    (tmp_path / "test_each.py").write_text(EACH)
    done = run_pytest(tmp_path, "-n", workers)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    assert "1 failed" in done.stdout
    section = done.stdout.partition("- Langfuse traces -")[2]
    assert re.search(
        r"trace [0-9a-f]{32}: ask\n└─ AGENT  ask  \d+ ms\n   └─ TOOL  look up  \d+ ms  ERROR no such order\n",
        section,
    )
    assert "not flushed" not in section


def test_the_engine_runs_in_the_python_that_a_variable_names(tmp_path: Path) -> None:
    """A wrapper stands for another environment, with its own packages: the path of this one stays out."""
    python = tmp_path / "python"
    packages = REPOSITORY / "embedded" / "src"
    python.write_text(
        f'#!/bin/sh\necho "path: $PYTHONPATH" >>{tmp_path}/calls\n'
        f'PYTHONPATH={packages} exec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    write_example(tmp_path)
    done = run_pytest(tmp_path, LANGFUSE_TEST_PYTHON=str(python))
    assert done.returncode == 0, done.stdout + done.stderr
    assert set((tmp_path / "calls").read_text().splitlines()) == {"path: "}


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedLangfuse]:
    with EmbeddedLangfuse(environment={"EMBEDDED_FAULTS": "none"}) as engine:
        yield engine


def export(server: LangfuseServer, *spans: dict[str, Any]) -> None:
    with httpx.Client(base_url=server.base_url, auth=server.keys.auth) as client:
        send(client, *spans)


def test_a_trace_is_found_by_its_name_that_of_an_observation_or_its_session(server: EmbeddedLangfuse) -> None:
    first, second = trace_id(), trace_id()
    attributes = {"langfuse.trace.name": "order", "session.id": "chat-1"}
    export(server, span(first, "found-by-name", attributes=attributes))
    export(server, span(second, "other", attributes={"session.id": "chat-2"}))
    for wanted in ({"name": "order"}, {"name": "found-by-name"}, {"session_id": "chat-1"}):
        [found] = server.wait_for_trace(**wanted)  # type: ignore[arg-type]
        assert found["traceId"] == first
    with pytest.raises(TraceNotFound, match=r"name 'order' and session_id 'chat-2'(.|\n)*order \("):
        server.wait_for_trace(name="order", session_id="chat-2", seconds=0.1)
    with pytest.raises(TypeError, match="needs trace_id, name or session_id"):
        server.wait_for_trace()


def test_a_score_is_found_by_its_name_and_trace(server: EmbeddedLangfuse) -> None:
    trace, other = trace_id(), trace_id()
    with httpx.Client(base_url=server.base_url, auth=server.keys.auth) as client:
        for where, value in ((trace, 1), (other, 2)):
            client.post("/api/public/scores", json={"traceId": where, "name": "tone", "value": value})
    assert server.wait_for_score(name="tone", trace_id=trace)["value"] == 1
    assert [one["value"] for one in server.scores(name="tone", trace_id=other)] == [2]
    with pytest.raises(ScoreNotFound, match=r"no score with name 'pitch' after 0.1 s(.|\n)*tone \(1\)"):
        server.wait_for_score(name="pitch", seconds=0.1)


def test_requests_fail_during_a_block_and_are_counted(server: EmbeddedLangfuse) -> None:
    with httpx.Client(base_url=server.base_url, auth=server.keys.auth) as client:
        with server.faults("503:x1@/api/public/projects") as hit:
            assert [client.get("/api/public/projects").status_code for _ in range(2)] == [503, 200]
        assert hit == {"503": 1}
        with pytest.raises(ValueError, match="in the block"), server.faults("503:1@/api/public/projects"):
            raise ValueError("in the block")
        assert client.get("/api/public/projects").status_code == 200


def test_a_wait_goes_on_while_the_server_is_busy(server: EmbeddedLangfuse) -> None:
    trace = trace_id()
    export(server, span(trace, "late"))
    with server.faults("503:x2@/api/public/v2/observations") as hit:
        assert server.wait_for_trace(trace)[0]["name"] == "late"
    assert hit == {"503": 2}
    with (
        server.faults("429:1@/api/public/v2/observations"),
        pytest.raises(TraceNotFound, match="answered 429"),
    ):
        server.wait_for_trace(trace, seconds=0.1)


def test_a_server_without_faults_says_so(server: EmbeddedLangfuse) -> None:
    with pytest.raises(LangfuseFailed, match="'teapot:1' is not a fault"), server.faults("teapot:1"):
        pytest.fail("the block was entered")
    with pytest.raises(LangfuseFailed, match="EMBEDDED_ALLOW_RESET=true"):
        server.reset()


def test_prompts_are_created_and_found(server: EmbeddedLangfuse) -> None:
    messages = [{"role": "system", "content": "You are Hermes."}]
    assert server.prompts.create("hermes", messages, labels=["staging"], config={"model": "gpt-4o"}) == 1
    found = server.prompts.get("hermes", label="staging")
    assert (found["type"], found["prompt"][0]["content"], found["config"]) == (
        "chat",
        "You are Hermes.",
        {"model": "gpt-4o"},
    )
    with pytest.raises(KeyError, match="hermes with the label production"):
        server.prompts.get("hermes")


def test_a_tree_shows_observations_whose_parent_never_came() -> None:
    times = {"startTime": "2026-01-15T10:00:00.000Z", "endTime": "2026-01-15T10:00:01.500Z", "traceId": TRACE}
    [trace] = traces_of(
        [
            {**times, "id": "a", "parentObservationId": "lost", "type": "SPAN", "name": "a"},
            {
                **times,
                "id": "b",
                "parentObservationId": "a",
                "type": "GENERATION",
                "name": "b",
                "totalCost": 0.5,
            },
            {**times, "id": "c", "parentObservationId": "a", "type": "EVENT", "name": "c", "endTime": None},
        ]
    )
    assert trace.tree().splitlines() == [
        f"trace {TRACE}: a",
        "└─ SPAN  a  1.50 s",
        "   ├─ GENERATION  b  1.50 s  $0.500000",
        "   └─ EVENT  c",
    ]
    assert trace.cost == 0.5


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
