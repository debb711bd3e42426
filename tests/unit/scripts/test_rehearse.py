"""What `rehearse` installs, and that it asks before."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from rehearsal import command as rehearse
from scripts.core.console import Console
from scripts.core.errors import UsageError
from scripts.core.layout import Layout
from scripts.core.runner import Completed
from scripts.engines.context import Context

from .fakes import Answer, FakeRunner

NO_ENGINE: Mapping[str, Answer] = {"docker version": Completed(1)}


def context_with(rules: Mapping[str, Answer], environment: Mapping[str, str]) -> Context:
    root = Path("/nowhere")
    layout = Layout(root, root / ".env", root / ".stack")
    return Context(layout, environment, Console(environment), FakeRunner(dict(rules)))


@pytest.fixture
def _bootstrap_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")


@pytest.mark.usefixtures("_bootstrap_is_here")
def test_nothing_is_installed_where_an_engine_answers() -> None:
    assert rehearse.missing_programs(context_with({}, {})) == []


@pytest.mark.usefixtures("_bootstrap_is_here")
def test_nothing_is_installed_where_an_engine_is_there_but_stopped() -> None:
    assert rehearse.missing_programs(context_with(NO_ENGINE, {})) == []


@pytest.mark.usefixtures("_bootstrap_is_here")
def test_an_engine_is_installed_where_there_is_none() -> None:
    rules = {**NO_ENGINE, "install_engine.sh --check": Completed(1)}
    assert rehearse.missing_programs(context_with(rules, {})) == [rehearse.INSTALL_ENGINE]


def test_the_tool_for_the_base_image_is_installed_where_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _program: None)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert rehearse.missing_programs(context_with({}, {})) == [[*rehearse.INSTALL_BOOTSTRAP]]


def test_who_may_use_sudo_without_a_password_installs_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _program: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    asked: Mapping[str, Answer] = {"sudo --non-interactive true": Completed(1)}
    assert rehearse.missing_programs(context_with(asked, {})) == [[*rehearse.INSTALL_BOOTSTRAP]]
    with_sudo = ["sudo", "--non-interactive", *rehearse.INSTALL_BOOTSTRAP]
    assert rehearse.missing_programs(context_with({}, {})) == [with_sudo]


def test_without_consent_nothing_is_installed_and_the_commands_are_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UsageError, match=r"Nothing was installed") as caught:
        rehearse.require_consent(context_with({}, {}), [rehearse.INSTALL_ENGINE], yes=False)
    assert "rehearsal/install_engine.sh" in caught.value.fix


@pytest.mark.parametrize(("yes", "environment"), [(True, {}), (False, {"CI": "true"})])
def test_yes_and_ci_are_consent(
    yes: bool, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    rehearse.require_consent(context_with({}, environment), [rehearse.INSTALL_ENGINE], yes=yes)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["tests/scenarios", "-m", "not slow"]),
        (["-k", "port_taken"], ["tests/scenarios", "-m", "not slow", "-k", "port_taken"]),
        (["-x", "tests/scenarios/doctor"], ["-x", "tests/scenarios/doctor"]),
    ],
)
def test_scenarios_that_are_named_run_alone(arguments: list[str], expected: list[str]) -> None:
    command = rehearse.pytest_command(arguments)
    assert command[command.index("-n") + 2 :] == expected
