"""The compose engine: which commands it runs, and what it makes of their answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.core import host
from scripts.core.engines.base import Part
from scripts.core.engines.compose import ComposeEngine
from scripts.core.errors import CommandFailed, EngineError, ProvisioningError
from scripts.core.runner import Completed

from .fakes import FakeRunner, QuietProgress, jumping_clock, layout_in, settings_with
from .test_embedded_engine import KOSMOS

COMPOSE = "docker compose --project-name langfuse-stack"


def row(service: str, state: str = "running", health: str = "healthy", code: int = 0) -> str:
    return json.dumps({"Service": service, "State": state, "Health": health, "ExitCode": code})


def make_engine(directory: Path, runner: FakeRunner, **settings: str) -> ComposeEngine:
    return ComposeEngine(
        layout_in(directory),
        settings_with(**settings),
        {"PATH": "/bin"},
        runner,
        QuietProgress(),
        clock=jumping_clock(),
    )


def test_commands_begin_with_the_stack_its_size_and_its_settings(tmp_path: Path) -> None:
    (tmp_path / "config" / "sizes").mkdir(parents=True)
    (tmp_path / "config" / "sizes" / "ci.env").touch()
    (tmp_path / ".env").touch()
    runner = FakeRunner()
    make_engine(tmp_path, runner, COMPOSE_PROJECT_NAME="zeus", STACK_SIZE="ci").stop()
    assert runner.calls == [
        [
            *("docker", "compose", "--project-name", "zeus"),
            *("--env-file", str(tmp_path / "config" / "sizes" / "ci.env")),
            *("--env-file", str(tmp_path / ".env")),
            *("ps", "--all", "--format", "json"),
        ]
    ]


def test_a_start_waits_for_health_and_carries_the_first_project(tmp_path: Path) -> None:
    runner = FakeRunner()
    assert make_engine(tmp_path, runner).start(KOSMOS.init_variables()) is True
    assert runner.lines() == [
        f"{COMPOSE} ps --all --format json",
        f"{COMPOSE} up --detach --wait --wait-timeout 1800",
    ]
    environment = runner.environments[1]
    assert environment is not None
    assert environment["LANGFUSE_INIT_PROJECT_PUBLIC_KEY"] == "pk-lf-test"
    assert environment["LANGFUSE_PORT"] == "3000"


def test_a_start_of_what_runs_is_told_apart(tmp_path: Path) -> None:
    runner = FakeRunner({"ps --all": Completed(0, row("langfuse-web"))})
    assert make_engine(tmp_path, runner).start({}) is False


def test_a_failed_first_start_shows_the_guilty_service_and_takes_everything_down(tmp_path: Path) -> None:
    started = []

    def ps(_argv: object, _env: object) -> Completed:
        return Completed(0, row("clickhouse", "exited", "", 1) + "\n" + row("valkey") if started else "")

    def up(_argv: object, _env: object) -> Completed:
        started.append(True)
        return Completed(1, "", "container clickhouse exited (1)\n")

    runner = FakeRunner({"ps --all": ps, "up --detach": up, "logs": Completed(0, "Cannot allocate memory\n")})
    with pytest.raises(EngineError, match="The containers did not start") as caught:
        make_engine(tmp_path, runner).start({})
    assert caught.value.details == (
        "container clickhouse exited (1)",
        "clickhouse: exited",
        "  Cannot allocate memory",
    )
    assert f"{COMPOSE} logs --no-log-prefix --tail 10 clickhouse" in runner.lines()
    assert runner.lines()[-1] == f"{COMPOSE} down"


def test_a_failed_restart_leaves_what_ran_before(tmp_path: Path) -> None:
    runner = FakeRunner({"ps --all": Completed(0, row("langfuse-web")), "up --detach": Completed(1, "", "x")})
    with pytest.raises(EngineError):
        make_engine(tmp_path, runner).start({})
    assert f"{COMPOSE} down" not in runner.lines()


def test_an_interrupted_first_start_is_taken_down(tmp_path: Path) -> None:
    def interrupt(_argv: object, _env: object) -> Completed:
        raise KeyboardInterrupt

    runner = FakeRunner({"up --detach": interrupt})
    with pytest.raises(KeyboardInterrupt):
        make_engine(tmp_path, runner).start({})
    assert runner.lines()[-1] == f"{COMPOSE} down"


def test_a_stop_keeps_the_volumes(tmp_path: Path) -> None:
    runner = FakeRunner({"ps --all": Completed(0, row("langfuse-web"))})
    assert make_engine(tmp_path, runner).stop() is True
    assert runner.lines()[-1] == f"{COMPOSE} down"


def test_destroying_deletes_the_volumes(tmp_path: Path) -> None:
    runner = FakeRunner()
    make_engine(tmp_path, runner).destroy()
    assert runner.lines() == [f"{COMPOSE} down --volumes --remove-orphans"]


@pytest.mark.parametrize("verb", ["stop", "destroy"])
def test_stopping_means_services_too_that_the_settings_ask_for_no_longer(tmp_path: Path, verb: str) -> None:
    runner = FakeRunner({"ps --all": Completed(0, row("langfuse-web"))})
    engine = make_engine(tmp_path, runner)
    engine.stop() if verb == "stop" else engine.destroy()
    environment = runner.environments[-1]
    assert environment is not None
    assert environment["COMPOSE_PROFILES"] == "*"


def test_data_are_the_volumes_of_this_stack(tmp_path: Path) -> None:
    runner = FakeRunner({"volume ls": Completed(0, "langfuse-stack_postgres\nlangfuse-stack_s3\n")})
    assert make_engine(tmp_path, runner).data() == [
        "volume langfuse-stack_postgres",
        "volume langfuse-stack_s3",
    ]
    filters = "label=com.docker.compose.project=langfuse-stack"
    assert runner.lines() == [f"docker volume ls --quiet --filter {filters}"]


def test_a_project_is_created_by_a_web_container_that_is_killed_when_healthy(tmp_path: Path) -> None:
    inspected = iter(["running starting", "running starting", "running healthy"])
    runner = FakeRunner(
        {
            "run --detach": Completed(0, "f00d\n"),
            "inspect": lambda _argv, _env: Completed(0, next(inspected)),
        }
    )
    make_engine(tmp_path, runner).provision([KOSMOS])
    created, *looks, removed = runner.calls
    names = [*KOSMOS.init_variables()]
    names += ["LANGFUSE_AUTO_POSTGRES_MIGRATION_DISABLED", "LANGFUSE_AUTO_CLICKHOUSE_MIGRATION_DISABLED"]
    variables = [argument for name in names for argument in ("--env", name)]
    assert created == [*COMPOSE.split(), "run", "--detach", "--no-deps", *variables, "langfuse-web"]
    assert [call[:2] for call in looks] == [["docker", "inspect"]] * 3
    assert removed == ["docker", "rm", "--force", "f00d"]
    environment = runner.environments[0]
    assert environment is not None
    assert environment["LANGFUSE_INIT_PROJECT_SECRET_KEY"] == "sk-lf-test"
    assert environment["LANGFUSE_AUTO_POSTGRES_MIGRATION_DISABLED"] == "true"
    assert not any("sk-lf-test" in argument for call in runner.calls for argument in call)


def test_a_web_container_that_dies_ends_provisioning_with_its_log(tmp_path: Path) -> None:
    runner = FakeRunner(
        {
            "run --detach": Completed(0, "f00d\n"),
            "inspect": Completed(0, "exited "),
            "docker logs": Completed(0, "", "Invalid environment variables\n"),
        }
    )
    with pytest.raises(ProvisioningError, match=r"project kosmos .*the container is exited") as caught:
        make_engine(tmp_path, runner).provision([KOSMOS])
    assert caught.value.details == ("Invalid environment variables",)
    assert runner.lines()[-1] == "docker rm --force f00d"


def test_a_web_container_that_stays_unhealthy_is_removed_at_the_deadline(tmp_path: Path) -> None:
    runner = FakeRunner(
        {"run --detach": Completed(0, "f00d\n"), "inspect": Completed(0, "running unhealthy")}
    )
    with pytest.raises(ProvisioningError, match=r"not within 180 s\. Last seen: running, unhealthy"):
        make_engine(tmp_path, runner).provision([KOSMOS])
    assert runner.lines()[-1] == "docker rm --force f00d"


def test_services_that_are_not_healthy_are_named(tmp_path: Path) -> None:
    rows = [
        row("langfuse-web"),
        row("clickhouse", health="unhealthy"),
        row("langfuse-worker", "restarting", ""),
        row("buckets", "exited", ""),
    ]
    runner = FakeRunner({"ps --all": Completed(0, "\n".join(rows))})
    state = make_engine(tmp_path, runner, LANGFUSE_PORT="1").state()
    assert (state.running, state.healthy) == (True, False)
    assert state.detail == "not healthy: clickhouse, langfuse-worker"
    assert Part("clickhouse", "running", "unhealthy") in state.parts
    assert "buckets" not in {part.name for part in state.parts}


def test_a_stopped_stack_is_not_running(tmp_path: Path) -> None:
    state = make_engine(tmp_path, FakeRunner()).state()
    assert (state.running, state.healthy, state.parts) == (False, False, ())


def test_taken_ports_a_small_disk_and_a_bad_file_are_all_obstacles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "port_is_free", lambda _host, _port: False)
    monkeypatch.setattr(host, "port_holder", lambda port: f"nginx (process {port})")
    monkeypatch.setattr(host, "free_bytes", lambda _path: 3 * 2**30)
    runner = FakeRunner({"config --quiet": Completed(15, "", "services.web must be a mapping\n")})
    reasons = [obstacle.reason for obstacle in make_engine(tmp_path, runner).obstacles()]
    assert reasons == [
        "compose.yaml is not usable: services.web must be a mapping",
        "Port 3000 (LANGFUSE_PORT) is taken by nginx (process 3000).",
        "Port 9090 (S3_PORT) is taken by nginx (process 9090).",
        "3.0 GiB are free; images and data need 10.",
    ]


def test_a_running_stack_has_no_obstacles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "port_is_free", lambda _host, _port: False)
    runner = FakeRunner({"ps --all": Completed(0, row("langfuse-web"))})
    assert make_engine(tmp_path, runner).obstacles() == []


def test_a_compose_command_that_fails_is_shown_with_its_last_lines(tmp_path: Path) -> None:
    runner = FakeRunner({"ps --all": Completed(1, "", "permission denied\n")})
    with pytest.raises(CommandFailed, match="ps --all --format json` failed with exit code 1") as caught:
        make_engine(tmp_path, runner).state()
    assert caught.value.details == ("permission denied",)


@pytest.mark.parametrize(
    ("follow", "service", "end"),
    [(False, "", "logs --tail 20"), (True, "clickhouse", "logs --tail 20 --follow clickhouse")],
)
def test_logs_come_from_compose(tmp_path: Path, follow: bool, service: str, end: str) -> None:
    runner = FakeRunner()
    make_engine(tmp_path, runner).follow_logs(lines=20, follow=follow, service=service)
    assert runner.lines() == [f"{COMPOSE} {end}"]
