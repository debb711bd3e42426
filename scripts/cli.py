"""The command line: what each verb is called and takes. The work is in one module per verb."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True)

ROOT = Path(__file__).parents[1]


@app.callback()
def _langfuse_stack() -> None:
    """Run a Langfuse stack: `make` shows the same verbs as short targets."""


@app.command()
def docs(
    check: Annotated[bool, typer.Option("--check", help="Only say what is out of date; exit 1.")] = False,
) -> None:
    """Generate .env.example and docs/reference/environment.md."""
    from . import docs as verb

    for name in verb.run(ROOT, check=check):
        typer.echo(f"wrote {name}")
