"""No command shows a secret: not as an argument of a process, not in what it prints or leaves behind."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from scripts.cli import app
from tests.command_lines import CommandLines
from tests.secrecy import ANY, REFUSED, Call, Told, left_behind, run_calls
from tests.waiting import wait_for

from .documented import Checkout, embedded_environment

pytestmark = pytest.mark.slow

# Made now: the file with these lines is in the checkout, too.
RECEIVERS = {
    "slack_webhook_url": f"https://hooks.acme.example/T000/{secrets.token_hex(16)}",
    "pagerduty_routing_key": secrets.token_hex(16),
}
# In the order of a stack's life. What compose alone has refuses here, and may not show anything on the way.
CALLS = (
    # It brings the secrets of receivers along.
    Call("init --from examples/kosmos"),
    Call("validate"),
    Call("up"),
    Call("status"),
    Call("status --json"),
    Call("plan"),
    Call("bootstrap --yes"),
    Call("canary"),
    Call("smoke -q smoke_tests/test_access.py"),
    Call("credentials --project kosmos", prints="LANGFUSE_SECRET_KEY"),
    Call("credentials --project kosmos --format json", prints="LANGFUSE_SECRET_KEY"),
    Call("doctor --verbose", ANY),
    Call("doctor --json", ANY),
    Call("alerts"),
    Call("alerts-check", ANY),
    Call("dashboard"),
    Call("report"),
    Call("judges", ANY),
    Call("capacity --spans-per-s 10"),
    Call("kubernetes-render --without-secrets", ANY),
    Call("export-config --project kosmos --into out/config"),
    Call("export --project kosmos --format jsonl --into out/export"),
    Call("import --project kosmos out/export"),
    Call("reconcile", ANY),
    Call("retention"),
    Call("erase user nobody"),
    Call("backup"),
    Call("backups"),
    Call("backup-verify"),
    Call("rotate"),
    Call("rotate ADMIN_API_KEY --yes"),
    Call("rotate --undo --yes"),
    Call("rotate NEXTAUTH_SECRET --yes"),
    Call("rotate LANGFUSE_INIT_USER_PASSWORD --yes"),
    Call("rotate BACKUP_PASSWORD --yes"),
    Call("rotate ENCRYPTION_KEY --yes", REFUSED),
    Call("backup"),
    Call("restore --replace --no-smoke"),
    Call("upgrade --yes --no-smoke", ANY),
    Call("rollback --yes", ANY),
    Call("promote --dry-run", ANY),
    Call("sbom --output out/sbom.json"),
    Call("docs --check", ANY),
    Call("images check", ANY),
    Call("bundle out/bundle.tar --no-images", ANY),
    Call("trust", ANY),
    Call("reload-tls", ANY),
    Call("repair-migration --dry-run", ANY),
    Call("repair-queues --dry-run", ANY),
    Call("lock --dry-run", ANY),
    Call("adopt --dry-run", ANY),
    Call("move --into ../moved --dry-run", ANY),
    Call("release 0.0.1 --dry-run", ANY),
    # It serves until it is told to end.
    Call("exporter", frozenset({124}), before="timeout 15 "),
    Call("support-bundle"),
    Call("logs --lines 1000"),
    Call("down"),
    Call("destroy --dry-run"),
)
NOT_CALLED = {
    "audit": "it asks a database on the network about packages, and knows no secret",
    "pull": "it brings images into Docker's engine; the scenario of the same name calls it",
    "images save": "as pull",
    "images load": "as pull",
    "rehearse": "it runs the scenarios",
    "selftest": "it runs these tests",
}


def commands() -> set[str]:
    """Return the names of all commands, with those of their groups."""
    found: set[str] = set()
    for name, one in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        below = getattr(one, "commands", None)
        found |= {f"{name} {part}" for part in below} if below else {name}
    return found


def test_every_command_is_called_or_says_why_not() -> None:
    called = {name for name in commands() for call in CALLS if f"{call.words} ".startswith(f"{name} ")}
    assert commands() - called == NOT_CALLED.keys()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Run every command in a checkout while the command lines of the machine are watched."""
    directory = tmp_path_factory.mktemp("hidden")
    watcher = CommandLines(directory / "seen")
    environment = {**embedded_environment(), **watcher.environment}
    checkout = Checkout(directory / "checkout", environment, {}).make()
    (checkout.root / "out").mkdir()
    for name, value in RECEIVERS.items():
        (checkout.root / "config/alertmanager/secrets" / name).write_text(value)
    with watcher:
        try:
            told = run_calls(checkout.root, CALLS, checkout.run)
        finally:
            checkout.run(".venv/bin/python -m scripts down")
    told.lines = watcher.seen()
    return told


def test_every_command_did_what_it_is_for(told: Told) -> None:
    assert told.failed == {}


def test_all_kinds_of_secrets_were_looked_for(told: Told) -> None:
    names = set(told.secrets.values())
    wanted = {"SALT", "ENCRYPTION_KEY", "NEXTAUTH_SECRET", "ADMIN_API_KEY", "BACKUP_PASSWORD"}
    assert wanted <= names, names
    assert [name for name in names if name.startswith("LANGFUSE_SECRET_KEY of ")]
    # The new values of rotations beside the former ones.
    assert {"rotated NEXTAUTH_SECRET", "rotated BACKUP_PASSWORD"} <= names


def test_no_process_has_a_secret_among_its_arguments(told: Told) -> None:
    assert any("langfuse_embedded.store.writer" in line for line in told.lines), "the engine was not seen"
    assert any(line.startswith("restic ") for line in told.lines), "programs of commands were not seen"
    assert told.leaks("\n".join(told.lines)) == []


def test_no_command_prints_a_secret_but_as_its_answer(told: Told) -> None:
    assert told.printed_secrets() == {}


def test_commands_whose_answer_is_a_secret_print_it(told: Told) -> None:
    """Else the test above would look for the wrong values."""
    for call, said in told.printed:
        if call.prints:
            assert {name.split(" of ")[0] for name in told.leaks(said)} == {call.prints}, call.words


def test_no_file_has_a_secret_but_those_that_are_for_it(told: Told) -> None:
    names = {path.name for path in left_behind(told.root)}
    assert {"embedded.log", "state.db", "manifest.json"} <= names, names
    assert [name for name in names if name.startswith("support")]
    assert told.left_secrets() == {}


def test_files_for_secrets_are_for_their_owner_alone(told: Told) -> None:
    kept = [told.root / ".env", *sorted((told.root / ".stack" / "credentials").iterdir())]
    assert len(kept) >= 3
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in kept if path.stat().st_mode & 0o077} == {}


SECRET = "0123456789abcdef-not-a-real-secret"
_PYTHON = f"{sys.executable} -c 'import os, subprocess; subprocess.run({{}})'"
LEAKS = {
    "a program that a Python program starts": _PYTHON.format('["true", os.environ["S"]]'),
    "a program that a shell starts": '/bin/true "$S"',
    "a program that a shell of Python starts": _PYTHON.format('["sh", "-c", "/bin/true $S; :"]'),
    "a key as it is sent": '/bin/true "$B"',
}


@pytest.mark.parametrize("way", LEAKS)
def test_the_watcher_sees_a_secret_among_the_arguments(way: str, tmp_path: Path) -> None:
    """A program of a millisecond is not seen each time; that it is seen at all is what counts."""
    basic = base64.b64encode(f"pk-lf-acme:{SECRET}".encode()).decode()
    told = Told(tmp_path, {SECRET: "planted"})
    watcher = CommandLines(tmp_path / "seen")
    environment = {"PATH": os.environ["PATH"], "S": SECRET, "B": basic, **watcher.environment}

    def seen() -> bool:
        subprocess.run(["bash", "-c", f"{LEAKS[way]}; :"], env=environment, check=True)
        return bool(told.leaks("\n".join(watcher.seen())))

    with watcher:
        wait_for(seen, f"{way} is seen")
