"""`destroy`: delete the data of the engine and the credentials of its projects, after a confirmation."""

from __future__ import annotations

import shutil

from scripts.core.confirmation import confirm_name
from scripts.core.layout import only_one_command
from scripts.engines import data_secrets
from scripts.engines.context import Context


def destroy(context: Context, *, yes: bool, dry_run: bool) -> int:
    """The command. `.env` stays: it holds the operator's settings, and secrets that backups need."""
    settings = context.lenient_settings()
    engine = context.current_engine(settings)
    layout = context.layout
    own = [path for path in (layout.credentials_dir, layout.engine_file, *layout.move_files) if path.exists()]
    doomed = [*engine.data(), *(layout.shown(path) for path in own)]
    if not doomed:
        context.console.print("There is nothing to delete.")
        return 0
    context.console.print(f"To be deleted for good, with everything in it ({engine.name} engine):")
    for name in doomed:
        context.console.print(f"  {name}")
    if dry_run:
        return 0
    if not yes:
        name = settings["COMPOSE_PROJECT_NAME"]
        confirm_name(context.console, name, fix="make destroy YES=1", unchanged="nothing was deleted")
    with only_one_command(layout):
        engine.destroy()
        data_secrets.forget(layout, engine.name, settings)
        for path in own:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    context.console.print(f"Deleted. {layout.shown(layout.env_file)} stays.")
    return 0
