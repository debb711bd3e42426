"""The commands from first start to destruction, with a small program in the place of the engine."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.config import bootstrap
from scripts.core.console import Console
from scripts.core.errors import (
    EngineDied,
    EngineError,
    ProvisioningError,
    SettingsError,
    StackError,
    UsageError,
)
from scripts.core.layout import only_one_command
from scripts.core.runner import Completed, SubprocessRunner
from scripts.develop.selftest import free_port
from scripts.engines.base import Engine, EngineName
from scripts.engines.context import Context
from scripts.engines.embedded import EmbeddedEngine
from scripts.engines.smoke import run_smoke_tests
from scripts.provision import starting
from scripts.provision.credentials import CredentialsStore
from scripts.provision.loading import parse_stack
from scripts.provision.tenancy import Action, plan_keys
from scripts.run import destroy, down, logs, status, up
from scripts.settings.envfile import read_env
from scripts.settings.render import env_example
from scripts.settings.table import GROUPS
from scripts.settings.values import Settings

from .fakes import FakeRunner, Screen, layout_in
from .test_stack_file import GOOD


class FakeContext(Context):
    """A context whose embedded engine is the stand-in."""

    def engine(self, name: EngineName, settings: Settings, *, looking: bool = False) -> Engine:
        engine = super().engine(name, settings, looking=looking)
        if isinstance(engine, EmbeddedEngine):
            engine.module = "fake_engine"
        return engine


@pytest.fixture
def screen() -> Screen:
    return Screen()


def context_in(directory: Path, screen: Screen) -> FakeContext:
    """Return a context for a stack in a new directory."""
    layout = layout_in(directory)
    layout.stack_file.parent.mkdir()
    layout.stack_file.write_text(GOOD)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parent),
        "ENGINE": "embedded",
        "LANGFUSE_PORT": str(free_port()),
    }
    console = Console(environment, screen.out, screen.err)
    return FakeContext(layout, environment, console, SubprocessRunner(directory))


@pytest.fixture
def context(tmp_path: Path, screen: Screen) -> Iterator[FakeContext]:
    context = context_in(tmp_path, screen)
    yield context
    down.down(context)


def credentials(context: Context, project: str) -> dict[str, str]:
    return read_env(context.layout.credentials_dir / f"{project}.env").values()


def test_the_first_up_makes_settings_engine_and_projects_and_says_where(
    context: FakeContext, screen: Screen
) -> None:
    assert up.up(context) == 0
    url = f"http://localhost:{context.environment['LANGFUSE_PORT']}"
    lines = screen.out.getvalue().splitlines()
    assert lines == [
        f"Langfuse  {url} (embedded engine, API 4.59.0)",
        "Projects  kosmos, zeus in organization Acme",
        "Login     admin@acme.example, password: LANGFUSE_INIT_USER_PASSWORD in .env",
        "API keys  .stack/credentials/kosmos.env and 1 more there",
        "Next      make smoke (test it), make status, make logs, make down",
    ]
    assert all(len(line) <= 80 for line in lines)
    assert "Engine: embedded (ENGINE=embedded)" in screen.err.getvalue()
    for project in ("kosmos", "zeus"):
        assert credentials(context, project)["LANGFUSE_BASE_URL"] == url
        assert credentials(context, project)["LANGFUSE_PROJECT_ID"] == project


def test_no_secret_reaches_the_screen(context: FakeContext, screen: Screen) -> None:
    up.up(context)
    shown = screen.out.getvalue() + screen.err.getvalue()
    secrets = [*read_env(context.layout.env_file).values().values()]
    secrets += [credentials(context, project)["LANGFUSE_SECRET_KEY"] for project in ("kosmos", "zeus")]
    assert len(secrets) >= 12
    assert [secret for secret in secrets if secret in shown] == []


def test_a_second_up_changes_nothing(context: FakeContext, screen: Screen) -> None:
    up.up(context)
    files = [context.layout.env_file, *context.layout.credentials_dir.iterdir(), context.layout.engine_file]
    before = [(path.read_text(), path.stat().st_mtime_ns) for path in files[:-1]]
    assert up.up(context) == 0
    assert [(path.read_text(), path.stat().st_mtime_ns) for path in files[:-1]] == before
    assert "It was running already." in screen.err.getvalue()


def test_files_with_secrets_that_were_there_before_are_closed_to_others(
    context: FakeContext, screen: Screen
) -> None:
    layout = context.layout
    mine = layout.root / ".env.langfuse"
    mine.write_text("# secrets of a login provider\n")
    layout.env_file.write_text("# mine\n")
    for path in (layout.env_file, mine):
        path.chmod(0o644)
    up.up(context)
    assert [path.stat().st_mode & 0o777 for path in (layout.env_file, mine)] == [0o600, 0o600]
    layout.env_file.chmod(0o644)  # and where nothing is written
    up.up(context)
    assert layout.env_file.stat().st_mode & 0o777 == 0o600
    assert screen.err.getvalue().count("Made .env readable for its owner only.") == 1


def test_down_and_up_keep_keys_and_data(context: FakeContext) -> None:
    up.up(context)
    keys = credentials(context, "zeus")
    assert down.down(context) == 0
    assert status.status(context, as_json=False) == 1
    up.up(context)
    assert credentials(context, "zeus") == keys
    assert status.status(context, as_json=False) == 0


@pytest.mark.parametrize("lost", [("SALT", "ENCRYPTION_KEY"), ("ENCRYPTION_KEY",)])
def test_up_makes_no_new_secrets_for_data_of_old_ones(context: FakeContext, lost: tuple[str, ...]) -> None:
    up.up(context)
    down.down(context)
    path = context.layout.env_file
    before = path.read_text()
    path.write_text("".join(line for line in before.splitlines(True) if not line.startswith(lost)))
    with pytest.raises(UsageError, match=r"ENCRYPTION_KEY of this stack's data is not in \.env") as refused:
        up.up(context)
    assert "make destroy" in refused.value.fix
    assert [name for name in lost if name in read_env(path).values()] == []
    path.write_text(before)
    assert up.up(context) == 0


def test_a_lost_salt_is_made_anew_and_told(context: FakeContext, screen: Screen) -> None:
    up.up(context)
    down.down(context)
    path = context.layout.env_file
    path.write_text("".join(one for one in path.read_text().splitlines(True) if not one.startswith("SALT=")))
    assert up.up(context) == 0
    assert "the first call with each API key takes a moment longer" in " ".join(screen.err.getvalue().split())


def test_a_lost_env_file_is_not_made_anew_while_there_are_data(context: FakeContext) -> None:
    up.up(context)
    down.down(context)
    context.layout.env_file.unlink()
    with pytest.raises(UsageError, match="ENCRYPTION_KEY of this stack's data"):
        up.up(context)
    assert not context.layout.env_file.exists()
    assert destroy.destroy(context, yes=True, dry_run=False) == 0
    assert up.up(context) == 0


def test_a_copy_of_the_example_settings_serves_every_start(context: FakeContext, screen: Screen) -> None:
    context.layout.env_file.write_text(env_example(GROUPS))
    assert up.up(context) == 0
    said = [line for line in screen.err.getvalue().splitlines() if ".env" in line]
    generated = [one for group in GROUPS for one in group.settings if one.generate and one.in_env_file]
    assert said == [f"Completed .env: {len(generated)} random secrets filled in."]
    before = context.layout.env_file.read_text()
    assert up.up(context) == 0
    assert down.down(context) == 0
    assert up.up(context) == 0
    assert context.layout.env_file.read_text() == before


def test_up_asks_whether_a_name_in_the_env_file_is_misspelt(context: FakeContext, screen: Screen) -> None:
    context.layout.env_file.write_text("LANGFUSE_PRT=3100\nKOSMOS_SECRET_KEY=sk-lf-test\n")
    assert up.up(context) == 0
    warnings = [line for line in screen.err.getvalue().splitlines() if "warning" in line]
    assert warnings == ["warning: LANGFUSE_PRT (.env:1) is not a known setting; did you mean LANGFUSE_PORT?"]


def test_wrong_settings_are_refused_before_anything_is_made(context: FakeContext) -> None:
    bad = replace(context, environment={**context.environment, "S3_PORT": "0"})
    with pytest.raises(SettingsError, match="S3_PORT"):
        up.up(bad)
    assert not context.layout.env_file.exists()
    assert not context.layout.stack_dir.exists()


def test_a_wrong_stack_file_is_refused_before_anything_is_made(context: FakeContext) -> None:
    context.layout.stack_file.write_text(GOOD.replace("name: zeus", "nmae: zeus"))
    with pytest.raises(UsageError, match=r"stack\.yaml has 2 problems"):
        up.up(context)
    assert not context.layout.env_file.exists()
    assert not context.layout.stack_dir.exists()


def test_a_taken_port_is_refused_before_anything_is_made(context: FakeContext, tmp_path: Path) -> None:
    up.up(context)
    (tmp_path / "other" / "config").mkdir(parents=True)
    shutil.copy(context.layout.stack_file, tmp_path / "other" / "config")
    other = replace(context, layout=layout_in(tmp_path / "other"))
    with pytest.raises(EngineError, match="is taken by") as caught:
        up.up(other)
    assert "choose another port (unset LANGFUSE_PORT; echo LANGFUSE_PORT=" in caught.value.fix
    assert not other.layout.env_file.exists()
    assert not other.layout.stack_dir.exists()


def test_a_start_that_fails_leaves_no_engine_and_can_be_repeated(context: FakeContext) -> None:
    dying = replace(context, environment={**context.environment, "FAKE_ENGINE": "die"})
    with pytest.raises(EngineDied):
        up.up(dying)
    assert not context.layout.engine_file.exists()
    pending = sorted(path.name for path in context.layout.credentials_dir.iterdir())
    assert pending == ["kosmos.env.pending", "zeus.env.pending"]
    key = read_env(context.layout.credentials_dir / "zeus.env.pending").values()["LANGFUSE_PUBLIC_KEY"]
    assert up.up(context) == 0
    assert credentials(context, "zeus")["LANGFUSE_PUBLIC_KEY"] == key


def test_an_up_that_died_before_provisioning_is_completed_by_the_next(context: FakeContext) -> None:
    up.up(context)
    path = context.layout.credentials_dir / "zeus.env"
    path.rename(path.with_name("zeus.env.pending"))
    key = read_env(path.with_name("zeus.env.pending")).values()["LANGFUSE_PUBLIC_KEY"]
    up.up(context)
    assert credentials(context, "zeus")["LANGFUSE_PUBLIC_KEY"] == key


def test_lost_data_get_the_same_keys_again(context: FakeContext) -> None:
    up.up(context)
    keys = credentials(context, "zeus")
    down.down(context)
    shutil.rmtree(context.layout.embedded_dir)
    up.up(context)
    assert credentials(context, "zeus") == keys
    assert keys["LANGFUSE_PUBLIC_KEY"] in (context.layout.embedded_dir / "keys.json").read_text()


def test_a_new_project_is_created_by_bootstrap_and_only_once(context: FakeContext, screen: Screen) -> None:
    up.up(context)
    context.layout.stack_file.write_text(GOOD + "  - id: hermes\n    name: hermes\n")
    begin = len(screen.out.getvalue())
    assert bootstrap.bootstrap(context, dry_run=True) == 0
    assert not (context.layout.credentials_dir / "hermes.env").exists()
    assert bootstrap.bootstrap(context, dry_run=False) == 0
    assert bootstrap.bootstrap(context, dry_run=False) == 0
    first, second, third = screen.out.getvalue()[begin:].split("project kosmos\n")[1:]
    there = "    1 as wanted\nproject zeus\n    1 as wanted\nproject hermes\n"
    assert first == f"{there}  + project hermes\n  + API key default\n2 to create.\n"
    assert second == f"{first}2 changes made, 1 credentials file written.\n"
    assert third == f"{there}    1 as wanted\nNothing to change.\n"
    assert credentials(context, "hermes")["LANGFUSE_PROJECT_ID"] == "hermes"


def test_a_key_that_belongs_to_another_project_is_refused(context: FakeContext) -> None:
    up.up(context)
    kosmos = context.layout.credentials_dir / "kosmos.env"
    (context.layout.credentials_dir / "zeus.env").write_text(kosmos.read_text())
    with pytest.raises(ProvisioningError, match="of project zeus belongs to project kosmos"):
        bootstrap.bootstrap(context, dry_run=False)


def test_bootstrap_of_a_stopped_stack_says_how_to_start_it(context: FakeContext) -> None:
    up.up(context)
    down.down(context)
    with pytest.raises(EngineError, match="does not run") as caught:
        bootstrap.bootstrap(context, dry_run=False)
    assert caught.value.fix == "start it: make up"


def test_a_key_the_server_never_had_is_not_shown_to_it(tmp_path: Path) -> None:
    stack = parse_stack(GOOD, "stack.yaml")
    store = CredentialsStore(tmp_path)
    keys = [store.load(project, "http://localhost:3000", {}) for project in stack.projects]
    steps = plan_keys(stack, keys, {"kosmos": True, "zeus": None})
    assert [(step.project.id, step.action) for step in steps] == [
        ("kosmos", Action.KEEP),
        ("zeus", Action.CREATE),
    ]


def test_status_as_json_tells_engine_health_and_data(context: FakeContext, screen: Screen) -> None:
    up.up(context)
    begin = len(screen.out.getvalue())
    assert status.status(context, as_json=True) == 0
    shown = json.loads(screen.out.getvalue()[begin:])
    assert (shown["engine"], shown["running"], shown["healthy"]) == ("embedded", True, True)
    assert shown["url"] == f"http://127.0.0.1:{context.environment['LANGFUSE_PORT']}"
    assert shown["data"] == [".stack/embedded"]


def test_status_names_the_host_that_up_names(context: FakeContext, screen: Screen) -> None:
    up.up(context)
    (said,) = [line for line in screen.out.getvalue().splitlines() if line.startswith("Langfuse")]
    begin = len(screen.out.getvalue())
    assert status.status(context, as_json=False) == 0
    (shown,) = [line for line in screen.out.getvalue()[begin:].splitlines() if line.startswith("URL")]
    assert shown.split()[1] == said.split()[1]


@pytest.mark.parametrize(
    ("running", "public", "rows"),
    [
        ("http://127.0.0.1:3000", "http://localhost:3000", [("URL", "http://localhost:3000")]),
        (
            "http://127.0.0.1:3000",
            "https://langfuse.acme.example",
            [("URL", "https://langfuse.acme.example"), ("Here", "http://127.0.0.1:3000")],
        ),
        ("http://127.0.0.1:3100", "http://localhost:3000", [("URL", "http://127.0.0.1:3100")]),
    ],
)
def test_another_address_on_this_machine_is_named_beside(
    running: str, public: str, rows: list[tuple[str, str]]
) -> None:
    assert status.url_rows(running, "http://127.0.0.1:3000", public) == rows


def test_status_before_the_first_start_is_stopped(context: FakeContext, screen: Screen) -> None:
    assert status.status(context, as_json=False) == 1
    assert "Health  stopped (start it: make up)" in screen.out.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (310, "5 min 10 s"), (3600, "1 h"), (93784, "1 d 2 h")],
)
def test_durations_are_shown_in_two_units(seconds: float, text: str) -> None:
    assert status.duration(seconds) == text


def test_logs_before_the_first_start_say_how_to_start(context: FakeContext) -> None:
    with pytest.raises(EngineError, match="no log yet") as caught:
        logs.logs(context, service="", lines=5, follow=False)
    assert caught.value.fix == "start it: make up"


def test_destroy_without_anybody_to_ask_deletes_nothing(context: FakeContext) -> None:
    up.up(context)
    with pytest.raises(UsageError, match="nothing was deleted"):
        destroy.destroy(context, yes=False, dry_run=False)
    assert status.status(context, as_json=False) == 0


@pytest.mark.parametrize(("answer", "deleted"), [("langfuse-stack", True), ("yes", False), ("", False)])
def test_destroy_asks_for_the_name_of_the_stack(
    context: FakeContext, monkeypatch: pytest.MonkeyPatch, answer: str, deleted: bool
) -> None:
    up.up(context)
    monkeypatch.setattr(Console, "ask", lambda _console, _question: answer)
    if deleted:
        assert destroy.destroy(context, yes=False, dry_run=False) == 0
    else:
        with pytest.raises(UsageError, match="That was not langfuse-stack"):
            destroy.destroy(context, yes=False, dry_run=False)
    assert context.layout.embedded_dir.exists() is not deleted
    assert context.layout.credentials_dir.exists() is not deleted
    assert context.layout.env_file.exists()


def test_destroy_dry_run_shows_what_would_go_and_deletes_nothing(
    context: FakeContext, screen: Screen
) -> None:
    up.up(context)
    assert destroy.destroy(context, yes=True, dry_run=True) == 0
    assert "  .stack/embedded\n" in screen.out.getvalue()
    assert status.status(context, as_json=False) == 0


def test_destroy_of_nothing_says_so(context: FakeContext, screen: Screen) -> None:
    assert destroy.destroy(context, yes=True, dry_run=False) == 0
    assert screen.out.getvalue() == "There is nothing to delete.\n"


def test_two_commands_at_once_are_refused(context: FakeContext) -> None:
    with (
        only_one_command(context.layout),
        pytest.raises(StackError, match=f"Another command \\(process {os.getpid()}\\)"),
    ):
        up.up(context)


def test_a_running_engine_of_the_other_kind_is_refused(context: FakeContext) -> None:
    up.up(context)
    with pytest.raises(StackError, match="The embedded engine of this stack runs") as caught:
        starting.refuse_second_engine(context, EngineName.COMPOSE, context.settings())
    assert caught.value.fix == "stop it first: make down ENGINE=embedded"


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (1, 1), (2, 2), (4, 2), (5, 1)])
def test_smoke_runs_the_suite_on_this_stack(context: FakeContext, code: int, expected: int) -> None:
    runner = FakeRunner({"smoke_tests": Completed(code)})
    assert (
        run_smoke_tests(replace(context, runner=runner), arguments=["-k", "scores"], python="py") == expected
    )
    assert runner.lines() == ["py -m pytest -p no:cacheprovider smoke_tests -k scores"]
    environment = runner.environments[0]
    assert environment is not None
    assert environment["STACK_DIR"] == str(context.layout.stack_dir)
