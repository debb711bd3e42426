"""What people see while a stack starts, and of one that runs: in 80 columns, and where nobody watches."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from scripts.core.console import Console, step_style
from scripts.engines.base import EngineName, EngineState, Part
from scripts.run.status import HEADS, as_document, data_words, memory_words, part_row

from .fakes import Screen

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
GIB = 2**30
WEB = Part(
    "langfuse-web",
    "running",
    "healthy",
    started=NOW - timedelta(days=23, hours=5),
    memory_limit_bytes=2 * GIB,
    ports=("127.0.0.1:3000->3000",),
)
CADDY = Part("caddy", "running", "unhealthy", restarts=12, ports=("127.0.0.1:443->443", "127.0.0.1:80->80"))
IN_A_TERMINAL = """
from scripts.core.console import Console
console = Console({})
with console.steps("Starting") as show:
    show({"postgres": "starting", "web": "waiting"})
    show({"postgres": "healthy", "web": "exited with code 1"})
"""


def test_where_nobody_watches_a_line_says_what_has_changed() -> None:
    screen = Screen()
    with Console({}, screen.out, screen.err).steps("Starting") as show:
        show({"postgres": "starting", "web": "waiting"})
        show({"postgres": "starting", "web": "waiting"})
        show({"postgres": "healthy", "web": "starting"})
    lines = [re.sub(r"^ *\d+ s  ", "", line) for line in screen.err.getvalue().splitlines()]
    assert lines == ["Starting ...", "postgres: starting", "postgres: healthy", "web: starting"]
    assert screen.out.getvalue() == ""


def test_no_escape_sequence_reaches_a_log() -> None:
    screen = Screen()
    console = Console({"CI": "true"}, screen.out, screen.err)
    with console.steps("Starting") as show:
        show({"postgres": "healthy"})
    console.table(("Service", "State"), [("postgres", "healthy")])
    assert "\x1b" not in screen.err.getvalue() + screen.out.getvalue()


def test_on_a_terminal_the_last_states_stay_on_the_screen() -> None:
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as screen:
        subprocess.run(
            [sys.executable, "-c", IN_A_TERMINAL],
            env={"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLUMNS": "80"},
            stderr=screen,
            check=True,
            timeout=30,
        )
    shown = os.read(leader, 100_000).decode()
    os.close(leader)
    assert "\x1b[" in shown
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown).splitlines()[-2:]
    assert [line.split()[2:] for line in last] == [
        ["postgres", "healthy"],
        ["web", "exited", "with", "code", "1"],
    ]


LONG = " ".join(["twelve-chars"] * 12)
IN_80_COLUMNS = f"""
import sys
from scripts.core.console import Console
from scripts.core.errors import StackError
console = Console({{}}, sys.stderr)
console.rows([("Data", {LONG!r}), ("URL", "http://localhost:3000")])
console.note({LONG!r})
console.warn({LONG!r})
console.error(StackError({LONG!r}, details=[{LONG!r}], fix="make up " + "x" * 100))
"""


def test_on_a_terminal_lines_break_between_words_and_a_command_stays_in_one() -> None:
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as screen:
        environment = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLUMNS": "80"}
        subprocess.run(
            [sys.executable, "-c", IN_80_COLUMNS], env=environment, stderr=screen, check=True, timeout=30
        )
    shown = os.read(leader, 100_000).decode()
    os.close(leader)
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown).splitlines()
    assert lines.pop() == "fix: make up " + "x" * 100
    assert max(map(len, lines)) <= 80
    assert sum(line.count("twelve-chars") for line in lines) == 5 * 12
    assert [line[:6].strip() for line in lines[:4]] == ["Data", "", "", "URL"]
    assert lines[3] == "URL   http://localhost:3000"


def test_where_nobody_watches_a_message_is_one_line() -> None:
    screen = Screen()
    Console({}, screen.out, screen.err).warn(LONG)
    assert screen.err.getvalue() == f"warning: {LONG}\n"


@pytest.mark.parametrize(
    ("state", "colour"),
    [
        ("healthy", "green"),
        ("done", "green"),
        ("exited with code 1", "red"),
        ("starting", "yellow"),
        ("x", ""),
    ],
)
def test_a_state_has_a_colour(state: str, colour: str) -> None:
    assert step_style(state) == colour


def test_the_table_of_parts_fits_80_columns_and_says_all_of_it() -> None:
    out = io.StringIO()
    console = Console({"COLUMNS": "80"}, out, io.StringIO())
    longest = Part("postgres-exporter", "running", "unhealthy", restarts=5, memory_limit_bytes=64 * 2**20)
    rows = [part_row(WEB, 312 * 2**20, NOW), part_row(CADDY, None, NOW), part_row(longest, 2**24, NOW)]
    console.table(HEADS, rows)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ["langfuse-web", "healthy", "23", "d", "5", "h", "312/2048", "127.0.0.1:3000"]
    assert lines[2].split() == ["caddy", "unhealthy", "12", "127.0.0.1:443"]
    assert lines[3].split() == ["127.0.0.1:80"]


def test_memory_is_shown_with_its_limit_where_there_is_one() -> None:
    assert memory_words(312 * 2**20, 2 * GIB) == "312/2048"
    assert memory_words(312 * 2**20, 0) == "312"
    assert memory_words(None, GIB) == ""


def test_volumes_are_listed_by_name() -> None:
    assert data_words(["volume a_s3", "volume a_postgres"]) == "volumes a_s3, a_postgres"
    assert data_words([".stack/embedded"]) == ".stack/embedded"
    assert data_words([]) == "none yet"


def test_a_part_is_told_to_programs_with_times_and_bytes() -> None:
    class Named:
        name = EngineName.COMPOSE

    document = as_document(Named(), EngineState(running=True, parts=(WEB,)), {"langfuse-web": 5})  # type: ignore[arg-type]
    [part] = json.loads(json.dumps(document))["parts"]
    assert (part["started"], part["memory_bytes"]) == ("2026-10-29T04:00:00+00:00", 5)
    assert part["memory_limit_bytes"] == 2 * GIB
