"""The compose engine: which commands it runs, and what it makes of their answers."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scripts.api.client import Api
from scripts.core import host
from scripts.core.errors import CommandFailed, EngineError, ProvisioningError
from scripts.core.runner import Completed
from scripts.docker.containers import parse_bytes
from scripts.docker.limits import fitting_cpus
from scripts.engines.base import Obstacle, Part, WantedMember
from scripts.engines.compose import ComposeEngine, other_port_fix
from scripts.settings.envfile import parse_env, read_env
from scripts.settings.table import SETTINGS
from scripts.settings.values import Settings, load_settings

from .fakes import Answer, FakeRunner, QuietProgress, jumping_clock, layout_in, settings_with
from .test_embedded_engine import KOSMOS

COMPOSE = "docker compose --project-name langfuse-stack"


def container(service: str, state: str = "running", health: str = "healthy", **more: Any) -> dict[str, Any]:
    """What `docker inspect` prints of a container; `more` goes into its State."""
    probe = [{"Output": more.pop("probe")}] if "probe" in more else []
    number = more.pop("number", 1)
    labels = {"com.docker.compose.service": service, "com.docker.compose.container-number": str(number)}
    return {
        "Id": f"{service}-id" if number == 1 else f"{service}-id{number}",
        "RestartCount": more.pop("restarts", 0),
        "Config": {"Labels": labels},
        "HostConfig": {"Memory": more.pop("memory", 0)},
        "NetworkSettings": {"Ports": more.pop("ports", {})},
        "State": {
            "Status": state,
            "Health": {"Status": health, "Log": probe} if health else None,
            "StartedAt": "2026-11-21T08:00:00.123456789Z",
            "ExitCode": more.pop("code", 0),
            **more,
        },
    }


INFO = Completed(
    0, json.dumps({"DockerRootDir": "/var/lib/docker", "ID": "zeus", "SecurityOptions": ["name=seccomp"]})
)
DOCKER_HERE: dict[str, Answer] = {
    "docker info --format json": INFO,
    "docker context inspect": Completed(0, "unix:///var/run/docker.sock\n"),
}


def docker_shows(*containers: dict[str, Any]) -> dict[str, Answer]:
    """Rules of a FakeRunner for an engine that has these containers."""
    ids = "\n".join(one["Id"] for one in containers)
    return {"docker ps": Completed(0, ids), "docker inspect": Completed(0, json.dumps(containers))}


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
    make_engine(tmp_path, runner, COMPOSE_PROJECT_NAME="zeus", STACK_SIZE="ci").destroy()
    assert runner.calls == [
        [
            *("docker", "compose", "--project-name", "zeus"),
            *("--env-file", str(tmp_path / "config" / "sizes" / "ci.env")),
            *("--env-file", str(tmp_path / ".env")),
            *("down", "--timeout", "0", "--volumes", "--remove-orphans"),
        ]
    ]


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


def test_a_project_is_created_by_a_web_container_that_is_killed_when_healthy(tmp_path: Path) -> None:
    inspected = iter(["running starting", "running starting", "running healthy"])
    runner = FakeRunner(
        {
            "run --detach": Completed(0, "f00d\n"),
            "inspect": lambda _argv, _env: Completed(0, next(inspected)),
        }
    )
    make_engine(tmp_path, runner).provision([KOSMOS])
    _cpus, created, *looks, removed = runner.calls
    names = [*KOSMOS.init_variables()]
    names += ["LANGFUSE_AUTO_POSTGRES_MIGRATION_DISABLED", "LANGFUSE_AUTO_CLICKHOUSE_MIGRATION_DISABLED"]
    variables = [argument for name in names for argument in ("--env", name)]
    assert created == [*COMPOSE.split(), "run", "--detach", "--no-deps", *variables, "langfuse-web"]
    assert [call[:2] for call in looks] == [["docker", "inspect"]] * 3
    assert removed == ["docker", "rm", "--force", "f00d"]
    environment = runner.environments[1]
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


HERMES = WantedMember("acme", "Acme", "hermes@acme.example", "It's \\ Hermes", "MEMBER", "obviously-fake")


def test_members_are_listed_and_made_in_the_database_without_a_password_among_the_arguments(
    tmp_path: Path,
) -> None:
    listed = '["acme", "admin@acme.example", "OWNER"]\n["zeus", "hermes@acme.example", "VIEWER"]\n'
    listed += '["acme", "Acme"]\n'
    runner = FakeRunner({"exec -T postgres": Completed(0, listed)})
    engine = make_engine(tmp_path, runner)
    tenancy = engine.tenancy()
    assert tenancy is not None
    assert tenancy.projects is None
    assert tenancy.members == {
        ("acme", "admin@acme.example"): "OWNER",
        ("zeus", "hermes@acme.example"): "VIEWER",
    }
    assert tenancy.organizations == {"acme": "Acme"}
    engine.set_organization("acme", "Acme's")
    assert "\\set name 'Acme\\'s'\nupdate organizations" in runner.inputs[-1]
    engine.set_members([HERMES])
    assert not [line for line in runner.lines() if HERMES.password in line]
    said = runner.inputs[-1]
    assert f"\\set password '{HERMES.password}'\n" in said
    assert "\\set name 'It\\'s \\\\ Hermes'\n" in said
    assert (said.count("begin;"), said.count("commit;")) == (1, 1)


def test_members_of_an_external_database_are_left_to_the_user_interface(tmp_path: Path) -> None:
    runner = FakeRunner()
    engine = make_engine(tmp_path, runner)
    external = Settings({**engine.settings.values, "DATABASE_URL": "postgresql://a:b@db.acme.example/x"})
    engine = replace(engine, settings=external)
    assert engine.tenancy() is None
    with pytest.raises(ProvisioningError, match="not one of this stack"):
        engine.set_members([HERMES])
    with pytest.raises(ProvisioningError, match="acme cannot be renamed from here"):
        engine.set_organization("acme", "Acme")
    assert runner.calls == []


def test_a_member_with_a_line_end_is_refused_before_psql_reads_it(tmp_path: Path) -> None:
    runner = FakeRunner()
    with pytest.raises(ProvisioningError, match="password has more than one line"):
        make_engine(tmp_path, runner).set_members([replace(HERMES, password="a\n\\! id")])
    assert runner.calls == []


def test_a_key_is_revoked_in_the_database_and_the_servers_cache_is_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emptied: list[str] = []
    monkeypatch.setattr(Api, "forget_rejected_keys", lambda api, _key: emptied.append(api.base_url))
    runner = FakeRunner()
    engine = make_engine(tmp_path, runner)
    engine.revoke(["pk-lf-test-1", "pk-lf-test-2"])
    (call,) = runner.calls
    assert call[: len(COMPOSE.split()) + 5] == [*COMPOSE.split(), "exec", "-T", "postgres", "sh", "-c"]
    assert 'PGPASSWORD="$POSTGRES_PASSWORD" exec psql' in call[-2]
    assert call[-1] == "DELETE FROM api_keys WHERE public_key IN ('pk-lf-test-1', 'pk-lf-test-2');"
    assert emptied == [engine.local_url]


def test_what_is_no_key_never_gets_into_a_statement(tmp_path: Path) -> None:
    runner = FakeRunner()
    make_engine(tmp_path, runner).revoke(["pk-lf-x'); DROP TABLE api_keys; --"])
    assert runner.calls == []


def test_with_a_database_of_ones_own_the_statement_is_named(tmp_path: Path) -> None:
    runner = FakeRunner()
    engine = make_engine(tmp_path, runner)
    # Such a setting counts in the file only.
    written = parse_env("DATABASE_URL=postgresql://langfuse@db.acme.example/langfuse\n")
    own = load_settings(SETTINGS, written, engine.settings.values)
    with pytest.raises(ProvisioningError, match="the database is not one of this stack") as caught:
        replace(engine, settings=own).revoke(["pk-lf-test-1"])
    assert caught.value.fix.endswith(": DELETE FROM api_keys WHERE public_key IN ('pk-lf-test-1');")
    assert runner.calls == []


def test_services_that_are_not_healthy_are_named(tmp_path: Path) -> None:
    runner = FakeRunner(
        docker_shows(
            container("langfuse-web"),
            container("clickhouse", health="unhealthy"),
            container("langfuse-worker", "restarting", ""),
            container("buckets", "exited", ""),
        )
    )
    state = make_engine(tmp_path, runner, LANGFUSE_PORT="1").state()
    assert (state.running, state.healthy) == (True, False)
    assert state.detail == "not healthy: clickhouse, langfuse-worker"
    assert "buckets" not in {part.name for part in state.parts}


def test_a_service_that_somebody_has_stopped_is_named_although_it_ended_well(tmp_path: Path) -> None:
    stopped = container("langfuse-worker", "exited", "")
    stopped["HostConfig"]["RestartPolicy"] = {"Name": "unless-stopped"}
    runner = FakeRunner(docker_shows(container("langfuse-web"), stopped))
    engine = make_engine(tmp_path, runner, LANGFUSE_PORT="1")
    state = engine.state()
    assert (state.healthy, state.detail) == (False, "not healthy: langfuse-worker")
    engine.layout.stack_dir.mkdir(exist_ok=True)
    engine.layout.resting_worker_file.write_text('{"process": 2147483647, "since": "02:05"}')
    assert engine.state().detail == (
        "not healthy: langfuse-worker; a command that was killed has stopped langfuse-worker at 02:05: "
        "make up starts it"
    )


def test_a_start_after_a_killed_restore_is_refused(tmp_path: Path) -> None:
    runner = FakeRunner(docker_shows(container("langfuse-web")))
    engine = make_engine(tmp_path, runner)
    assert engine.obstacles() == []
    engine.layout.restore_dir.mkdir(parents=True)
    engine.layout.restore_journal.write_text("[]")
    (obstacle,) = engine.obstacles()
    assert "A restore did not get to its end" in obstacle.reason
    assert "make restore" in obstacle.fix


@pytest.mark.parametrize(
    ("mode", "networks", "healthy"),
    [
        ("langfuse-stack_stores", {}, False),
        ("langfuse-stack_stores", {"langfuse-stack_stores": {}}, True),
        ("container:4711", {}, True),
    ],
)
def test_a_service_that_is_on_no_network_is_named_although_its_own_check_is_content(
    tmp_path: Path, mode: str, networks: dict[str, Any], healthy: bool
) -> None:
    alone = container("valkey")
    alone["HostConfig"]["NetworkMode"] = mode
    alone["NetworkSettings"]["Networks"] = networks
    runner = FakeRunner(docker_shows(alone))
    state = make_engine(tmp_path, runner, LANGFUSE_PORT="1").state()
    assert ("valkey" in state.detail) is not healthy
    assert state.parts[0].health == ("healthy" if healthy else "cut off the network")


def test_each_replica_is_a_part(tmp_path: Path) -> None:
    runner = FakeRunner(
        docker_shows(
            container("langfuse-web"),
            container("langfuse-worker", number=2, health="unhealthy"),
            container("langfuse-worker"),
        )
    )
    state = make_engine(tmp_path, runner, LANGFUSE_PORT="1").state()
    assert [part.name for part in state.parts] == ["langfuse-web", "langfuse-worker", "langfuse-worker-2"]
    assert state.detail == "not healthy: langfuse-worker-2"


def test_a_part_says_since_when_it_runs_what_it_may_use_and_where_it_is_reached(tmp_path: Path) -> None:
    ports = {"9333/tcp": None, "8333/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9090"}]}
    shown = container("seaweedfs", restarts=2, memory=2**30, ports=ports)
    state = make_engine(tmp_path, FakeRunner(docker_shows(shown)), LANGFUSE_PORT="1").state()
    assert state.parts == (
        Part(
            "seaweedfs",
            "running",
            "healthy",
            restarts=2,
            started=datetime(2026, 11, 21, 8, tzinfo=UTC),
            memory_limit_bytes=2**30,
            ports=("127.0.0.1:9090->8333",),
        ),
    )


def test_memory_is_what_docker_measures_of_running_containers(tmp_path: Path) -> None:
    rules = docker_shows(container("valkey"), container("buckets", "exited", ""))
    rules["docker stats"] = Completed(0, "valkey-id\t13.5MiB / 768MiB\nstranger\t1GiB / 2GiB\n")
    runner = FakeRunner(rules)
    assert make_engine(tmp_path, runner).memory() == {"valkey": round(13.5 * 2**20)}
    assert runner.calls[-1][-1] == "valkey-id"


@pytest.mark.parametrize(
    ("text", "size"),
    [("0B", 0), ("1.5GiB", 3 * 2**29), ("12kB", 12_000), ("many", None), ("5 parsecs", None)],
)
def test_sizes_are_read_as_docker_prints_them(text: str, size: int | None) -> None:
    assert parse_bytes(text) == size


def test_a_stopped_stack_is_not_running(tmp_path: Path) -> None:
    state = make_engine(tmp_path, FakeRunner()).state()
    assert (state.running, state.healthy, state.parts) == (False, False, ())


def test_taken_ports_a_small_disk_and_a_bad_file_are_all_obstacles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "port_state", lambda _host, _port: host.PortState.TAKEN)
    monkeypatch.setattr(host, "port_holder", lambda port: f"nginx (process {port})")
    monkeypatch.setattr(host, "free_bytes", lambda _path: 3 * 2**30)
    rules: dict[str, Answer] = {"config --quiet": Completed(15, "", "services.web must be a mapping\n")}
    runner = FakeRunner({**rules, **DOCKER_HERE})
    reasons = [obstacle.reason for obstacle in make_engine(tmp_path, runner).obstacles()]
    assert reasons == [
        "compose.yaml is not usable: services.web must be a mapping",
        "Port 3000 (LANGFUSE_PORT) is taken by nginx (process 3000).",
        "Port 9090 (S3_PORT) is taken by nginx (process 9090).",
        "3.0 GiB are free where Docker keeps images and data (/var/lib/docker); they need 10.",
    ]


def obstacles_of_ports(
    directory: Path, state: host.PortState, rules: dict[str, Answer] | None = None, **settings: str
) -> list[Obstacle]:
    """Return what stands in the way where every port is in that state for this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "port_state", lambda _host, _port: state)
        patch.setattr(host, "free_bytes", lambda _path: 2**40)
        runner = FakeRunner({**DOCKER_HERE, **(rules or {})})
        return list(make_engine(directory, runner, **settings).obstacles())


HTTPS = {"STACK_PROFILES": "tls", "TLS_DOMAIN": "langfuse.acme.example", "S3_DOMAIN": "s3.acme.example"}


def test_a_port_that_only_root_may_open_is_no_obstacle_for_docker(tmp_path: Path) -> None:
    assert obstacles_of_ports(tmp_path, host.PortState.DENIED, **HTTPS) == []


def test_an_address_that_the_host_does_not_have_is_named_with_its_setting(tmp_path: Path) -> None:
    found = obstacles_of_ports(tmp_path, host.PortState.NO_ADDRESS, **HTTPS, TLS_BIND_ADDRESS="198.51.100.7")
    assert [one.reason for one in found if "HTTPS_PORT" in one.reason] == [
        "This host has no address 198.51.100.7 (TLS_BIND_ADDRESS), so HTTPS_PORT cannot be opened on it."
    ]


def test_ports_of_this_machine_say_nothing_about_a_docker_elsewhere(tmp_path: Path) -> None:
    remote: dict[str, Answer] = {"docker context inspect": Completed(0, "ssh://athena.acme.example\n")}
    assert obstacles_of_ports(tmp_path, host.PortState.TAKEN, remote) == []


def test_a_port_of_another_container_is_taken_also_where_no_process_listens(tmp_path: Path) -> None:
    listed = "acme-web-1\t0.0.0.0:9090->80/tcp, [::]:9090->80/tcp\nzeus-web-1\t192.0.2.1:3000->80/tcp\n"
    found = obstacles_of_ports(tmp_path, host.PortState.FREE, {"docker ps --format": Completed(0, listed)})
    assert [one.reason for one in found] == ["Port 9090 (S3_PORT) is taken by container acme-web-1."]


def test_rootless_docker_may_not_open_low_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "first_open_port", lambda: 1024)
    info = {**json.loads(INFO.stdout), "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"]}
    rootless: dict[str, Answer] = {"docker info --format json": Completed(0, json.dumps(info))}
    found = obstacles_of_ports(tmp_path, host.PortState.DENIED, rootless, **HTTPS)
    assert [one.reason.partition(",")[0] for one in found] == [
        "Port 443 (HTTPS_PORT) cannot be opened by rootless Docker",
        "Port 80 (HTTP_PORT) cannot be opened by rootless Docker",
    ]
    assert "ip_unprivileged_port_start=443" in found[0].fix


def test_the_docker_of_a_snap_sees_files_below_home_only(tmp_path: Path) -> None:
    info = {**json.loads(INFO.stdout), "DockerRootDir": "/var/snap/docker/common/var-lib-docker"}
    snap: dict[str, Answer] = {"docker info --format json": Completed(0, json.dumps(info))}
    (found,) = obstacles_of_ports(tmp_path, host.PortState.FREE, snap)
    assert found.reason == f"Docker is a snap here, which cannot see {tmp_path}."


@pytest.mark.parametrize(
    ("before", "command"),
    [
        (None, "echo LANGFUSE_PORT=3100 >> .env"),
        ("LANGFUSE_PORT=3000\n", "sed"),
        ("  export LANGFUSE_PORT = 3000\nS3_PORT=9090\n", "sed"),
    ],
)
def test_another_port_that_is_advised_holds_for_every_later_command(
    tmp_path: Path, before: str | None, command: str
) -> None:
    directory = tmp_path / "a path with # and %"
    directory.mkdir()
    if before:
        (directory / ".env").write_text(before)
    layout = layout_in(directory)
    fix = other_port_fix(layout, {"LANGFUSE_PORT": "3000"}, "LANGFUSE_PORT", "127.0.0.1", 3000)
    advised = fix.removeprefix("choose another port (").removesuffix(") or stop that, then repeat")
    assert command in advised
    environment = {"PATH": os.environ["PATH"], "LANGFUSE_PORT": "3000"}
    script = f'{advised}\nprintf %s "$LANGFUSE_PORT"'
    said = subprocess.run(
        ["sh", "-ec", script], cwd=directory, env=environment, capture_output=True, check=True
    )
    assert said.stdout == b""
    port = read_env(layout.env_file).values()["LANGFUSE_PORT"]
    assert host.port_state("127.0.0.1", int(port)) is host.PortState.FREE
    assert port != "3000"


@pytest.mark.parametrize(
    ("stores", "missing"),
    [
        ("", []),
        ("clickhouse postgres s3 valkey caddy", []),
        ("clickhouse postgres s3", ["valkey"]),
        ("caddy", []),
    ],
)
def test_a_store_without_its_volume_is_an_obstacle_when_others_have_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stores: str, missing: list[str]
) -> None:
    monkeypatch.setattr(host, "port_state", lambda _host, _port: host.PortState.FREE)
    monkeypatch.setattr(host, "free_bytes", lambda _path: 2**40)
    listed = "\n".join(f"langfuse-stack_{store}" for store in stores.split())
    obstacles = make_engine(tmp_path, FakeRunner({"docker volume": Completed(0, listed)})).obstacles()
    assert [obstacle.reason for obstacle in obstacles] == [
        f"Volume langfuse-stack_{store} is missing, while others of this stack are there."
        for store in missing
    ]
    assert all(obstacle.fix.endswith("langfuse-stack_valkey") for obstacle in obstacles)


def test_a_store_of_ones_own_needs_no_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "port_state", lambda _host, _port: host.PortState.FREE)
    monkeypatch.setattr(host, "free_bytes", lambda _path: 2**40)
    listed = "\n".join(f"langfuse-stack_{store}" for store in ("clickhouse", "postgres", "s3"))
    engine = make_engine(tmp_path, FakeRunner({"docker volume": Completed(0, listed)}))
    # Such a setting counts in the file only.
    written = parse_env("REDIS_HOST=redis.acme.example\nREDIS_AUTH=obviously-fake\n")
    own = load_settings(SETTINGS, written, engine.settings.values)
    assert replace(engine, settings=own).obstacles() == []


def test_a_running_stack_has_no_obstacles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "port_state", lambda _host, _port: host.PortState.TAKEN)
    runner = FakeRunner(docker_shows(container("langfuse-web")))
    assert make_engine(tmp_path, runner).obstacles() == []


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
