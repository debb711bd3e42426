"""The compose engine starts and stops: which commands it runs, and what it makes of their answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.core.errors import CommandFailed, EngineError
from scripts.core.runner import Completed
from scripts.docker.limits import fitting_cpus

from .compose_fakes import COMPOSE, container, docker_shows, make_engine
from .fakes import Answer, FakeRunner, QuietProgress
from .test_embedded_engine import KOSMOS

PS = (
    "docker ps --all --quiet --no-trunc --filter label=com.docker.compose.project=langfuse-stack "
    "--filter label=com.docker.compose.oneoff=False"
)
VOLUMES = "docker volume ls --quiet --filter label=com.docker.compose.project=langfuse-stack"
TWO_SERVICES = Completed(
    0,
    json.dumps(
        {
            "services": {
                "web": {"deploy": {"resources": {"limits": {"memory": str(2**30)}}}},
                "worker": {"deploy": {"replicas": 2, "resources": {"limits": {"memory": str(2 * 2**30)}}}},
            }
        }
    ),
)
UP = f"{COMPOSE} --ansi never --progress plain up --detach --wait --wait-timeout 1800"


def test_commands_begin_with_the_stack_its_size_and_its_settings(tmp_path: Path) -> None:
    (tmp_path / "config" / "sizes").mkdir(parents=True)
    (tmp_path / "config" / "sizes" / "ci.env").touch()
    (tmp_path / ".env").touch()
    runner = FakeRunner()
    make_engine(tmp_path, runner, COMPOSE_PROJECT_NAME="zeus", STACK_SIZE="ci").destroy()
    assert runner.calls == [
        [
            *("docker", "compose", "--project-name", "zeus"),
            *("--env-file", str(tmp_path / "config" / "sizes" / "ci.env")),
            *("--env-file", str(tmp_path / ".env")),
            *("down", "--timeout", "0", "--volumes", "--remove-orphans"),
        ]
    ]


def test_a_start_waits_for_health_and_carries_the_first_project(tmp_path: Path) -> None:
    runner = FakeRunner()
    assert make_engine(tmp_path, runner).start(KOSMOS.init_variables()) is True
    capacity = "docker info --format {{.NCPU}} {{.MemTotal}}"
    seen = [line for line in runner.lines() if "--format {{.Name" not in line]
    assert seen == [PS, VOLUMES, capacity, f"{COMPOSE} config --format json", UP, PS, PS]
    environment = runner.environments[runner.lines().index(UP)]
    assert environment is not None
    assert environment["LANGFUSE_INIT_PROJECT_PUBLIC_KEY"] == "pk-lf-test"
    assert environment["LANGFUSE_PORT"] == "3000"


def test_a_start_shows_how_every_service_gets_on(tmp_path: Path) -> None:
    progress = QuietProgress()
    rules = docker_shows(container("postgres"), container("clickhouse", health="starting"))
    said = " valkey Pulling \n valkey Pulled \n langfuse-web Pulling \n"
    names = ("clickhouse", "langfuse-web", "postgres", "valkey", "langfuse-worker")
    rules["config --format json"] = Completed(0, json.dumps({"services": {name: {} for name in names}}))
    rules["up --detach"] = Completed(0, "", said)
    engine = make_engine(tmp_path, FakeRunner(rules))
    engine.progress = progress
    engine.start({})
    assert progress.said[:6] == [
        "Starting the containers (the first start takes minutes)",
        "clickhouse: starting",
        "langfuse-web: pulling the image",
        "langfuse-worker: waiting",
        "postgres: healthy",
        "valkey: image pulled",
    ]


@pytest.mark.parametrize(
    ("size", "chosen", "cpus", "lowered"),
    [
        ({"WEB_CPUS": "2", "WORKER_CPUS": "4"}, {}, 2, {"WORKER_CPUS": "2"}),
        ({"WEB_CPUS": "2"}, {"WEB_CPUS": "0.5"}, 1, {}),
        ({"WEB_CPUS": "2"}, {"WEB_CPUS": "8"}, 4, {"WEB_CPUS": "4"}),
        ({"WEB_CPUS": "2"}, {}, 0, {}),
        ({"WEB_MEMORY": "2048m"}, {}, 1, {}),
    ],
)
def test_cpu_limits_are_lowered_to_what_docker_has(
    size: dict[str, str], chosen: dict[str, str], cpus: int, lowered: dict[str, str]
) -> None:
    assert fitting_cpus(size, chosen, cpus) == lowered


def test_a_start_on_a_small_host_says_which_limits_it_lowers(tmp_path: Path) -> None:
    (tmp_path / "config" / "sizes").mkdir(parents=True)
    (tmp_path / "config" / "sizes" / "small.env").write_text("WEB_CPUS=2\nS3_CPUS=1\n")
    runner = FakeRunner({"docker info": Completed(0, f"1 {4 * 2**30}\n"), "config --format": TWO_SERVICES})
    engine = make_engine(tmp_path, runner)
    engine.progress = progress = QuietProgress()
    engine.start({})
    assert progress.said[1].startswith("Docker has 4.0 GiB of memory, the limits add up to 5.0")
    assert progress.said[0] == "Docker has 1 CPUs: as much as that, not more, for WEB_CPUS."
    [up] = [
        environment
        for line, environment in zip(runner.lines(), runner.environments, strict=True)
        if "up --detach" in line
    ]
    assert up is not None
    assert up["WEB_CPUS"] == "1"


def test_a_start_of_what_runs_is_told_apart(tmp_path: Path) -> None:
    runner = FakeRunner(docker_shows(container("langfuse-web")))
    assert make_engine(tmp_path, runner).start({}) is False


def failing_start(
    directory: Path, *containers: dict[str, Any], **answers: Completed
) -> tuple[FakeRunner, Any]:
    """Start a stack that is empty before, and has these containers once compose is at work."""
    started: list[bool] = []

    def ps(_argv: object, _env: object) -> Completed:
        return Completed(0, "\n".join(one["Id"] for one in containers) if started else "")

    def up(_argv: object, _env: object) -> Completed:
        started.append(True)
        return answers.get("up", Completed(1, "", "dependency failed to start\n"))

    rules: dict[str, Answer] = {**docker_shows(*containers), "docker ps": ps, "up --detach": up}
    if "log" in answers:
        rules["docker logs"] = answers["log"]
    runner = FakeRunner(rules)
    with pytest.raises(EngineError) as caught:
        make_engine(directory, runner).start({})
    return runner, caught.value


def test_a_failed_first_start_shows_the_guilty_service_and_takes_everything_down(tmp_path: Path) -> None:
    runner, error = failing_start(
        tmp_path,
        container("clickhouse", "exited", "", code=137, OOMKilled=True),
        container("valkey"),
        container("langfuse-web", "created", ""),
        log=Completed(0, "Loading tables\n", "Cannot allocate memory\n"),
    )
    assert error.message == "The containers did not start: clickhouse failed."
    assert error.details == (
        "clickhouse: exited with code 137, out of memory",
        "  | Loading tables",
        "  | Cannot allocate memory",
    )
    assert error.fix == "raise CLICKHOUSE_MEMORY in .env, or choose a larger STACK_SIZE."
    assert "docker logs --tail 15 clickhouse-id" in runner.lines()
    assert runner.lines()[-2:] == [f"{COMPOSE} down", VOLUMES]


def test_an_unhealthy_service_is_shown_with_what_its_check_said(tmp_path: Path) -> None:
    _, error = failing_start(tmp_path, container("valkey", health="unhealthy", probe="NOAUTH required.\n"))
    assert error.details == ("valkey: unhealthy", "  health check: NOAUTH required.")
    assert error.fix.endswith("More: make logs SERVICE=valkey")


def test_a_processor_that_is_too_old_for_an_image_is_said(tmp_path: Path) -> None:
    _, error = failing_start(tmp_path, container("clickhouse", "restarting", "", code=132, restarts=3))
    assert "clickhouse ended with 132, illegal instruction" in error.fix
    assert "processor type" in error.fix


def test_a_database_that_keeps_another_password_ends_the_wait(tmp_path: Path) -> None:
    refused = container(
        "postgres", health="starting", probe="FATAL:  password authentication failed for user langfuse"
    )
    _, error = failing_start(tmp_path, refused, up=Completed(0))
    assert error.message == "The containers did not start: postgres failed."
    assert "it was created with" in error.fix


def test_a_container_that_crashes_again_and_again_ends_the_wait(tmp_path: Path) -> None:
    # Compose itself would wait for its health until the deadline.
    looping = container("langfuse-web", "restarting", "starting", code=1, restarts=3)
    _, error = failing_start(tmp_path, looping, up=Completed(0))
    assert error.details == ("langfuse-web: restarting with code 1, restarted 3 times",)


def test_what_compose_says_is_shown_where_no_container_is_guilty(tmp_path: Path) -> None:
    said = "Pulling\nfailed to resolve reference: no such host\n"
    _, error = failing_start(tmp_path, up=Completed(1, "", said))
    assert error.details == ("Pulling", "failed to resolve reference: no such host")
    assert "make images-load FILE=" in error.fix


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available", "this host has 2.00 CPUs"),
        ("error setting rlimit type 7: operation not permitted", "open 262144 files"),
        ("Bind for 127.0.0.1:3000 failed: port is already allocated", "stop what holds that port"),
        ("write /var/lib: no space left on device", "free disk space"),
        ("mkdir /data/x: Permission denied", "belongs to another user"),
    ],
)
def test_known_complaints_come_with_a_remedy(tmp_path: Path, said: str, fix: str) -> None:
    refused = container("postgres", "created", "", Error=said)
    _, error = failing_start(tmp_path, refused)
    assert error.details[1] == f"  docker: {said}"
    assert fix in error.fix


@pytest.mark.parametrize(
    ("service", "said", "fix"),
    [
        ("postgres", 'FATAL:  password authentication failed for user "langfuse"', "put that one back"),
        ("langfuse-web", "Error: P1000: Authentication failed against database server", "put that one back"),
        ("langfuse-web", "dial tcp: lookup ch.acme.example: no such host", "compare DATABASE_URL"),
        ("langfuse-web", "dial tcp 192.0.2.7:9000: i/o timeout", "compare DATABASE_URL"),
        ("langfuse-worker", "getaddrinfo ENOTFOUND redis.acme.example", "compare DATABASE_URL"),
        ("clickhouse", "Suspiciously many (12) broken parts to remove", "see 'broken parts' in"),
        ("langfuse-web", "Error: P3009 migrate found failed migrations", "make repair-migration"),
        ("langfuse-web", "error: Dirty database version 46. Fix and force it.", "make repair-migration"),
        (
            "valkey",
            "Bad file format reading the append only file incr.aof",
            "make repair-queues, then make up",
        ),
        ("seaweedfs", "lookup master: no such host", "correct what the lines above name"),
        ("valkey", "open /data/appendonly: Permission denied", "belongs to another user"),
    ],
)
def test_what_a_program_complains_of_is_not_taken_for_a_complaint_of_docker(
    tmp_path: Path, service: str, said: str, fix: str
) -> None:
    ended = container(service, "exited", "", code=1)
    compose = Completed(1, "", f"dependency failed to start: container {service} exited (1)")
    _, error = failing_start(tmp_path, ended, up=compose, log=Completed(0, said, ""))
    assert f"  | {said}" in error.details
    assert fix in error.fix
    assert "registry" not in error.fix


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ('exec failed: exec: "wget": executable file not found in $PATH: unknown', "its image has no wget"),
        ("Error: in 18+, these Docker images are configured to store", "mount the volume at"),
    ],
)
def test_an_image_of_another_layout_is_explained(tmp_path: Path, said: str, fix: str) -> None:
    _, error = failing_start(tmp_path, container("postgres", health="unhealthy", probe=said))
    assert fix in error.fix


def test_what_lay_there_broken_before_is_not_blamed_before_it_was_started(tmp_path: Path) -> None:
    runner = FakeRunner(docker_shows(container("postgres", "exited", "", code=137)))
    assert make_engine(tmp_path, runner).start({}) is True


def test_a_failed_restart_leaves_what_ran_before(tmp_path: Path) -> None:
    rules = docker_shows(container("langfuse-web"))
    runner = FakeRunner({**rules, "up --detach": Completed(1, "", "x")})
    with pytest.raises(EngineError):
        make_engine(tmp_path, runner).start({})
    assert f"{COMPOSE} down" not in runner.lines()


def test_an_interrupted_first_start_is_taken_down(tmp_path: Path) -> None:
    def interrupt(_argv: object, _env: object) -> Completed:
        raise KeyboardInterrupt

    runner = FakeRunner({"up --detach": interrupt})
    with pytest.raises(KeyboardInterrupt):
        make_engine(tmp_path, runner).start({})
    assert runner.lines()[-2:] == [f"{COMPOSE} down", VOLUMES]


@pytest.mark.parametrize(("health", "removed"), [("starting", True), ("healthy", False)])
def test_volumes_that_a_failed_start_has_made_go_unless_web_took_requests(
    tmp_path: Path, health: str, removed: bool
) -> None:
    listed = iter(["stack_s3\n", "stack_postgres\nstack_s3\n"])
    started: list[bool] = []

    def ps(_argv: object, _env: object) -> Completed:
        return Completed(0, "langfuse-web-id" if started else "")

    def interrupt(_argv: object, _env: object) -> Completed:
        started.append(True)
        raise KeyboardInterrupt

    rules: dict[str, Answer] = {**docker_shows(container("langfuse-web", health=health)), "docker ps": ps}
    rules["volume ls --quiet"] = lambda _argv, _env: Completed(0, next(listed))
    runner = FakeRunner({**rules, "up --detach": interrupt})
    with pytest.raises(KeyboardInterrupt):
        make_engine(tmp_path, runner).start({})
    assert ("docker volume rm stack_postgres" in runner.lines()) is removed
    assert not any("stack_s3" in line for line in runner.lines())


def test_a_stop_keeps_the_volumes(tmp_path: Path) -> None:
    runner = FakeRunner(docker_shows(container("langfuse-web")))
    assert make_engine(tmp_path, runner).stop() is True
    assert runner.lines()[-1] == f"{COMPOSE} down"


def test_destroying_deletes_the_volumes(tmp_path: Path) -> None:
    runner = FakeRunner()
    make_engine(tmp_path, runner).destroy()
    assert runner.lines() == [f"{COMPOSE} down --timeout 0 --volumes --remove-orphans"]


@pytest.mark.parametrize("command", ["stop", "destroy"])
def test_stopping_means_services_too_that_the_settings_ask_for_no_longer(
    tmp_path: Path, command: str
) -> None:
    runner = FakeRunner(docker_shows(container("langfuse-web")))
    engine = make_engine(tmp_path, runner)
    engine.stop() if command == "stop" else engine.destroy()
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


def test_a_start_after_a_killed_restore_is_refused(tmp_path: Path) -> None:
    runner = FakeRunner(docker_shows(container("langfuse-web")))
    engine = make_engine(tmp_path, runner)
    assert engine.obstacles() == []
    engine.layout.restore_dir.mkdir(parents=True)
    engine.layout.restore_journal.write_text("[]")
    (obstacle,) = engine.obstacles()
    assert "A restore was interrupted" in obstacle.reason
    assert "make restore" in obstacle.fix


def test_a_compose_command_that_fails_is_shown_with_its_last_lines(tmp_path: Path) -> None:
    runner = FakeRunner({"docker ps": Completed(1, "", "permission denied\n")})
    with pytest.raises(CommandFailed, match="oneoff=False` failed with exit code 1") as caught:
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
