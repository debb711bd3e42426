"""The command line: what each command is called and takes, in the groups of `make help`.

The work is in one module or package per command, imported when the command is called.
"""

from __future__ import annotations

import sys

import typer

from scripts.check import cli as check
from scripts.config import cli as config
from scripts.core.console import Console
from scripts.core.errors import UsageError
from scripts.data import cli as data
from scripts.develop import cli as develop
from scripts.images import cli as images
from scripts.run import cli as run
from scripts.watch import cli as watch

PROGRAM = "python -m scripts"

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
for group in (run, config, images, data, watch, check, develop):
    app.add_typer(group.app)


@app.callback()
def _langfuse_stack() -> None:
    """Run a Langfuse stack. `make` shows the same commands as short targets."""


def main() -> None:
    """Run the command that the arguments name; tell a wrong call as any other error, exit code 2."""
    try:
        sys.exit(app(sys.argv[1:] or ["--help"], prog_name=PROGRAM, standalone_mode=False))
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else PROGRAM
        fix = f"make help GROUP=all shows what each target takes; {command} --help explains it."
        refusal = UsageError(error.format_message(), fix=fix)
        Console().error(refusal)
        sys.exit(refusal.exit_code)
