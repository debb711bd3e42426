"""Commands that keep data safe, move it and delete it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scripts.core.options import Apply, AsJson, Backup, BaseUrl, DryRun, Yes
from scripts.engines.execution import execute

app = typer.Typer()


@app.command()
def backup(dry_run: DryRun = False) -> None:
    """Save all stores, settings and keys as one encrypted set; works under load."""
    from .backup import backup as command

    execute(lambda context: command.backup(context, dry_run=dry_run))


@app.command()
def backups(as_json: AsJson = False) -> None:
    """List the backups."""
    from .backup import listing as command

    execute(lambda context: command.backups(context, as_json=as_json))


@app.command()
def backup_verify(
    backup: Backup = "latest",
    read_all: Annotated[
        bool, typer.Option("--read-all", help="Read every byte of the repository too.")
    ] = False,
) -> None:
    """Prove that a backup restores: in a throw-away engine, compared by content."""
    from .backup import verify as command

    execute(lambda context: command.backup_verify(context, backup=backup, read_all=read_all))


@app.command()
def restore(
    backup: Backup = "latest",
    dry_run: DryRun = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the data that is there.")] = False,
    only: Annotated[str, typer.Option(help="Only these stores of the engine, separated by commas.")] = "",
    smoke: Annotated[bool, typer.Option(help="Run the smoke tests at the end.")] = True,
) -> None:
    """Put a backup in place; what was there stays until the new state has proven itself."""
    from .backup import restore as command

    stores = [store for store in only.split(",") if store]
    execute(
        lambda context: command.restore(
            context, backup=backup, dry_run=dry_run, replace_data=replace, with_smoke=smoke, only=stores
        )
    )


@app.command()
def reconcile(
    since: Annotated[str, typer.Option(help="From when on: 24h, 7d or a time.")] = "24h",
    until: Annotated[str, typer.Option(help="To when; default a minute ago.")] = "",
    rate: Annotated[float, typer.Option(help="Batches replayed in a second at most.", min=0.1)] = 100,
    check: Annotated[
        bool, typer.Option("--check", help="Only look; exit 3 when something is missing.")
    ] = False,
    show: Annotated[str, typer.Option(help="Id of a span or trace: print it as it was sent.")] = "",
) -> None:
    """Find what was acknowledged and cannot be read, and replay it."""
    from .reconcile import command

    execute(
        lambda context: command.reconcile(
            context, since=since, until=until, rate=rate, check=check, show=show
        )
    )


@app.command()
def export(
    into: Annotated[Path, typer.Option(help="New directory, or that of an interrupted export.")],
    project: Annotated[str, typer.Option(help="Project of this stack.")] = "",
    base_url: BaseUrl = "",
    file_format: Annotated[str, typer.Option("--format", help="parquet, jsonl or csv.")] = "parquet",
    kinds: Annotated[str, typer.Option(help="Kinds, separated by commas (default: all).")] = "",
    where: Annotated[list[str] | None, typer.Option(help="Filter such as from=2026-01-01T00:00:00Z.")] = None,
) -> None:
    """Write a project's data to files by day, with a checksummed manifest; a repeated call goes on."""
    from .transfer import export as command

    execute(
        lambda context: command.export(
            context,
            project=project,
            base_url=base_url,
            into=into,
            file_format=file_format,
            kinds=[kind for kind in kinds.split(",") if kind],
            where=where or (),
        )
    )


@app.command("import")
def load(
    source: Annotated[Path | None, typer.Argument(help="Directory of an export.")] = None,
    project: Annotated[str, typer.Option(help="Project of this stack.")] = "",
    base_url: BaseUrl = "",
    from_url: Annotated[
        str, typer.Option(help="Read this server; its key is in FROM_PUBLIC_KEY and FROM_SECRET_KEY.")
    ] = "",
    dry_run: DryRun = False,
) -> None:
    """Load an export, or the project of another server, into a project; ids stay."""
    from .transfer import between, load

    if (source is None) == (not from_url):
        raise typer.BadParameter("name the directory of an export, or --from-url.")
    if source is None:
        execute(
            lambda context: between.load_from_server(
                context, project=project, base_url=base_url, from_url=from_url, dry_run=dry_run
            )
        )
    execute(
        lambda context: load.load(
            context, project=project, base_url=base_url, source=source or Path(), dry_run=dry_run
        )
    )


@app.command()
def promote(dry_run: DryRun = False) -> None:
    """Move this stack from the embedded engine to the compose engine."""
    from .transfer import promote as command

    execute(lambda context: command.promote(context, dry_run=dry_run))


@app.command()
def move(
    to: Annotated[Path | None, typer.Option(help="Checkout of the new stack, on this host.")] = None,
    into: Annotated[Path | None, typer.Option(help="Directory for a new stack on another host.")] = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="Such a directory: take what is in it.")
    ] = None,
    pause: Annotated[bool, typer.Option("--pause", help="With --into: stop changes, add the rest.")] = False,
    finish: Annotated[bool, typer.Option("--finish", help="Bring over what still came in; stop.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Give the old stack its place back.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the data of the new stack.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Move this stack to another one, such as external stores or another host, while it takes spans."""
    from .move import asking, command

    given = [place for place in (to, into, source) if place]
    if len(given) > 1 or not (given or undo):
        raise typer.BadParameter("name one: --to, --into or --from.")
    options = command.Options(
        dry_run=dry_run, yes=yes, pause=pause, finish=finish, undo=undo, replace=replace
    )
    if to:
        place = to
        execute(lambda context: command.move_to(context, asking.other_context(context, place), options))
    elif into:
        directory = into
        execute(lambda context: command.move_into(context, directory, options))
    elif source:
        directory = source
        execute(lambda context: command.move_from(context, directory, options))
    execute(lambda context: command.move_back(context, options))


@app.command()
def retention(apply: Apply = False) -> None:
    """Show the traces that config/retention.yaml lets go; with --apply, delete them."""
    from .retention import retention as command

    execute(lambda context: command.retention(context, apply=apply))


@app.command()
def erase(
    way: Annotated[str, typer.Argument(help="user, session, trace or tag.")],
    value: Annotated[str, typer.Argument(help="Its id.")],
    apply: Apply = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Search every store for what is left; 1 when something is.")
    ] = False,
    by: Annotated[str, typer.Option(help="Who is responsible; named in the record.")] = "",
) -> None:
    """Show everything of a person, session, trace or tag; with --apply, delete it and leave a record."""
    from .retention import erase as command

    execute(lambda context: command.erase(context, way=way, value=value, apply=apply, verify=verify, by=by))


@app.command()
def upgrade(
    to: Annotated[str, typer.Argument(help="Version of Langfuse; default that of this repository.")] = "",
    check: Annotated[bool, typer.Option("--check", help="Only look; 1 refused, 3 with notes.")] = False,
    yes: Yes = False,
    smoke: Annotated[bool, typer.Option(help="The smoke tests decide too.")] = True,
    allow: Annotated[str, typer.Option(help="Findings to ignore, separated by commas.")] = "",
) -> None:
    """Go to another version: checked, backed up, proven; all the way back by itself when a step fails."""
    from .upgrade import command

    allowed = [name for name in allow.split(",") if name]
    execute(
        lambda context: command.upgrade(context, to=to, check=check, yes=yes, with_smoke=smoke, allow=allowed)
    )


@app.command()
def rollback(
    check: Annotated[bool, typer.Option("--check", help="Only show what it would do.")] = False,
    yes: Yes = False,
) -> None:
    """Go back to before the last upgrade, finished or not."""
    from .upgrade import command

    execute(lambda context: command.rollback(context, yes=yes, check=check))


@app.command()
def repair_migration(dry_run: DryRun = False, yes: Yes = False) -> None:
    """Finish a migration that was left unfinished (P3009, "Dirty database version")."""
    from .upgrade import repair as command

    execute(lambda context: command.repair_migration(context, yes=yes, dry_run=dry_run))


@app.command()
def repair_queues(dry_run: DryRun = False, yes: Yes = False) -> None:
    """Cut off what a power cut has left at the end of Valkey's file, which does not start with it."""
    from .upgrade import repair_queues as command

    execute(lambda context: command.repair_queues(context, yes=yes, dry_run=dry_run))
