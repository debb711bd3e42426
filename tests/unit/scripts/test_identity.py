"""Whose containers and volumes are, by more than their name; and what a shell may not steer."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts.core.console import Console
from scripts.core.errors import UsageError
from scripts.core.layout import Layout, default_layout, write_private
from scripts.core.runner import Completed
from scripts.docker.identity import (
    CHECKOUT_LABEL,
    ID_LABEL,
    claim_volumes,
    keep_identity,
    other_owner,
    read_identity,
    remains_of,
    require_own,
)
from scripts.engines.base import EngineName
from scripts.engines.context import Context
from scripts.engines.shell import own_environment
from scripts.run import adopt, destroy, down

from .fakes import Answer, FakeRunner, layout_in

NAME = "langfuse-stack"
MODEL = {
    "services": {
        "postgres": {"volumes": [{"type": "volume", "source": "postgres", "target": "/data"}]},
        "web": {"volumes": [{"type": "bind", "source": "/x", "target": "/y"}]},
    },
    "volumes": {"postgres": {"name": f"{NAME}_postgres"}, "grafana": {"name": f"{NAME}_grafana"}},
}


@dataclass
class Docker:
    """What Docker has under the name, as its listings show it."""

    containers: dict[str, str] = field(default_factory=dict)
    volumes: dict[str, tuple[str, str]] = field(default_factory=dict)

    def runner(self) -> FakeRunner:
        rules: dict[str, Answer] = {
            "docker ps --all --filter": lambda *_: Completed(0, self._lines(self.containers)),
            "docker volume ls --filter": lambda *_: Completed(0, self._lines(self.volumes)),
            "docker volume create": self._create,
            "docker volume inspect": lambda argv, _: Completed(0, self.volumes[argv[-1]][1] + "\n"),
        }
        return FakeRunner(rules)

    @staticmethod
    def _lines(found: Mapping[str, str | tuple[str, str]]) -> str:
        rows = [(name, *([row] if isinstance(row, str) else row)) for name, row in found.items()]
        return "".join("\t".join(row) + "\n" for row in rows)

    def _create(self, argv: object, _env: object) -> Completed:
        words = list(argv) if isinstance(argv, list) else []
        labels = dict(word.split("=", 1) for word in words if "=" in word)
        self.volumes.setdefault(words[-1], (labels[CHECKOUT_LABEL], labels[ID_LABEL]))
        return Completed(0, words[-1])


@pytest.fixture
def here(tmp_path: Path) -> Layout:
    """A checkout that was never started."""
    (tmp_path / "here").mkdir()
    return layout_in(tmp_path / "here")


@pytest.fixture
def other(tmp_path: Path) -> Layout:
    """Another checkout, whose stack was started."""
    (tmp_path / "other").mkdir()
    layout = layout_in(tmp_path / "other")
    keep_identity(layout, NAME)
    return layout


def started(layout: Layout, *, containers: bool = True) -> Docker:
    """Return a Docker in which that checkout has started a stack."""
    docker = Docker({f"{NAME}-web-1": str(layout.root)} if containers else {})
    claim_volumes(docker.runner(), layout, NAME, MODEL)
    return docker


def context_of(layout: Layout, docker: Docker) -> Context:
    console = Console(io.StringIO(), io.StringIO())
    return Context(layout, {"ENGINE": EngineName.COMPOSE}, console, docker.runner())


def test_a_stack_that_this_checkout_started_is_its_own(here: Layout) -> None:
    docker = started(here)
    require_own(docker.runner(), here, NAME)
    assert docker.volumes == {f"{NAME}_postgres": (str(here.root), read_identity(here.identity_file).id)}  # type: ignore[union-attr]


@pytest.mark.parametrize("containers", [True, False])
def test_a_stack_of_another_checkout_is_refused_with_both_paths(
    here: Layout, other: Layout, containers: bool
) -> None:
    with pytest.raises(UsageError, match="not those of this checkout; nothing was changed") as caught:
        require_own(started(other, containers=containers).runner(), here, NAME)
    assert caught.value.details[:2] == (f"this checkout: {here.root}", f"the other one: {other.root}")
    assert "echo COMPOSE_PROJECT_NAME=here >> .env" in caught.value.fix
    assert "make adopt" in caught.value.fix


@pytest.mark.parametrize("command", ["down", "destroy"])
def test_nothing_of_another_checkout_is_stopped_or_deleted(here: Layout, other: Layout, command: str) -> None:
    context = context_of(here, started(other))
    with pytest.raises(UsageError, match="not those of this checkout"):
        down.down(context) if command == "down" else destroy.destroy(context, yes=True, dry_run=False)
    runner = context.runner
    assert isinstance(runner, FakeRunner)
    assert [line.split()[1:3] for line in runner.lines()] == [["ps", "--all"], ["volume", "ls"]]


@pytest.mark.parametrize("container", [True, False])
def test_what_another_program_has_made_under_the_name_is_refused(here: Layout, container: bool) -> None:
    docker = Docker({"acme-web-1": "/srv/acme"}) if container else Docker(volumes={"acme_data": ("", "")})
    with pytest.raises(UsageError, match="not those of this checkout") as caught:
        require_own(docker.runner(), here, NAME)
    assert ("/srv/acme" in caught.value.details[1]) is container


def test_the_same_path_on_another_machine_is_another_checkout(here: Layout) -> None:
    # Two jobs of a CI server see their checkout at one path, each in its own container.
    docker = Docker({f"{NAME}-web-1": str(here.root)}, {f"{NAME}_postgres": (str(here.root), "5a1d")})
    with pytest.raises(UsageError) as caught:
        require_own(docker.runner(), here, NAME)
    assert (
        "the same path; another machine or container, or .stack was deleted since" in caught.value.details[1]
    )


def test_volumes_of_an_older_version_belong_to_the_checkout_that_ran_it(here: Layout) -> None:
    docker = Docker(volumes={f"{NAME}_postgres": ("", "")})
    write_private(here.langfuse_version_file, "4.59.0\n")
    require_own(docker.runner(), here, NAME)
    keep_identity(here, "zeus")
    with pytest.raises(UsageError):
        require_own(docker.runner(), here, NAME)


def test_a_checkout_that_was_moved_keeps_its_stack(here: Layout, tmp_path: Path) -> None:
    docker = started(here)
    shutil.move(here.root, tmp_path / "a new place")
    moved = layout_in(tmp_path / "a new place")
    require_own(docker.runner(), moved, NAME)
    keep_identity(moved, NAME)
    require_own(docker.runner(), moved, NAME)
    again = layout_in(Path(shutil.move(moved.root, tmp_path / "here")))
    require_own(docker.runner(), again, NAME)


def test_a_copy_of_a_checkout_is_another_one(here: Layout, tmp_path: Path) -> None:
    docker = started(here)
    copy = layout_in(Path(shutil.copytree(here.root, tmp_path / "copy")))
    with pytest.raises(UsageError) as caught:
        require_own(docker.runner(), copy, NAME)
    assert caught.value.details[1] == f"the other one: {here.root}"
    assert keep_identity(copy, "zeus").id != keep_identity(here, NAME).id
    require_own(docker.runner(), here, NAME)


def test_a_checkout_that_may_not_be_looked_at_may_still_be_there(
    here: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = started(here)
    moved = layout_in(Path(shutil.move(here.root, tmp_path / "moved")))
    read_text = Path.read_text

    def guarded(path: Path, *arguments: object, **named: object) -> str:
        if path.is_relative_to(here.root):
            raise PermissionError(13, "Permission denied")
        return read_text(path, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "read_text", guarded)
    assert other_owner(moved, NAME, remains_of(docker.runner(), NAME)) is not None


def test_of_two_checkouts_that_start_at_once_one_goes_on(here: Layout, other: Layout) -> None:
    docker = Docker()
    require_own(docker.runner(), here, NAME)
    require_own(docker.runner(), other, NAME)
    runner = docker.runner()
    listings = iter([Completed(0, ""), Completed(0, f"{NAME}_postgres\t{other.root}\tother\n")])
    runner.rules["docker volume ls --filter"] = lambda *_: next(listings)
    claim_volumes(docker.runner(), other, NAME, MODEL)
    with pytest.raises(UsageError, match="not those of this checkout"):
        claim_volumes(runner, here, NAME, MODEL)


def test_volumes_keep_their_driver_and_external_ones_are_left_alone(here: Layout) -> None:
    model = {
        "services": {"s": {"volumes": [{"type": "volume", "source": name} for name in ("disk", "theirs")]}},
        "volumes": {
            "disk": {"driver": "local", "driver_opts": {"device": "/mnt/disk", "o": "bind"}},
            "theirs": {"name": "shared", "external": True},
        },
    }
    runner = Docker().runner()
    claim_volumes(runner, here, NAME, model)
    (created,) = [line for line in runner.lines() if "volume create" in line]
    assert created.endswith("--driver local --opt device=/mnt/disk --opt o=bind langfuse-stack_disk")


def test_adopting_takes_over_what_a_deleted_checkout_left(here: Layout, other: Layout) -> None:
    docker = started(other)
    with pytest.raises(UsageError, match=f"is still at {other.root}"):
        adopt.adopt(context_of(here, docker), yes=True, dry_run=False)
    shutil.rmtree(other.root)
    assert adopt.adopt(context_of(here, docker), yes=True, dry_run=True) == 0
    assert not here.identity_file.exists()
    with pytest.raises(UsageError, match="nothing was taken over"):
        adopt.adopt(context_of(here, docker), yes=False, dry_run=False)
    assert adopt.adopt(context_of(here, docker), yes=True, dry_run=False) == 0
    require_own(docker.runner(), here, NAME)
    assert context_of(here, docker).remembered_engine() == EngineName.COMPOSE


def test_adopting_brings_back_a_stack_whose_directory_was_deleted(here: Layout) -> None:
    docker = started(here)
    shutil.rmtree(here.stack_dir)
    with pytest.raises(UsageError, match="not those"):
        require_own(docker.runner(), here, NAME)
    adopt.adopt(context_of(here, docker), yes=True, dry_run=False)
    require_own(docker.runner(), here, NAME)


def test_there_is_nothing_to_adopt_where_all_is_ones_own(here: Layout) -> None:
    before = started(here)
    adopt.adopt(context_of(here, before), yes=False, dry_run=False)
    adopt.adopt(context_of(here, Docker()), yes=False, dry_run=False)


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"id": 1}', "null"])
def test_a_damaged_identity_is_none(here: Layout, damage: str) -> None:
    write_private(here.identity_file, damage)
    assert read_identity(here.identity_file) is None


def test_an_identity_is_written_for_its_owner_only(here: Layout) -> None:
    keep_identity(here, NAME)
    assert here.identity_file.stat().st_mode & 0o777 == 0o600
    assert json.loads(here.identity_file.read_text())["projects"] == [NAME]


@pytest.fixture
def checkout(here: Layout) -> Layout:
    """A checkout with compose files of its own."""
    for name in ("compose.yaml", "more.yaml"):
        (here.root / name).touch()
    return here


@pytest.mark.parametrize(
    ("files", "counts"),
    [
        ("compose.yaml:more.yaml", True),
        ("{root}/compose.yaml:{root}/more.yaml", True),
        ("compose.yaml", False),
        ("docker-compose.yml", False),
        ("compose.yaml:compose.prod.yaml", False),
        ("/srv/acme/compose.yaml", False),
        ("compose.yaml:../acme.yaml", False),
        ("more.yaml:compose.yaml", False),
    ],
)
def test_compose_files_of_another_project_in_the_shell_do_not_count(
    checkout: Layout, files: str, counts: bool
) -> None:
    (checkout.root.parent / "acme.yaml").touch()
    given = {"PATH": "/bin", "COMPOSE_FILE": files.format(root=checkout.root)}
    found = own_environment(checkout, given)
    assert ("COMPOSE_FILE" in found.values) is counts
    assert bool(found.warnings) is not counts
    assert found.values["PATH"] == "/bin"


def test_a_stack_keeps_its_name_whatever_the_shell_says(checkout: Layout) -> None:
    shell = {"COMPOSE_PROJECT_NAME": "acme"}
    keep_identity(checkout, "zeus")
    found = own_environment(checkout, shell)
    assert found.values == {"COMPOSE_PROJECT_NAME": "zeus"}
    assert found.warnings == (
        "COMPOSE_PROJECT_NAME=acme in the environment is not used: this stack is called zeus.",
    )
    checkout.env_file.write_text("COMPOSE_PROJECT_NAME=athena\n")
    assert own_environment(checkout, shell).values == {"COMPOSE_PROJECT_NAME": "athena"}
    same = own_environment(checkout, {"COMPOSE_PROJECT_NAME": "athena"})
    assert same.warnings == ()


def test_a_stack_that_was_named_in_a_command_is_found_without_its_name(checkout: Layout) -> None:
    keep_identity(checkout, "acme")
    assert own_environment(checkout, {}).values == {"COMPOSE_PROJECT_NAME": "acme"}
    for name in ("zeus", "acme"):
        keep_identity(checkout, name)
    assert own_environment(checkout, {}).values == {"COMPOSE_PROJECT_NAME": "acme"}, "its last one"
    checkout.env_file.write_text("COMPOSE_PROJECT_NAME=athena\n")
    assert own_environment(checkout, {}).values == {"COMPOSE_PROJECT_NAME": "athena"}


def test_a_copy_of_a_checkout_has_no_name_yet(checkout: Layout, tmp_path: Path) -> None:
    keep_identity(checkout, "acme")
    copy = default_layout(shutil.copytree(checkout.root, tmp_path / "copy"), {})
    told = {"COMPOSE_PROJECT_NAME": "zeus", "MAKEFLAGS": " -- COMPOSE_PROJECT_NAME=zeus"}
    assert own_environment(copy, {}).values == {}
    assert own_environment(copy, told).values["COMPOSE_PROJECT_NAME"] == "zeus"


def test_a_stack_beside_another_may_have_a_name_that_env_does_not_give(checkout: Layout) -> None:
    """As `make restore STACK_DIR=.stack-2 COMPOSE_PROJECT_NAME=second`, where `.env` names the first."""
    checkout.env_file.write_text("COMPOSE_PROJECT_NAME=acme\n")
    second = default_layout(checkout.root, {"STACK_DIR": ".stack-2"})
    told = {"COMPOSE_PROJECT_NAME": "second", "MAKEFLAGS": " -- COMPOSE_PROJECT_NAME=second"}
    assert own_environment(second, told).values["COMPOSE_PROJECT_NAME"] == "second"
    assert own_environment(second, {}).values == {}, "that of .env, with all else that is there"
    assert own_environment(second, {"COMPOSE_PROJECT_NAME": "acme"}).warnings == ()
    exported = own_environment(second, {"COMPOSE_PROJECT_NAME": "zeus"})
    assert "is called acme" in exported.warnings[0]
    keep_identity(second, "second")
    assert own_environment(second, {}).values == {"COMPOSE_PROJECT_NAME": "second"}
    assert own_environment(checkout, {}).values == {"COMPOSE_PROJECT_NAME": "acme"}


def test_a_name_that_was_exported_names_no_stack_and_one_in_the_command_does(checkout: Layout) -> None:
    """What make hands down is tried with make itself."""
    (checkout.root / "Makefile").write_text("show:\n\t@env\n")

    def environment(*words: str, **exported: str) -> dict[str, str]:
        argv = ["make", "--no-print-directory", "show", *words]
        done = subprocess.run(
            argv,
            cwd=checkout.root,
            env={"PATH": os.environ["PATH"], **exported},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)

    told = own_environment(checkout, environment("LANGFUSE_PORT=3100", "COMPOSE_PROJECT_NAME=acme"))
    assert told.values["COMPOSE_PROJECT_NAME"] == "acme"
    assert told.warnings == ()
    for words in ((), ("LANGFUSE_PORT=3100",)):
        exported = own_environment(checkout, environment(*words, COMPOSE_PROJECT_NAME="acme"))
        assert "COMPOSE_PROJECT_NAME" not in exported.values
        assert "echo COMPOSE_PROJECT_NAME=acme >> .env" in exported.warnings[0]


def test_nothing_else_that_compose_reads_comes_from_the_shell(checkout: Layout) -> None:
    shell = {"COMPOSE_REMOVE_ORPHANS": "1", "COMPOSE_ENV_FILES": "x.env", "COMPOSE_PARALLEL_LIMIT": "2"}
    assert own_environment(checkout, shell).values == {"COMPOSE_PARALLEL_LIMIT": "2"}
