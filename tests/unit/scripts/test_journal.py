"""The journal of a command: read by whichever process comes next, whatever happened to the last one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.config.rotate import journal as rotation
from scripts.config.rotate.plan import Change
from scripts.core.console import Console
from scripts.core.errors import UsageError
from scripts.core.journal import Journal
from scripts.data.adopt import journal as adoption
from scripts.data.backup.drivers import compose_exchange
from scripts.data.backup.replacement import Move, Replacement
from scripts.data.move.arriving import Arrived, arrival
from scripts.data.retention.compose_purge import Doomed
from scripts.data.retention.deletion import unfinished
from scripts.data.upgrade import journal as upgrade
from scripts.data.upgrade.steps import Step
from scripts.docker.moved import Moved, read_moved
from scripts.docker.pause import Rest, read_rest
from scripts.engines.base import EngineName
from scripts.engines.context import Context

from .fakes import FakeRunner, layout_in

ROOT = Path(__file__).parents[3]
FORMER, LATER = (
    rotation.Entry("SALT", (Change("SALT", "former-of-test", "new-of-test"),), done) for done in (False, True)
)
DOCUMENT = {
    "secret": "SALT",
    "changes": [{"name": "SALT", "old": "former-of-test", "new": "new-of-test"}],
    "done": False,
}
KILLED = """
import os, pathlib, sys
from scripts.config.rotate.journal import Change, Entry, journal_of
from scripts.core.layout import default_layout
pathlib.Path.replace = lambda *_: os._exit(9)
journal_of(default_layout(pathlib.Path(sys.argv[1]), {})).save(Entry("SALT", (), done=True))
"""


def test_what_was_saved_last_is_read_by_its_owner_alone(tmp_path: Path) -> None:
    journal = rotation.journal_of(layout_in(tmp_path))
    assert journal.read() is None
    assert journal.save(FORMER) == FORMER
    assert journal.read() == FORMER
    assert json.loads(journal.path.read_text()) == DOCUMENT
    journal.save(LATER)
    assert journal.read() == LATER
    assert journal.path.stat().st_mode & 0o777 == 0o600
    journal.forget()
    journal.forget()
    assert journal.read() is None


def test_a_secret_that_is_not_utf_8_comes_back_as_it_was(tmp_path: Path) -> None:
    journal = rotation.journal_of(layout_in(tmp_path))
    odd = rotation.Entry(
        "SALT", (Change("SALT", b"\xff\xc3\xa4".decode(errors="surrogateescape"), "new"),), False
    )
    journal.save(odd)
    assert journal.read() == odd


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value: line 1 column 1"),
        ('{"secret": "SALT", "changes": [{"name": "SALT", "old": "former-of-te', "Unterminated string"),
        ("[]", "Input should be a dictionary or an instance of Entry"),
        ('{"secret": "SALT", "done": true}', "changes: Field required"),
        (json.dumps({**DOCUMENT, "changes": ["former-of-test"]}), "changes: 0: Input should be a dictionary"),
        (json.dumps({**DOCUMENT, "done": "former-of-test"}), "done: Input should be a valid boolean"),
        ("\udcff", "codec can't decode byte 0xff"),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do_and_without_what_it_holds(
    tmp_path: Path, text: str, reason: str
) -> None:
    journal = rotation.journal_of(layout_in(tmp_path))
    journal.save(FORMER)
    journal.path.write_text(text, errors="surrogateescape")
    with pytest.raises(UsageError) as caught:
        journal.read()
    assert caught.value.message.startswith(f"{journal.path} cannot be read (")
    assert reason in caught.value.message
    assert "former-of-te" not in caught.value.message
    assert caught.value.fix == journal.fix
    journal.save(LATER)
    assert journal.read() == LATER


def test_a_file_of_another_user_is_said_to_be_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    journal = rotation.journal_of(layout_in(tmp_path))
    journal.save(FORMER)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", refuse)
        with pytest.raises(UsageError, match=r"rotation\.json cannot be read \(Permission denied\)\."):
            journal.read()
    assert journal.read() == FORMER


def test_a_process_that_is_killed_while_it_saves_leaves_the_former_entry(tmp_path: Path) -> None:
    journal = rotation.journal_of(layout_in(tmp_path))
    journal.save(FORMER)
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path], cwd=ROOT, check=False)
    assert done.returncode == 9
    assert journal.read() == FORMER
    (left,) = set(journal.path.parent.iterdir()) - {journal.path}
    assert left.stat().st_mode & 0o777 == 0o600
    journal.forget()
    assert list(journal.path.parent.iterdir()) == [], "no secret is left"


WRITTEN: dict[str, tuple[dict[str, Any], object]] = {
    # As earlier versions have written them: a stack may be updated in the middle.
    "upgrade.json": (
        {
            "engine": "compose",
            "old": "4.58.0",
            "new": "4.59.0",
            "step": "stop the worker, start web, which migrates both databases",
            "done": False,
            "going_back": False,
            "snapshot": "abc",
            "began": "2026-01-02T03:04:05+00:00",
            "levels": {"postgres": 2, "unfinished": []},
        },
        upgrade.Entry(
            engine=EngineName.COMPOSE,
            old="4.58.0",
            new="4.59.0",
            step=Step.WEB,
            snapshot="abc",
            began="2026-01-02T03:04:05+00:00",
            levels={"postgres": 2, "unfinished": []},
        ),
    ),
    "adopt.json": (
        {
            "directory": "/srv/old",
            "project": "acme",
            "policies": {"c1": "always"},
            "backup": "",
            "done": False,
        },
        adoption.Entry("/srv/old", "acme", {"c1": "always"}),
    ),
    "move-in.json": ({"source": "acme", "started": ""}, Arrived("acme")),
    "erasures/unfinished.json": (
        {"kosmos": {"traces": ["t"], "observations": [], "sessions": ["s"], "names": []}},
        {"kosmos": Doomed(["t"], [], ["s"], [])},
    ),
    "restore/stores.json": (
        {"clickhouse": True, "only": ["media"], "as_tables": True},
        compose_exchange.Noted(clickhouse=True, only=("media",), as_tables=True),
    ),
}


def journals(directory: Path) -> dict[str, Journal[Any]]:
    context = Context(layout_in(directory), {}, Console(), FakeRunner())
    layout = context.layout
    known = [
        upgrade.journal_of(layout),
        adoption.journal_of(layout),
        arrival(layout),
        unfinished(context),
        compose_exchange.journal_of(layout.restore_dir),
    ]
    return {str(one.path.relative_to(layout.stack_dir)): one for one in known}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_a_command_of_before_has_written_is_read_and_written_alike(tmp_path: Path, name: str) -> None:
    document, entry = WRITTEN[name]
    journal = journals(tmp_path)[name]
    journal.path.parent.mkdir(parents=True)
    journal.path.write_text(json.dumps(document))
    assert journal.read() == entry
    journal.save(entry)
    assert json.loads(journal.path.read_text()) == document


def test_what_was_added_to_a_journal_later_may_be_absent(tmp_path: Path) -> None:
    journal = compose_exchange.journal_of(layout_in(tmp_path).restore_dir)
    journal.path.parent.mkdir(parents=True)
    journal.path.write_text('{"clickhouse": false}')
    assert journal.read() == compose_exchange.Noted(clickhouse=False)


def test_a_restore_knows_the_moves_of_one_that_was_killed(tmp_path: Path) -> None:
    row = {"incoming": f"{tmp_path}/in", "place": f"{tmp_path}/.env", "old": f"{tmp_path}/old-0"}
    journal = tmp_path / "journal.json"
    journal.write_text(json.dumps([{**row, "was_there": True}]))
    found = Replacement.unfinished(tmp_path)
    moves = (Move(tmp_path / "in", tmp_path / ".env", tmp_path / "old-0", was_there=True),)
    assert found == Replacement(tmp_path, moves)
    (tmp_path / ".env").write_text("of before")
    found.begin()
    assert (tmp_path / "old-0").read_text() == "of before"
    assert json.loads(journal.read_text()) == [{**row, "was_there": True}]


def test_the_marks_of_a_stack_are_read_as_they_were_written(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    layout.stack_dir.mkdir()
    moved = {"to": "/srv/new", "option": "TO", "since": "2026-01-02T03:04:05+00:00", "phase": "taken"}
    layout.moved_file.write_text(json.dumps(moved))
    assert read_moved(layout) == Moved(**moved)
    layout.resting_worker_file.write_text('{"process": 7, "since": "2026-01-02T03:04:05+00:00"}\n')
    assert read_rest(layout) == Rest(7, "2026-01-02T03:04:05+00:00")
