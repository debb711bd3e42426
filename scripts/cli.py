"""The command line: what each verb is called and takes. The work is in one module per verb."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated

import click
import typer

from .core.console import Console
from .core.context import Context
from .core.errors import EXIT_INTERRUPTED, EXIT_OK, StackError
from .core.layout import default_layout
from .core.runner import SubprocessRunner

ROOT = Path(__file__).resolve().parents[1]

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; return the exit code: 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)  # a cancelled CI job cleans up as Ctrl-C does
    try:
        code = app(argv, prog_name="python -m scripts", standalone_mode=False)
    except StackError as error:
        Console().error(error)
        return error.exit_code
    except click.exceptions.Abort:
        Console().note("Interrupted. Nothing is left half done; repeat the command to go on.")
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return code if isinstance(code, int) else EXIT_OK


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _context() -> Context:
    return Context(default_layout(ROOT, os.environ), os.environ, Console(), SubprocessRunner(ROOT))


@app.callback()
def _langfuse_stack() -> None:
    """Run a Langfuse stack. `make` shows the same verbs as short targets."""


@app.command()
def up() -> int:
    """Start Langfuse, create what config/stack.yaml asks for, say where everything is."""
    from . import up as verb

    return verb.run(_context())


@app.command()
def down() -> int:
    """Stop Langfuse and keep its data."""
    from . import down as verb

    return verb.run(_context())


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> int:
    """Show what runs, how it is, and where its data lies."""
    from . import status as verb

    return verb.run(_context(), as_json=as_json)


@app.command()
def logs(
    service: Annotated[str, typer.Argument(help="Only this service (compose engine).")] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many lines from the end.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on showing new lines.")] = False,
) -> int:
    """Show the log."""
    from . import logs as verb

    return verb.run(_context(), service=service, lines=lines, follow=follow)


@app.command()
def bootstrap(dry_run: DryRun = False) -> int:
    """Create what config/stack.yaml asks for and the running server lacks."""
    from . import bootstrap as verb

    return verb.run(_context(), dry_run=dry_run)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def smoke(context: typer.Context) -> int:
    """Run the smoke tests (BASE_URL= for another server); further arguments go to pytest."""
    from . import smoke as verb

    return verb.run(_context(), arguments=context.args)


@app.command()
def destroy(yes: Yes = False, dry_run: DryRun = False) -> int:
    """Delete all data and credentials, after a confirmation."""
    from . import destroy as verb

    return verb.run(_context(), yes=yes, dry_run=dry_run)


@app.command()
def docs(
    check: Annotated[bool, typer.Option("--check", help="Only say what is out of date; exit 1.")] = False,
) -> int:
    """Generate .env.example and docs/reference/environment.md from the settings table."""
    from . import docs as verb

    for name in verb.run(ROOT, check=check):
        typer.echo(f"wrote {name}")
    return EXIT_OK


@app.command()
def selftest(
    sdk4_python: Annotated[Path, typer.Option(help="Python of the environment with SDK 4.")] = Path(
        ".venv-sdk4/bin/python"
    ),
) -> int:
    """Test this repository: its own tests, then the smoke tests with SDK 5 and SDK 4."""
    from . import selftest as verb

    return verb.run(_context(), sdk4_python=sdk4_python)
