"""One adapter for Docker: only it starts the program, and what it makes comes from locked images."""

from __future__ import annotations

import ast
import inspect
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.core.runner import Completed
from scripts.docker.compose import Compose
from scripts.docker.images_lock import Locked, lock_text
from scripts.engines.base import WantedProject
from scripts.engines.compose import ComposeEngine
from scripts.settings.envfile import parse_env
from scripts.settings.table import SETTINGS
from scripts.settings.values import load_settings

from .fakes import FakeRunner, QuietProgress, layout_in, settings_with

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
IMAGE = "docker.io/langfuse/langfuse:4.59.0"
DIGEST, ID = (f"sha256:{letter * 64}" for letter in "ab")
# What makes containers, and what fetches their images: see docker compose --help.
MAKING = {"up", "run", "create", "scale", "watch", "pull"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SCRIPTS.rglob("*.py")):
        yield str(path.relative_to(SCRIPTS)), ast.parse(path.read_text(encoding="utf-8"))


def first_words(tree: ast.Module) -> Iterator[str]:
    """Yield what could be the first word of a command: of a list, an argument, a constant of the module."""
    nodes: list[ast.expr] = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    for node in ast.walk(tree):
        if isinstance(node, ast.List | ast.Tuple):
            nodes += node.elts[:1]
        elif isinstance(node, ast.Call):
            nodes += [*node.args, *(keyword.value for keyword in node.keywords)]
            if isinstance(node.func, ast.Attribute) and node.func.attr == "split":
                nodes += [ast.Constant(words[0]) for words in [text_of(node.func.value).split()] if words]
    yield from map(text_of, nodes)


def text_of(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def test_the_docker_program_is_started_in_one_module() -> None:
    assert {name for name, tree in modules() if "docker" in first_words(tree)} == {"docker/client.py"}


@pytest.mark.parametrize(
    "command",
    [
        'run(["docker", "ps"])',
        'run("docker", "ps")',
        'run("docker ps".split())',
        'P = "docker"',
        'run(p="docker")',
    ],
)
def test_a_start_of_docker_is_seen_however_it_is_written(command: str) -> None:
    assert "docker" in first_words(ast.parse(command))


@pytest.mark.parametrize("word", ["PROGRAM", "compose_command", "compose_environment", "pinned_environment"])
def test_compose_commands_are_put_together_in_one_module(word: str) -> None:
    homes = {"scripts.docker.client", "scripts.docker.compose", "scripts.docker.images_lock"}
    homes |= {"client", "compose", "images_lock"}
    found = {
        name
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in homes
        if word in {alias.name for alias in node.names}
    }
    assert found <= {"docker/compose.py"}


def test_the_adapter_knows_nothing_of_what_uses_it() -> None:
    known = ("scripts.core", "scripts.settings", "scripts.docker")
    for name, tree in modules():
        if not name.startswith("docker/"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert not any(one.name.startswith("scripts") for one in node.names), name
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                assert not node.module.startswith("scripts") or node.module.startswith(known), name


@pytest.fixture
def runner(tmp_path: Path) -> FakeRunner:
    """A Docker that has no image yet, beside an images.lock."""
    layout_in(tmp_path).images_lock.write_text(lock_text({IMAGE: Locked(DIGEST, ID)}))
    model = {"services": {"langfuse-web": {"image": IMAGE}}}
    return FakeRunner(
        {
            "config --format json": Completed(0, json.dumps(model)),
            "image inspect": Completed(1),
            "run --detach": Completed(0, "f00d\n"),
        }
    )


def compose_in(directory: Path, runner: FakeRunner) -> Compose:
    return Compose(layout_in(directory), settings_with(), {"PATH": "/bin"}, runner)


def making(runner: FakeRunner) -> list[tuple[str, bool]]:
    """Return each command that makes containers or fetches images, and whether it carries the pins."""
    found = []
    for argv, environment in zip(runner.calls, runner.environments, strict=True):
        if argv[:2] == ["docker", "compose"] and (words := MAKING & set(argv)):
            files = (environment or {}).get("COMPOSE_FILE", "").split(os.pathsep)
            pinned = files[-1].endswith("images.compose.yaml") and DIGEST in Path(files[-1]).read_text()
            found.append((min(words), pinned))
    return found


WAYS: dict[str, Callable[[Compose, str], object]] = {
    "run": lambda compose, word: compose.run(word, "langfuse-web"),
    "checked": lambda compose, word: compose.checked(word, "langfuse-web"),
    "watched": lambda compose, word: compose.watched(lambda _: None, word, "langfuse-web"),
    "stream": lambda compose, word: compose.stream(word, "langfuse-web"),
}


@pytest.mark.parametrize("word", sorted(MAKING))
@pytest.mark.parametrize("way", sorted(WAYS))
def test_whatever_makes_a_container_carries_the_pins(
    tmp_path: Path, runner: FakeRunner, way: str, word: str
) -> None:
    WAYS[way](compose_in(tmp_path, runner), word)
    assert making(runner) == [(word, True)]


METHODS: dict[str, Callable[[Compose], object]] = {
    "ask_client": lambda compose: compose.ask_client("valkey-client", ["sh"], ""),
    "bundled": lambda compose: compose.bundled(),
    "claim_volumes": lambda compose: compose.claim_volumes({"services": {}}),
    "clients": lambda compose: compose.clients(),
    "containers": lambda compose: compose.containers(),
    "execute": lambda compose: compose.execute("postgres", ["psql"]),
    "external": lambda compose: compose.external(),
    "images": lambda compose: compose.images(),
    "model": lambda compose: compose.model(),
    "remove_clients": lambda compose: compose.remove_clients(),
    "require": lambda compose: compose.require(Completed(0), "ps"),
    "restart": lambda compose: compose.restart("langfuse-worker"),
    "restart_command": lambda compose: compose.restart_command("langfuse-worker"),
    "run_inside": lambda compose: compose.run_inside("langfuse-web", ["sh"]),
    "run_once": lambda compose: compose.run_once("buckets"),
    "start": lambda compose: compose.start("langfuse-worker"),
    # Nothing is started for bundled stores; the test below has an external one.
    "start_clients": lambda compose: compose.start_clients(),
    "states": lambda compose: compose.states(),
    "stop": lambda compose: compose.stop("langfuse-worker"),
    "up": lambda compose: compose.up("postgres"),
    "variables": lambda compose: compose.variables("langfuse-web"),
    "volumes": lambda compose: compose.volumes(),
    "with_clients": lambda compose: compose.with_clients(),
}
# Bytes through a process of their own, inside a container that runs: tests/unit/stores/test_streams.py.
STREAMS = {"read", "write", "into_file"}


def test_no_method_makes_a_container_without_the_pins(tmp_path: Path, runner: FakeRunner) -> None:
    functions = inspect.getmembers(Compose, inspect.isfunction)
    methods = {name for name, _ in functions if not name.startswith("_")}
    assert methods == METHODS.keys() | WAYS.keys() | STREAMS
    for call in METHODS.values():
        call(compose_in(tmp_path, runner))
    assert making(runner) == [("run", True), ("run", True), ("run", True), ("up", True)]


def test_what_reaches_an_external_store_carries_the_pins(tmp_path: Path, runner: FakeRunner) -> None:
    env_file = parse_env("REDIS_HOST=valkey.acme.example\nREDIS_AUTH=obviously-fake-password\n")
    settings = load_settings(SETTINGS, env_file, {"LANGFUSE_INIT_USER_PASSWORD": "test-password"})
    Compose(layout_in(tmp_path), settings, {"PATH": "/bin"}, runner).start_clients()
    assert making(runner) == [("up", True)]


def test_streams_run_inside_a_container_that_is_there(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\nfor word; do [ "$word" = exec ] && exec echo inside; done; exit 1\n')
    docker.chmod(0o700)
    compose = Compose(layout_in(tmp_path), settings_with(), {"PATH": f"{tmp_path}:/bin"}, FakeRunner())
    assert compose.read("postgres", ["cat"], lambda stream: stream.read()) == b"inside\n"
    compose.write("postgres", ["cat"], lambda _: None)
    with (tmp_path / "file").open("wb") as target:
        compose.into_file("postgres", ["cat"], target, "")
    assert (tmp_path / "file").read_bytes() == b"inside\n"


def test_a_start_and_a_container_that_creates_a_project_carry_the_pins(
    tmp_path: Path, runner: FakeRunner
) -> None:
    runner.rules["inspect --format"] = Completed(0, "running healthy")
    engine = ComposeEngine(layout_in(tmp_path), settings_with(), {"PATH": "/bin"}, runner, QuietProgress())
    engine.start({})
    engine.start_only({}, "langfuse-web")
    texts = (
        "acme",
        "Acme",
        "kosmos",
        "Kosmos",
        "pk-lf-test",
        "sk-lf-test",
        "zeus@acme.example",
        "Zeus",
        "no",
    )
    engine.provision([WantedProject(*texts)])
    assert making(runner) == [("up", True), ("up", True), ("run", True)]
