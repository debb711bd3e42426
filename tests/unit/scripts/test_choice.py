"""Which engine `make up` takes, and what it asks the machine for that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.core.errors import StackError, UsageError
from scripts.core.runner import Completed
from scripts.docker.availability import Finding, find_engine, find_images, read_images
from scripts.docker.compose import Compose
from scripts.engines.choice import Probes, choose_engine
from scripts.settings.envfile import parse_env
from scripts.settings.table import SETTINGS
from scripts.settings.values import compose_only

from .fakes import FakeRunner, layout_in, settings_with

GOOD_DOCKER, GOOD_IMAGES = Finding(True, "Docker 28 answers"), Finding(True, "all 6 images are here")
NO_DOCKER = Finding(False, "no Docker engine answers", "start Docker")
NO_IMAGES = Finding(False, "3 of 6 images are missing", "load them")


def probes(docker: Finding = GOOD_DOCKER, images: Finding = GOOD_IMAGES) -> tuple[Probes, list[str]]:
    asked: list[str] = []

    def ask(name: str, finding: Finding) -> Finding:
        asked.append(name)
        return finding

    return Probes(lambda: ask("docker", docker), lambda: ask("images", images)), asked


@pytest.mark.parametrize(
    ("wanted", "remembered", "docker", "images", "engine", "reason", "asked"),
    [
        ("", "", GOOD_DOCKER, GOOD_IMAGES, "compose", "all 6 images are here", ["docker", "images"]),
        ("", "", GOOD_DOCKER, NO_IMAGES, "embedded", "3 of 6 images are missing", ["docker", "images"]),
        ("", "", NO_DOCKER, GOOD_IMAGES, "embedded", "no Docker engine answers", ["docker"]),
        ("", "embedded", GOOD_DOCKER, GOOD_IMAGES, "embedded", "the data of this stack is there", []),
        ("", "compose", GOOD_DOCKER, NO_IMAGES, "compose", "the data of this stack is there", ["docker"]),
        ("embedded", "", GOOD_DOCKER, GOOD_IMAGES, "embedded", "ENGINE=embedded", []),
        ("compose", "", GOOD_DOCKER, GOOD_IMAGES, "compose", "ENGINE=compose", ["docker", "images"]),
    ],
)
def test_choice(
    wanted: str, remembered: str, docker: Finding, images: Finding, engine: str, reason: str, asked: list[str]
) -> None:
    given, questions = probes(docker, images)
    choice = choose_engine(wanted, remembered, given)
    assert (choice.engine, choice.reason, choice.warning) == (engine, reason, "")
    assert questions == asked


@pytest.mark.parametrize(
    ("wanted", "remembered", "docker", "images", "message"),
    [
        ("compose", "", NO_DOCKER, GOOD_IMAGES, "ENGINE=compose, but no Docker engine answers."),
        ("compose", "", GOOD_DOCKER, NO_IMAGES, "ENGINE=compose, but 3 of 6 images are missing."),
        ("", "compose", NO_DOCKER, GOOD_IMAGES, "The data of this stack is in the compose engine, but no"),
    ],
)
def test_compose_that_is_required_and_cannot_run_is_an_error_with_the_fix(
    wanted: str, remembered: str, docker: Finding, images: Finding, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        choose_engine(wanted, remembered, probes(docker, images)[0])
    assert caught.value.fix.startswith(("start Docker", "load them"))
    assert "make up ENGINE=embedded" in caught.value.fix


@pytest.mark.parametrize(("docker", "images"), [(NO_DOCKER, GOOD_IMAGES), (GOOD_DOCKER, NO_IMAGES)])
def test_settings_of_a_host_are_no_silent_way_to_the_embedded_engine(
    docker: Finding, images: Finding
) -> None:
    with pytest.raises(UsageError, match="STACK_PROFILES ask for the compose engine, but ") as caught:
        choose_engine("", "", probes(docker, images)[0], ("STACK_PROFILES",))
    assert "make up ENGINE=embedded" in caught.value.fix
    assert choose_engine("embedded", "", probes(docker, images)[0], ("STACK_PROFILES",)).engine == "embedded"
    assert choose_engine("", "", probes()[0], ("STACK_PROFILES",)).engine == "compose"


@pytest.mark.parametrize(
    ("text", "shell", "names"),
    [
        ("STACK_PROFILES=tls\nTLS_DOMAIN=langfuse.acme.example\n", {}, ("STACK_PROFILES", "TLS_DOMAIN")),
        ("DATABASE_URL=postgresql://db.acme.example/x\n", {}, ("DATABASE_URL",)),
        ("STACK_SIZE=ci\nS3_PORT=9190\nCOMPOSE_PROJECT_NAME=zeus\nLANGFUSE_PORT=3100\n", {}, ()),
        ("STACK_PROFILES=\n", {"DATABASE_URL": "postgresql://db.acme.example/x"}, ()),
        ("WORKER_REPLICAS=1\n", {"WORKER_REPLICAS": "3"}, ("WORKER_REPLICAS",)),
        ("WORKER_REPLICAS=1\n", {}, ()),
    ],
)
def test_which_settings_only_the_compose_engine_has(
    text: str, shell: dict[str, str], names: tuple[str, ...]
) -> None:
    assert compose_only(SETTINGS, parse_env(text), shell) == names


def test_a_change_of_engine_says_where_the_data_stays() -> None:
    choice = choose_engine("embedded", "compose", probes()[0])
    assert choice.warning == (
        "data written with the compose engine stays there; ENGINE=compose shows it again"
    )


@pytest.mark.parametrize(
    ("rules", "usable", "reason"),
    [
        ({"docker version": Completed(0, "28.2.2\n")}, True, "Docker 28.2.2 answers"),
        (
            {"docker version": Completed(0, "25.0.0\n"), "docker compose": Completed(0, "v2.25.0\n")},
            True,
            "Docker 25.0.0 answers",
        ),
        (
            {"docker version": Completed(0, "20.10.24+dfsg1\n")},
            False,
            "Docker 20.10.24+dfsg1 is older than 25.0",
        ),
        ({"docker compose": Completed(0, "2.9.0-4\n")}, False, "Docker Compose 2.9.0-4 is older than 2.25"),
        ({"docker version": Completed(1, "", "Cannot connect")}, False, "no Docker engine answers"),
        (
            {
                "docker version": Completed(
                    1, "", "permission denied while trying to connect to the Docker daemon"
                )
            },
            False,
            "this user may not use Docker",
        ),
        (
            {
                "docker version": Completed(0, "5.4.2\n"),
                "docker --version": Completed(0, "podman version 5.4.2\n"),
            },
            False,
            "what answers as Docker is Podman",
        ),
        (
            {
                "docker version": Completed(0, "5.4.2\n"),
                "version --format json": Completed(
                    0, '{"Server": {"Components": [{"Name": "Podman Engine"}]}}'
                ),
            },
            False,
            "what answers as Docker is Podman",
        ),
        ({"docker compose": Completed(1)}, False, "Docker has no compose plugin"),
        ({"docker version": StackError("gone")}, False, "Docker is not installed or does not answer"),
    ],
)
def test_docker_probe(rules: dict[str, Completed | StackError], usable: bool, reason: str) -> None:
    finding = find_engine(FakeRunner(dict(rules)))
    assert (finding.usable, finding.reason) == (usable, reason)


def stack_of(*images: str, built: str = "") -> Completed:
    """What `docker compose config` prints of a stack of these images."""
    services: dict[str, object] = {image: {"image": image} for image in images}
    if built:
        services[built] = {"image": built, "build": {"context": "."}}
    return Completed(0, json.dumps({"services": services}))


def compose_with(runner: FakeRunner) -> Compose:
    """The compose commands of a stack without images.lock."""
    return Compose(layout_in(Path("/nonexistent")), settings_with(), {}, runner)


def test_images_that_are_here_need_no_registry() -> None:
    runner = FakeRunner({"config": stack_of("b:1", "a:1", "b:1")})
    finding = find_images(compose_with(runner))
    assert (finding.usable, finding.reason) == (True, "all 2 images are here")
    assert runner.lines() == [
        "docker compose --project-name langfuse-stack config --format json",
        "docker image inspect a:1",
        "docker image inspect b:1",
    ]


def test_only_absent_images_are_looked_up_in_the_registry() -> None:
    runner = FakeRunner(
        {
            "config": stack_of("a:1", "b:1"),
            "image inspect b:1": Completed(1, "", "No such image"),
        }
    )
    finding = find_images(compose_with(runner))
    assert (finding.usable, finding.reason) == (True, "1 of 2 images can be pulled")
    assert runner.lines()[-1] == "docker manifest inspect b:1"


LIMIT = "toomanyrequests: You have reached your unauthenticated pull rate limit."


@pytest.mark.parametrize(
    ("pull", "said"),
    [
        (StackError("did not end within 10 s"), "the registry did not answer Docker within 10 s"),
        (
            Completed(1, "", f" b Pulling \n b Error {LIMIT}\nError response from daemon: {LIMIT}\n"),
            f"Docker says: {LIMIT}",
        ),
        (Completed(1, "", ""), "Docker failed"),
    ],
)
def test_images_that_neither_this_machine_nor_the_daemon_can_get_are_unavailable(
    pull: Completed | StackError, said: str
) -> None:
    """And the words of the registry are told: a limit is helped by waiting, no network is not."""
    runner = FakeRunner(
        {
            "config": stack_of("a:1", "b:1"),
            "image inspect": Completed(1),
            "manifest inspect": StackError("did not end within 10 s"),
            "pull": pull,
        }
    )
    finding = find_images(compose_with(runner))
    assert not finding.usable
    assert finding.reason == f"2 of 2 images are neither here nor to be pulled (a:1, b:1); {said}"


@pytest.mark.parametrize("said", [" b Pulling \n 4abcf2 Pulling fs layer \n", " b Pulling \n b Pulled \n"])
def test_what_only_the_daemon_can_reach_can_be_pulled(said: str) -> None:
    """It has mirrors and a proxy that a client on this machine knows nothing of."""
    runner = FakeRunner(
        {
            "config": stack_of("a:1", "b:1"),
            "image inspect b:1": Completed(1),
            "manifest inspect": Completed(1, "", "no such host"),
            "pull --policy missing b:1": Completed(0, "", said),
        }
    )
    finding = find_images(compose_with(runner))
    assert (finding.usable, finding.reason) == (True, "1 of 2 images can be pulled by Docker's daemon")


def test_an_image_that_is_built_here_is_in_no_registry() -> None:
    runner = FakeRunner({"config": stack_of("a:1", built="exporter:1"), "image inspect e": Completed(1)})
    assert find_images(compose_with(runner)).usable
    assert read_images(compose_with(runner)).all == ("a:1", "exporter:1")


def test_a_compose_file_that_cannot_be_read_is_no_stack() -> None:
    runner = FakeRunner({"config": Completed(15, "", "services.web must be a mapping\n")})
    finding = find_images(compose_with(runner))
    assert finding.reason == "compose.yaml is not usable: services.web must be a mapping"
