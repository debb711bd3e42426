"""`promote`: move a stack from the embedded engine to the compose engine; projects, keys and ids stay."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scripts.core.errors import EXIT_OK, UsageError
from scripts.core.layout import write_private
from scripts.core.waiting import Look, wait_until
from scripts.engines.base import Engine, EngineName
from scripts.engines.context import Context
from scripts.provision.starting import start_stack

from . import export, load
from .files import load_manifest
from .remote import TransferError, remote_of

_READABLE_S = 1800.0


def promote(context: Context, *, dry_run: bool) -> int:
    """The command. The embedded engine's data stays where it is; after a failure it is the engine again."""
    settings = context.settings()
    source = context.engine(EngineName.EMBEDDED, settings)
    projects = sorted(path.stem for path in context.layout.credentials_dir.glob("*.env"))
    if context.current_engine(settings).name is not EngineName.EMBEDDED or not source.data():
        raise UsageError(
            "This stack does not run on the embedded engine: there is nothing to promote.",
            fix="make status shows its engine.",
        )
    context.console.note(f"To be moved to the compose engine: {', '.join(projects)}")
    if dry_run:
        return EXIT_OK
    work = context.layout.stack_dir / "promote"
    export_all(context, source, projects, work)
    target = replace(context, environment={**context.environment, "ENGINE": EngineName.COMPOSE})
    source.stop()
    try:
        write_private(context.layout.engine_file, f"{EngineName.COMPOSE}\n")
        start_stack(target)
        for project in projects:
            load.load(target, project=project, base_url="", source=work / project, dry_run=False)
            wait_until_there(target, project, work / project)
    except BaseException:
        target.engine(EngineName.COMPOSE, target.lenient_settings()).stop()
        write_private(context.layout.engine_file, f"{EngineName.EMBEDDED}\n")
        source.start({})
        context.console.warn("The embedded engine runs again, with all its data. Repeat to go on.")
        raise
    shutil.rmtree(work)
    kept = context.layout.shown(context.layout.embedded_dir)
    context.console.print(
        f"Promoted. {kept} still holds the data as it was: remove it when you miss nothing."
    )
    return EXIT_OK


def export_all(context: Context, source: Engine, projects: Sequence[str], work: Path) -> None:
    """Export every project. What an interrupted promotion exported goes: it may be older than the data."""
    shutil.rmtree(work, ignore_errors=True)
    source.start({})
    for project in projects:
        export.export(
            context,
            project=project,
            base_url="",
            into=work / project,
            file_format="jsonl",
            kinds=(),
            where=(),
        )


def wait_until_there(context: Context, project: str, exported: Path) -> None:
    """Return when as many observations can be read as were exported; a worker may take a while.

    Raises:
        StackError: they do not arrive.
    """
    manifest = load_manifest(exported)
    if manifest is None:
        raise TransferError(f"{exported} is gone.", fix="repeat make promote.")
    wanted = manifest.rows("observations")
    with remote_of(context, project) as remote:

        def look() -> Look:
            pages = remote.by_cursor("v2/observations", {"fields": "core", "limit": 1000})
            found = sum(len(page) for page, _ in pages)
            return Look(done=found >= wanted, state=f"{found:,} of {wanted:,} observations are there")

        with context.console.working(f"Waiting for {wanted:,} observations of {project}"):
            wait_until(
                look,
                what=f"Not all observations of {project} arrived",
                timeout_s=_READABLE_S,
                last_lines=list,
                fix="look at `make logs SERVICE=langfuse-worker`, then repeat.",
                interval_s=2,
            )
