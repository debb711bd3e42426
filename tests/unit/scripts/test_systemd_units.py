"""The systemd units run targets that the Makefile has, and systemd understands them where it is installed."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
UNITS = sorted((ROOT / "deploy" / "systemd").glob("langfuse-*"))


def test_every_command_is_a_target_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [
        line.removeprefix("ExecStart=")
        for path in UNITS
        for line in path.read_text().splitlines()
        if line.startswith("ExecStart=")
    ]
    assert len(commands) == 3
    assert {command.removeprefix("/usr/bin/make ") for command in commands} <= targets


def test_a_timer_has_the_service_that_it_starts() -> None:
    names = {path.name for path in UNITS}
    timers = {name for name in names if name.endswith(".timer")}
    assert timers
    assert {name.replace(".timer", ".service") for name in timers} <= names


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_has_only_known_sections(unit: Path) -> None:
    parsed = configparser.ConfigParser(strict=False, interpolation=None, comment_prefixes=("#", ";"))
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(unit.read_text())
    assert set(parsed.sections()) <= {"Unit", "Service", "Timer", "Install"}
    assert parsed["Unit"]["Description"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_finds_no_fault_in_a_unit(unit: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    mine = [line for line in done.stderr.splitlines() if unit.name in line and "not executable" not in line]
    assert mine == []
