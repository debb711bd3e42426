"""What verbs say to people: steps while they work, then a result. Plain lines where nobody watches."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console as RichConsole
from rich.progress import Progress
from rich.text import Text

from .errors import StackError


class Console:
    """Output of one verb: results on `out`, progress and complaints on `err`."""

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
        self._out.print(Text(text))

    def rows(self, rows: Sequence[tuple[str, str]]) -> None:
        """Print labelled lines of the result, values aligned."""
        width = max((len(label) for label, _ in rows), default=0)
        for label, value in rows:
            self._out.print(Text.assemble((f"{label:<{width}}", "bold"), "  ", value))

    def note(self, text: str) -> None:
        """Say in one line what was found or done."""
        self._err.print(Text(text))

    def warn(self, text: str) -> None:
        """Say what is not right but no obstacle."""
        self._err.print(Text.assemble(("warning: ", "yellow"), text))

    def error(self, error: StackError) -> None:
        """Show an expected failure: what happened, details, fix."""
        self._err.print(Text.assemble(("error: ", "bold red"), error.message))
        for line in error.details:
            self._err.print(Text(f"  {line}"))
        if error.fix:
            self._err.print(Text.assemble(("fix: ", "green"), error.fix))

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that something takes a while: a spinner on a terminal, else one line."""
        if not self._animated:
            self.note(f"{text} ...")
            yield
            return
        with self._err.status(text):
            yield

    def styled(self, text: str, style: str) -> None:
        """Print a line of the result in a colour (`green`, `dim`, ...) where the terminal has colours."""
        self._out.print(Text(text, style=style))

    @contextmanager
    def progress(self, text: str, total: int) -> Iterator[Callable[[], None]]:
        """Show how far something is: a bar on a terminal, else one line. The body calls what it gets."""
        if not self._animated or not total:
            if total:
                self.note(f"{text} ({total}) ...")
            yield lambda: None
            return
        with Progress(console=self._err, transient=True) as bar:
            task = bar.add_task(text, total=total)
            yield lambda: bar.advance(task)

    def ask(self, question: str) -> str | None:
        """Return what the person types, or None where nobody can."""
        if not sys.stdin or not sys.stdin.isatty():
            return None
        try:
            return input(question)
        except EOFError:
            return None
