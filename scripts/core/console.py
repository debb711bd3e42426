"""What commands say to people: steps while they work, then a result. Plain lines where nobody watches.

Every text is made printable here: names and messages from outside may hold what a terminal obeys.
"""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal, TextIO

from rich.console import Console as RichConsole
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.progress import Progress
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from .errors import StackError
from .outside import printable

WAITING = "waiting"
RIGHT_COLUMNS = frozenset({"Memory MiB", "Restarts"})


class Console:
    """Output of one command: results on `out`, progress and complaints on `err`."""

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self._out = RichConsole(file=out or sys.stdout, highlight=False, soft_wrap=True)
        self._err = RichConsole(file=err or sys.stderr, highlight=False, soft_wrap=True)
        self._animated = self._err.is_terminal and not environment.get("CI")

    def print(self, text: str = "") -> None:
        """Print a line of the result."""
        self._out.print(_lines(text))

    def rows(self, rows: Sequence[tuple[str, str]]) -> None:
        """Print labelled lines of the result, values aligned."""
        width = max((len(label) for label, _ in rows), default=0)
        for label, value in rows:
            fitted = _fitted(self._out, value, before=width + 2, indent=width + 2)
            self._out.print(Text.assemble((_cell(f"{label:<{width}}"), "bold"), "  ", fitted))

    def note(self, text: str) -> None:
        """Say in one line what was found or done."""
        self._err.print(_fitted(self._err, text))

    def warn(self, text: str) -> None:
        """Say what is not right but no obstacle."""
        self._err.print(Text.assemble(("warning: ", "yellow"), _fitted(self._err, text, before=9)))

    def error(self, error: StackError) -> None:
        """Show an expected failure: what happened, details, fix. A fix stays one line: it may be copied."""
        self._err.print(Text.assemble(("error: ", "bold red"), _fitted(self._err, error.message, before=7)))
        for line in error.details:
            self._err.print(Text.assemble("  ", _fitted(self._err, line, before=2, indent=4)))
        if error.fix:
            self._err.print(Text.assemble(("fix: ", "green"), _lines(error.fix)))

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that something takes a while: a spinner on a terminal, else one line."""
        if not self._animated:
            self.note(f"{text} ...")
            yield
            return
        with self._err.status(_lines(text)):
            yield

    @contextmanager
    def steps(self, text: str) -> Iterator[Callable[[Mapping[str, str]], None]]:
        """Show how the parts of something get on. The body reports the state of each part, by name.

        On a terminal a table that stays where it is; else a line whenever a part gets into another state.
        """
        begin = time.monotonic()
        seen: dict[str, tuple[str, float]] = {}

        def note_changes(states: Mapping[str, str]) -> dict[str, str]:
            now = time.monotonic() - begin
            changed = {name: state for name, state in states.items() if seen.get(name, ("",))[0] != state}
            seen.update({name: (state, now) for name, state in changed.items()})
            return changed

        def print_changes(states: Mapping[str, str]) -> None:
            now = time.monotonic() - begin
            for name, state in note_changes(states).items():
                if state != WAITING:
                    self.note(f"{now:5.0f} s  {name}: {state}")

        if not self._animated:
            self.note(f"{text} ...")
            yield print_changes
            return
        spinner = Spinner("dots", _lines(text))
        with Live(spinner, console=self._err, transient=True, refresh_per_second=8) as live:

            def draw(states: Mapping[str, str]) -> None:
                note_changes(states)
                live.update(_steps_table(spinner, seen))

            yield draw
        for name, (state, at) in seen.items():
            self._err.print(
                Text.assemble(
                    (f"{at:5.0f} s  ", "dim"), _cell(f"{name:<18}"), (_cell(state), step_style(state))
                )
            )

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table of the result; a column of states is coloured where the terminal has colours."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for head in heads:
            # What does not fit goes on in the last column, and nowhere else.
            justify: Literal["right", "left"] = "right" if head in RIGHT_COLUMNS else "left"
            table.add_column(head, no_wrap=head != heads[-1], overflow="fold", justify=justify)
        for row in rows:
            table.add_row(*(Text(_cell(cell), style=step_style(cell)) for cell in row))
        self._out.print(table, soft_wrap=False)

    def styled(self, text: str, style: str) -> None:
        """Print a line of the result in a colour (`green`, `dim`, ...) where the terminal has colours.

        On a terminal what does not fit goes on in the next line at the same indent.
        """
        text = printable(text, lines=True)
        if not self._out.is_terminal:
            self._out.print(Text(text))
            return
        bare = text.lstrip(" ")
        indent = (0, 0, 0, len(text) - len(bare))
        self._out.print(Padding(Text(bare, style=style), indent, expand=False), soft_wrap=False)

    @contextmanager
    def progress(self, text: str, total: int) -> Iterator[Callable[[], None]]:
        """Show how far something is: a bar on a terminal, else one line. The body calls what it gets."""
        if not self._animated or not total:
            if total:
                self.note(f"{text} ({total}) ...")
            yield lambda: None
            return
        with Progress(console=self._err, transient=True) as bar:
            task = bar.add_task(escape(_cell(text)), total=total)
            yield lambda: bar.advance(task)

    def ask(self, question: str) -> str | None:
        """Return what the person types, or None where nobody can."""
        if not sys.stdin or not sys.stdin.isatty():
            return None
        try:
            return input(question)
        except EOFError:
            return None


def _fitted(console: RichConsole, text: str, *, before: int = 0, indent: int = 2) -> Text:
    """Return the text in lines of a terminal's width, broken between words; as it is where nobody watches.

    `before` is the width of what stands before it, `indent` that of what stands before further lines.
    """
    if not console.is_terminal:
        return _lines(text)
    lines: list[str] = []
    for line in printable(text, lines=True).split("\n"):
        first = " " * (indent if lines else before)
        wrapped = textwrap.wrap(
            line,
            console.width,
            initial_indent=first,
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines += wrapped or [""]
    return Text("\n".join(lines)[before:])


def _lines(text: str) -> Text:
    return Text(printable(text, lines=True))


def _cell(text: str) -> str:
    return printable(text)


def step_style(state: str) -> str:
    """Return the colour of the words for a state."""
    if state in {"healthy", "done"}:
        return "green"
    if state.startswith(("unhealthy", "exited", "dead", "restarting")):
        return "red"
    return "yellow" if state.startswith(("starting", "created")) else ""


def _steps_table(spinner: Spinner, seen: Mapping[str, tuple[str, float]]) -> Table:
    """A heading that moves, and below it a line for each part."""
    table = Table.grid(padding=(0, 2, 0, 0))
    rows = Table.grid(padding=(0, 2, 0, 2))
    for name, (state, at) in seen.items():
        when = f"{at:4.0f} s" if state != WAITING else ""
        rows.add_row(_lines(name), Text(_cell(state), style=step_style(state)), Text(when, style="dim"))
    table.add_row(spinner)
    table.add_row(rows)
    return table
