"""Commands that measure and alert."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scripts.core.options import AsJson, DryRun, OtherEngine
from scripts.engines.execution import execute

app = typer.Typer()


@app.command()
def alerts(dry_run: DryRun = False) -> None:
    """Check config/alerts.yaml and compile it for Prometheus and Alertmanager."""
    from .alerts import command

    execute(lambda context: command.alerts(context, dry_run=dry_run))


@app.command()
def alerts_check(
    project: Annotated[str, typer.Option(help="Only this project.")] = "",
    base_url: OtherEngine = "",
) -> None:
    """Evaluate all alerts now against the running engine."""
    from .alerts import check as command

    execute(lambda context: command.alerts_check(context, project=project, base_url=base_url))


@app.command()
def exporter() -> None:
    """Serve Prometheus metrics about the server and the applications."""
    from .exporter import command

    execute(command.exporter)


@app.command()
def dashboard(
    output: Annotated[Path | None, typer.Option(help="Where to; default .stack/dashboard.html.")] = None,
    base_url: OtherEngine = "",
) -> None:
    """Write the overview of the last seven days, and all alerts, as one HTML page."""
    from .dashboard import command

    execute(lambda context: command.dashboard(context, output=output, base_url=base_url))


@app.command()
def report(
    project: Annotated[str, typer.Option(help="Project id (default: all projects).")] = "",
    into: Annotated[Path | None, typer.Option(help="Directory; default .stack/report/.")] = None,
    base_url: OtherEngine = "",
) -> None:
    """Show cost, latency, errors and scores of 7 and 30 days; write them as CSV, JSON and an HTML page."""
    from .report import command

    execute(lambda context: command.report(context, project=project, into=into, base_url=base_url))


@app.command()
def judges(
    project: Annotated[str, typer.Option(help="Project id (default: all projects).")] = "",
    judge: Annotated[str, typer.Option(help="Score of the judge (default: all that people gave, too).")] = "",
    human: Annotated[str, typer.Option(help="Score of people (default: that of the judge).")] = "",
    source: Annotated[str, typer.Option(help="Of people's scores: annotation or api.")] = "annotation",
    days: Annotated[int, typer.Option(help="How far back.")] = 90,
    threshold: Annotated[float, typer.Option(help="Of kappa, or r for numbers: its least value.")] = 0.6,
    coverage: Annotated[str, typer.Option(help="Compare this score's mean with --target instead.")] = "",
    target: Annotated[float, typer.Option(help="The coverage that was promised.")] = 0.9,
    base_url: OtherEngine = "",
    as_json: AsJson = False,
) -> None:
    """Compare judges with people on the same items: is this judge to be trusted?"""
    from .judges import command

    options = command.Options(
        project, judge, human, source, days, threshold, coverage, target, base_url, as_json
    )
    execute(lambda context: command.judges(context, options))


@app.command()
def canary() -> None:
    """Write a span and a score, read them back, say how long that took."""
    from .exporter import canary_command as command

    execute(command.canary)
