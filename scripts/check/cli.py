"""Commands that look for problems and limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scripts.core.options import AsJson, DryRun, Yes
from scripts.engines.execution import execute

app = typer.Typer()


@app.command()
def doctor(
    only: Annotated[str, typer.Option(help="Ids or groups of checks, separated by commas.")] = "",
    as_json: AsJson = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show every check.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Fix what is safe, after asking.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Do not write anything, not even the canary.")
    ] = False,
) -> None:
    """Look at everything; say what is wrong and how to fix it."""
    from .doctor import command

    execute(
        lambda context: command.doctor(
            context,
            only=only,
            json_output=as_json,
            verbose=verbose,
            fix=fix,
            dry_run=dry_run,
            yes=yes,
            read_only=read_only,
        )
    )


@app.command()
def capacity(
    spans_per_s: Annotated[float, typer.Option(help="Average of a working day.")],
    peak: Annotated[float, typer.Option(help="Busiest minutes, as a multiple of the average.")] = 5.0,
    payload_bytes: Annotated[float, typer.Option(help="Of a span: input, output, metadata.")] = 4000.0,
    media_gib: Annotated[float, typer.Option(help="Images, audio and files, a day.")] = 0.0,
    retention_days: Annotated[int, typer.Option(help="How long spans are kept.")] = 90,
    events_days: Annotated[int, typer.Option(help="How long raw bodies are kept.")] = 30,
    backup_days: Annotated[int, typer.Option(help="How many daily backups are kept.")] = 14,
    available: Annotated[bool, typer.Option(help="Survive the loss of a node.")] = False,
    into: Annotated[Path | None, typer.Option(help="Write the disks over time as SVG.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say how many cores, how much memory and disk a load needs, and which size carries it."""
    from scripts.check.capacity.model import Load

    from .capacity import command

    load = Load(
        spans_per_s, peak, payload_bytes, media_gib, retention_days, events_days, backup_days, available
    )
    execute(lambda context: command.capacity(context, load, into=into, as_json=as_json))


@app.command()
def support_bundle(
    into: Annotated[Path | None, typer.Option(help="Archive to write; default below .stack/support.")] = None,
) -> None:
    """Write an archive for whoever helps: doctor, configuration, logs, statistics; no secrets."""
    from .support import command

    execute(lambda context: command.support_bundle(context, into=into))
