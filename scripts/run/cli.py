"""Commands that start, show and stop a stack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scripts.core.options import AsJson, DryRun, Prune, Yes
from scripts.engines.execution import execute

app = typer.Typer()


@app.command()
def up() -> None:
    """Start Langfuse, create what config/stack.yaml asks for, say where everything is."""
    from scripts.run import up as command

    execute(command.up)


@app.command()
def down() -> None:
    """Stop Langfuse and keep its data."""
    from scripts.run import down as command

    execute(command.down)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show what runs, how it is, and where its data is."""
    from scripts.run import status as command

    execute(lambda context: command.status(context, as_json=as_json))


@app.command()
def logs(
    service: Annotated[str, typer.Argument(help="Only this service (compose engine).")] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many lines from the end.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep showing new lines.")] = False,
) -> None:
    """Show the log."""
    from scripts.run import logs as command

    execute(lambda context: command.logs(context, service=service, lines=lines, follow=follow))


@app.command()
def bootstrap(
    dry_run: DryRun = False, prune: Prune = False, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Make the running server what config/ describes."""
    from scripts.config import bootstrap as command

    execute(
        lambda context: command.bootstrap(context, dry_run=dry_run, prune=prune, yes=yes, as_json=as_json)
    )


@app.command()
def destroy(yes: Yes = False, dry_run: DryRun = False) -> None:
    """Delete all data and credentials, after a confirmation."""
    from scripts.run import destroy as command

    execute(lambda context: command.destroy(context, yes=yes, dry_run=dry_run))


@app.command()
def adopt(
    source: Annotated[
        Path | None, typer.Argument(help="Directory of the docker-compose.yml of another Langfuse.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Say whether that can be moved here; 2 refused, 3 with notes.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Start that one again, and stop this stack.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Take over the stack of a checkout that is gone, or a Langfuse by the official compose file."""
    if source is not None:
        from scripts.data.adopt import command

        directory = source
        execute(
            lambda context: command.adopt(
                context, source=directory, check=check or dry_run, yes=yes, undo=undo
            )
        )
    from scripts.run import adopt as own

    execute(lambda context: own.adopt(context, yes=yes, dry_run=dry_run))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def smoke(call: typer.Context) -> None:
    """Run the smoke tests (BASE_URL= for another server); further arguments go to pytest."""
    from scripts.run import smoke as command

    execute(lambda context: command.smoke(context, arguments=call.args))
