"""The `.env` file: made once, completed later, never changed."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scripts.core.errors import StackError
from scripts.settings.envfile import (
    EnvChange,
    EnvFileChanged,
    parse_env,
    plan_env_change,
    read_env,
    write_env_change,
    write_values,
)
from scripts.settings.kinds import TEXT, hex_secret, random_hex
from scripts.settings.model import Group, SetBy, Setting
from scripts.settings.render import env_example
from scripts.settings.table import GROUPS, SETTINGS
from scripts.settings.values import load_settings

SALT = Setting(
    name="SALT", description="A salt.", kind=hex_secret(16), generate=random_hex(16), set_by=SetBy.GENERATED
)
PORT = Setting(name="PORT", description="A port.", kind=TEXT, default="3000")
ORGANIZATION = Setting(name="ORG", description="Computed.", set_by=SetBy.DERIVED)
KEY = Setting(
    name="KEY", description="A key.", kind=hex_secret(32), generate=random_hex(32), set_by=SetBy.GENERATED
)
OLD, NEW = (Group("Old", (SALT, PORT, ORGANIZATION)),), (Group("New", (SALT, PORT, ORGANIZATION, KEY)),)


def now() -> datetime:
    return datetime(2026, 11, 21, 4, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"),
        ("  A = 1  ", "1"),
        ("export A=1", "1"),
        ("A=1 # why", "1"),
        ("A=a#b", "a#b"),
        ("A=", ""),
        ("A=x=y", "x=y"),
        ('A="1"', '"1"'),
        ("A='a # b' # why", "a # b"),
        (r"A='it\'s \n' ", r"it's \n"),
        ("A='open", "'open"),
    ],
)
def test_an_assignment_is_read_as_it_stands(line: str, value: str) -> None:
    assert parse_env(line).values() == {"A": value}


HOSTILE = (
    "a$b",
    "$$ ${HOME}",
    "it's",
    'say "no"',
    " space ",
    "a # b",
    "a=b+c/d==",
    r"back\slash\n",
    "`id`",
    "'",
)


@pytest.mark.parametrize("value", HOSTILE)
def test_any_value_of_one_line_is_read_as_it_was_written(tmp_path: Path, value: str) -> None:
    path = tmp_path / ".env"
    path.write_text("SALT=old # mine\n")
    write_values(path, {"SALT": value, "KEY": value})
    write_values(path, {"SALT": value})
    found = read_env(path)
    assert found.values() == {"SALT": value, "KEY": value}
    assert "# mine" in path.read_text() or "#" in value or "'" in path.read_text()
    settings = (replace(SALT, kind=TEXT), replace(KEY, kind=TEXT))
    assert dict(load_settings(settings, found, {}).values) == found.values()


@pytest.mark.parametrize("value", ["a\nb", "a\\", "a\\'b"])
def test_a_value_that_no_line_can_hold_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(StackError, match="cannot be in an env file"):
        write_values(tmp_path / ".env", {"SALT": value})
    assert not (tmp_path / ".env").exists()


def test_comments_are_offers_and_other_lines_are_unreadable() -> None:
    parsed = parse_env("## text\n# PORT=3000\n\nnonsense\n")
    assert parsed.offered == {"PORT"}
    assert parsed.unreadable == (4,)


def test_a_line_that_is_not_utf_8_is_unreadable_and_the_others_count(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"\xef\xbb\xbfPORT=3000\n# caf\xe9\nSALT=\xff\n")
    parsed = read_env(path)
    assert parsed.values() == {"PORT": "3000"}
    assert parsed.unreadable == (3,)


def test_a_new_file_holds_every_secret_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    change = plan_env_change(OLD, None, {}, now)
    write_env_change(path, change)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    parsed = read_env(path)
    assert set(parsed.values()) == {"SALT"}
    assert len(parsed.values()["SALT"]) == 32
    assert parsed.offered == {"PORT"}


def test_a_complete_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    write_env_change(path, plan_env_change(OLD, None, {}, now))
    before = path.read_text()
    change = plan_env_change(OLD, read_env(path), {}, now)
    assert (change.text, change.added) == ("", ())
    write_env_change(path, change)
    assert path.read_text() == before


def test_new_settings_are_appended_with_a_dated_note_and_old_lines_stay(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    before = "SALT=" + "ab" * 16 + "\n# my own comment\nPORT=3100\n"
    path.write_text(before)
    change = plan_env_change(NEW, read_env(path), {}, now)
    write_env_change(path, change)
    text = path.read_text()
    assert change.added == ("KEY",)
    assert text.startswith(before)
    assert "Added 2026-11-21 04:05:06 UTC by make up" in text
    assert read_env(path).values() == {"SALT": "ab" * 16, "PORT": "3100", "KEY": change.generated["KEY"]}


def completed(path: Path, text: str) -> EnvChange:
    path.write_bytes(text.encode("utf-8", errors="surrogateescape"))
    change = plan_env_change(OLD, read_env(path), {}, now)
    write_env_change(path, change)
    return change


@pytest.mark.parametrize(
    ("line", "filled"),
    [
        ("SALT=", "SALT={}"),
        ("SALT=   # mine", "SALT={}   # mine"),
        ("export SALT = ", "export SALT ={}"),
        ('SALT=""', "SALT={}"),
        ("SALT=\nSALT=", "SALT=\nSALT={}"),
        ("\ufeffSALT=\r", "\ufeffSALT={}\r"),
        ("# \udce9t\udce9 \x0c\nSALT=", "# \udce9t\udce9 \x0c\nSALT={}"),
    ],
)
def test_an_empty_secret_is_filled_in_its_line_and_every_other_byte_stays(
    tmp_path: Path, line: str, filled: str
) -> None:
    path = tmp_path / ".env"
    change = completed(path, f"{line}\n# PORT=3000\n")
    wanted = f"{filled.format(change.generated['SALT'])}\n# PORT=3000\n"
    assert path.read_bytes() == wanted.encode("utf-8", errors="surrogateescape")
    assert change.summary(".env") == "Completed .env: 1 random secret filled in."
    assert plan_env_change(OLD, read_env(path), {}, now).generated == {}


def test_an_empty_line_beside_a_value_is_no_second_value(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    for text in (f"SALT=\n# PORT=3000\nSALT={'ab' * 16}\n", f"SALT={'ab' * 16}\n# PORT=3000\nSALT=\n"):
        change = completed(path, text)
        assert (change.generated, path.read_text()) == ({}, text)
        assert read_env(path).values() == {"SALT": "ab" * 16}
        assert load_settings([SALT], read_env(path), {})["SALT"] == "ab" * 16


def test_a_copy_of_the_example_is_completed_once_and_right_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(env_example(GROUPS))
    change = plan_env_change(GROUPS, read_env(path), {}, now)
    write_env_change(path, change)
    assert len(path.read_text().splitlines()) == len(env_example(GROUPS).splitlines())
    for _ in range(2):
        again = plan_env_change(GROUPS, read_env(path), {}, now)
        load_settings(SETTINGS, read_env(path), {}, again.generated)
        assert (again.text, again.filled, again.summary(".env")) == ("", {}, "")


def test_a_file_of_one_line_leads_to_one_line_of_message(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("LANGFUSE_PORT=3100\n")
    change = plan_env_change(GROUPS, read_env(path), {}, now)
    said = change.summary(".env")
    assert said == (
        f"Completed .env: {len(change.generated)} random secrets filled in; "
        f"{len(change.added) - len(change.generated)} settings added as comments, at their defaults."
    )


def test_what_is_completed_can_be_read_by_its_owner_only_and_a_link_stays_one(tmp_path: Path) -> None:
    real, link = tmp_path / "real.env", tmp_path / ".env"
    real.write_text("SALT=\n")
    real.chmod(0o644)
    link.symlink_to(real)
    write_env_change(link, plan_env_change(OLD, read_env(link), {}, now))
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


@pytest.mark.parametrize("meanwhile", ["SALT=\nPORT=3200\n", None])
def test_an_edit_while_a_command_runs_is_not_overwritten(tmp_path: Path, meanwhile: str | None) -> None:
    path = tmp_path / ".env"
    path.write_text("SALT=\n")
    change = plan_env_change(OLD, read_env(path), {}, now)
    path.unlink() if meanwhile is None else path.write_text(meanwhile)
    with pytest.raises(EnvFileChanged, match="was changed while this command ran"):
        write_env_change(path, change)
    assert (path.read_text() if path.exists() else None) == meanwhile


def test_a_secret_that_the_environment_gives_is_not_generated() -> None:
    assert plan_env_change(OLD, None, {"SALT": "cd" * 16}, now).generated == {}


def test_a_file_that_appeared_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    change = plan_env_change(OLD, None, {}, now)
    path.write_text("SALT=mine\n")
    with pytest.raises(EnvFileChanged):
        write_env_change(path, change)
    assert path.read_text() == "SALT=mine\n"
