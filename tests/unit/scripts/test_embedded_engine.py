"""The embedded engine as a background process, with a small program in its place."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.core import host
from scripts.core.errors import EngineDied, EngineError, ProvisioningError, WaitTimeout
from scripts.core.runner import Completed
from scripts.core.waiting import Clock
from scripts.develop.selftest import free_port
from scripts.engines import embedded
from scripts.engines.base import WantedProject
from scripts.engines.embedded import EmbeddedEngine, local_url

from .fakes import FakeRunner, QuietProgress, jumping_clock, layout_in, settings_with

FAKE = "fake_engine"
KOSMOS = WantedProject(
    organization_id="acme",
    organization_name="Acme",
    project_id="kosmos",
    project_name="kosmos",
    public_key="pk-lf-test",
    secret_key="sk-lf-test",
    user_email="admin@acme.example",
    user_name="Admin",
    user_password="test-password",
)


def make_engine(directory: Path, clock: Clock | None = None, **environment: str) -> EmbeddedEngine:
    inherited = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), **environment}
    return EmbeddedEngine(
        layout_in(directory),
        settings_with(LANGFUSE_PORT=str(free_port())),
        inherited,
        FakeRunner(),
        QuietProgress(),
        clock=clock or Clock(),
        module=FAKE,
    )


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EmbeddedEngine]:
    engine = make_engine(tmp_path)
    yield engine
    engine.stop()


def test_it_starts_in_the_background_and_says_where_it_is(engine: EmbeddedEngine) -> None:
    assert engine.start(KOSMOS.init_variables()) is True
    state = engine.state()
    assert (state.running, state.healthy, state.version) == (True, True, "4.59.0")
    assert state.url == f"http://127.0.0.1:{engine.port}"
    assert state.data == (".stack/embedded",)
    assert state.uptime_s is not None
    assert 0 <= state.uptime_s < 60


def test_a_second_start_finds_it_running(engine: EmbeddedEngine) -> None:
    engine.start(KOSMOS.init_variables())
    first = engine.find()
    assert engine.obstacles() == []
    assert engine.start(KOSMOS.init_variables()) is False
    assert engine.find() == first


@pytest.mark.parametrize(
    ("name", "value", "restarts"),
    [
        ("LANGFUSE_MIGRATION_V4_WRITE_MODE", "dual", True),
        ("AUTH_DISABLE_SIGNUP", "false", True),
        # What it does not read, and what makes the first project.
        ("POSTGRES_BACKUP_PASSWORD", "ab" * 24, False),
        ("LANGFUSE_INIT_PROJECT_NAME", "zeus", False),
    ],
)
def test_a_second_start_with_other_settings_restarts_it(
    engine: EmbeddedEngine, name: str, value: str, restarts: bool
) -> None:
    engine.start(KOSMOS.init_variables())
    first = engine.find()
    assert first is not None
    engine.settings = settings_with(LANGFUSE_PORT=str(engine.port), **{name: value})
    assert engine.start(KOSMOS.init_variables()) is restarts
    second = engine.find()
    assert second is not None
    assert (second.pid != first.pid) is restarts
    environment = host.environment_of(second.pid)
    assert environment is not None
    if restarts:
        assert environment[name] == value
        assert engine.start(KOSMOS.init_variables()) is False


def test_a_stop_ends_the_process_and_a_second_stop_has_nothing_to_do(engine: EmbeddedEngine) -> None:
    engine.start(KOSMOS.init_variables())
    process = engine.find()
    assert process is not None
    assert engine.stop() is True
    assert host.command_line(process.pid) == []
    assert engine.stop() is False
    assert engine.state().running is False


def test_an_engine_that_dies_at_start_is_reported_at_once_with_its_last_lines(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, FAKE_ENGINE="die")
    with pytest.raises(EngineDied, match="ended with exit code 1") as caught:
        engine.start(KOSMOS.init_variables())
    assert caught.value.details == ("error: the data was written by a newer version",)
    assert engine.find() is None


def test_lines_of_earlier_starts_are_not_shown_as_the_reason(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, FAKE_ENGINE="die")
    engine.layout.embedded_log.parent.mkdir(parents=True)
    engine.layout.embedded_log.write_text("an old line\n")
    with pytest.raises(EngineDied) as caught:
        engine.start(KOSMOS.init_variables())
    assert "an old line" not in caught.value.details


def test_an_engine_that_does_not_get_ready_is_stopped_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "START_TIMEOUT_S", 1.5)
    engine = make_engine(tmp_path, FAKE_ENGINE="never")
    with pytest.raises(WaitTimeout, match=r"Last seen: (/api/public/ready answers 500|no answer)"):
        engine.start(KOSMOS.init_variables())
    assert engine.find() is None
    assert host.port_state("127.0.0.1", engine.port) is host.PortState.FREE


def test_an_interrupted_start_leaves_nothing_running(tmp_path: Path) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    calm = make_engine(tmp_path)
    interrupted = make_engine(tmp_path, FAKE_ENGINE="never")
    # The first sleep of the wait is interrupted; the sleeps of the stop that follows are real.
    sleeps = iter([interrupt])

    def sleep(seconds: float) -> None:
        next(sleeps, calm.clock.sleep)(seconds)

    interrupted.clock = Clock(sleep=sleep)
    with pytest.raises(KeyboardInterrupt):
        interrupted.start(KOSMOS.init_variables())
    assert interrupted.find() is None
    assert host.port_state("127.0.0.1", interrupted.port) is host.PortState.FREE


def test_a_pid_file_that_names_a_process_of_somebody_else_is_stale(tmp_path: Path) -> None:
    engine = make_engine(tmp_path)
    engine.layout.embedded_dir.mkdir(parents=True)
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        (engine.layout.embedded_dir / "engine.pid").write_text(f"{stranger.pid}\n")
        assert engine.find() is None
        assert engine.stop() is False
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.communicate()


def test_an_engine_on_other_data_is_not_ours(tmp_path: Path) -> None:
    theirs, ours = make_engine(tmp_path / "theirs"), make_engine(tmp_path / "ours")
    (tmp_path / "theirs").mkdir()
    theirs.start(KOSMOS.init_variables())
    try:
        ours.layout.embedded_dir.mkdir(parents=True)
        pid = (theirs.layout.embedded_dir / "engine.pid").read_text()
        (ours.layout.embedded_dir / "engine.pid").write_text(pid)
        assert ours.find() is None
    finally:
        theirs.stop()


@pytest.mark.parametrize("content", ["", "nonsense", "999999999"])
def test_a_damaged_or_dead_pid_file_is_stale(tmp_path: Path, content: str) -> None:
    engine = make_engine(tmp_path)
    engine.layout.embedded_dir.mkdir(parents=True)
    (engine.layout.embedded_dir / "engine.pid").write_text(content)
    assert engine.find() is None


def test_a_taken_port_is_an_obstacle_that_names_its_holder(engine: EmbeddedEngine) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", engine.port))
        holder.listen()
        (obstacle,) = engine.obstacles()
    assert obstacle.reason.startswith(f"Port {engine.port} on 127.0.0.1 is taken by ")
    assert f"(process {os.getpid()})" in obstacle.reason
    proposed = host.other_port("127.0.0.1", engine.port)
    assert obstacle.fix == (
        f"choose another port (echo LANGFUSE_PORT={proposed} >> .env) or stop that, then repeat"
    )


def test_a_port_that_this_user_may_not_open_is_not_called_taken(
    engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "port_state", lambda *_: host.PortState.DENIED)
    monkeypatch.setattr(host, "first_open_port", lambda: 1024)
    (obstacle,) = engine.obstacles()
    assert obstacle.reason == f"This user may not listen on port {engine.port}, only from 1024 on."


def test_an_address_of_another_host_is_named(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "port_state", lambda *_: host.PortState.NO_ADDRESS)
    (obstacle,) = engine.obstacles()
    assert obstacle.reason == "This host has no address 127.0.0.1 (LANGFUSE_BIND_ADDRESS)."


def test_a_full_disk_is_an_obstacle(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "free_bytes", lambda _path: 5 * 2**20)
    (obstacle,) = engine.obstacles()
    assert obstacle.reason == "5 MiB are free where .stack is; the engine needs 256."


def test_a_running_engine_at_another_address_is_an_obstacle(engine: EmbeddedEngine) -> None:
    engine.start(KOSMOS.init_variables())
    old, new = engine.port, free_port()
    engine.settings = settings_with(LANGFUSE_PORT=str(new))
    (obstacle,) = engine.obstacles()
    assert obstacle.reason == (f"The engine runs at 127.0.0.1:{old}, the settings now say 127.0.0.1:{new}.")
    assert obstacle.fix == "stop it first: make down"


def test_provisioning_sends_one_line_a_project_and_no_secret_on_the_command_line(tmp_path: Path) -> None:
    engine = make_engine(tmp_path)
    runner = FakeRunner()
    engine.runner = runner
    engine.provision([KOSMOS])
    data = str(tmp_path / ".stack" / "embedded")
    assert runner.calls == [[sys.executable, "-m", FAKE, "provision", "--data-dir", data]]
    assert json.loads(runner.inputs[0]) == {
        "organizationId": "acme",
        "organizationName": "Acme",
        "projectId": "kosmos",
        "projectName": "kosmos",
        "publicKey": "pk-lf-test",
        "secretKey": "sk-lf-test",
        "user": {"email": "admin@acme.example", "name": "Admin", "password": "test-password"},
    }


def test_failed_provisioning_names_the_projects_and_the_reason(tmp_path: Path) -> None:
    engine = make_engine(tmp_path)
    engine.runner = FakeRunner({"provision": Completed(1, "", "error: disk full\n")})
    with pytest.raises(ProvisioningError, match="could not create kosmos") as caught:
        engine.provision([KOSMOS])
    assert caught.value.details == ("error: disk full",)


def test_only_settings_for_it_reach_the_engine(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, NEXTAUTH_URL="http://stale.example", HTTP_PROXY="http://proxy.example")
    runner = FakeRunner()
    engine.runner = runner
    engine.settings = settings_with(LANGFUSE_PORT="3100", REDIS_AUTH="ab" * 24, SALT="cd" * 16)
    engine.provision([KOSMOS])
    (environment,) = runner.environments
    assert environment is not None
    assert environment["SALT"] == "cd" * 16
    assert environment["NEXTAUTH_URL"] == "http://localhost:3100"
    assert environment["HTTP_PROXY"] == "http://proxy.example"
    assert "REDIS_AUTH" not in environment


def test_a_process_that_cannot_be_ended_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine(tmp_path, clock=jumping_clock())
    sent: list[tuple[int, int]] = []
    argv = ["python", "-m", FAKE, "serve", "--data-dir", str(engine.layout.embedded_dir), "--port", "1"]
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    monkeypatch.setattr(host, "command_line", lambda _pid: argv)
    engine.layout.embedded_dir.mkdir(parents=True)
    (engine.layout.embedded_dir / "engine.pid").write_text("4711")
    with pytest.raises(EngineError, match="Process 4711 survived SIGKILL"):
        engine.stop()
    assert sent == [(4711, 15), (4711, 18), (4711, 9)]


def test_parts_that_a_killed_engine_left_behind_are_ended_before_a_start_and_by_a_stop(
    tmp_path: Path,
) -> None:
    """Parts of an older version did not end with their server; their names are what gives them away."""
    package = tmp_path / "left_engine"
    package.mkdir()
    (package / "part.py").write_text("import signal\n\nsignal.signal(15, signal.SIG_IGN)\nsignal.pause()\n")
    engine = make_engine(tmp_path)
    engine.module = "left_engine"
    data, other = str(engine.layout.embedded_dir), str(tmp_path / "elsewhere")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    mine, strange = (
        subprocess.Popen([sys.executable, "-m", "left_engine.part", directory], env=environment)
        for directory in (f"{data}/state.db", other)
    )
    try:
        assert engine.parts() == [mine.pid]
        assert engine.stop() is False
        assert mine.wait(10) == -9
        assert engine.parts() == []
        assert strange.poll() is None
    finally:
        for process in (mine, strange):
            process.kill()
            process.wait()


def test_destroying_deletes_data_and_logs(engine: EmbeddedEngine) -> None:
    engine.start(KOSMOS.init_variables())
    assert engine.data() == [".stack/embedded", ".stack/logs/embedded.log"]
    engine.destroy()
    assert engine.data() == []
    assert engine.find() is None


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:3000"),
        ("0.0.0.0", "http://127.0.0.1:3000"),  # noqa: S104 - a value, nothing is bound
        ("::", "http://[::1]:3000"),
        ("192.0.2.7", "http://192.0.2.7:3000"),
    ],
)
def test_local_url_can_be_reached_from_this_machine(address: str, url: str) -> None:
    assert local_url(address, 3000) == url
