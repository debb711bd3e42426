"""`adopt`: take over the containers and volumes of a checkout that is gone, after a confirmation."""

from __future__ import annotations

from pathlib import Path

from scripts.core.confirmation import confirm_name
from scripts.core.errors import UsageError
from scripts.core.layout import only_one_command, write_private
from scripts.docker.identity import Owner, other_owner, read_identity, remains_of, take_over
from scripts.engines.base import EngineName
from scripts.engines.context import Context


def adopt(context: Context, *, yes: bool, dry_run: bool) -> int:
    """The command. Changes nothing in Docker: from then on this checkout may act on what is there."""
    project = context.lenient_settings()["COMPOSE_PROJECT_NAME"]
    remains = remains_of(context.runner, project, context.environment)
    if remains.unreachable:
        raise UsageError("Docker does not answer; nothing was changed.", fix="start Docker, then repeat.")
    owner = other_owner(context.layout, project, remains)
    if owner is None:
        what = "is this stack's already" if remains.all else "is not there"
        context.console.print(f"Nothing to take over: what is called {project} in Docker {what}.")
        return 0
    refuse_living_owner(context, owner)
    context.console.print(f"To be taken over by {context.layout.root}:")
    for thing in (*remains.containers, *remains.volumes):
        context.console.print(f"  {thing.text}{f' (made by {thing.path})' if thing.path else ''}")
    if not context.layout.env_file.exists():
        name = context.layout.shown(context.layout.env_file)
        context.console.warn(f"the secrets of these data are not here: bring their {name} before make up")
    if dry_run:
        return 0
    if not yes:
        confirm_name(context.console, project, fix="make adopt YES=1", unchanged="nothing was taken over")
    with only_one_command(context.layout):
        take_over(context.layout, project, remains)
        write_private(context.layout.engine_file, f"{EngineName.COMPOSE}\n")
    context.console.print("Taken over. make up starts it, make destroy deletes it.")
    return 0


def refuse_living_owner(context: Context, owner: Owner) -> None:
    """Raise UsageError when the other checkout is there with its directory: two would act on one stack."""
    if not owner.path or Path(owner.path) == context.layout.root:
        return
    theirs = Path(owner.path) / ".stack" / context.layout.identity_file.name
    try:
        known = read_identity(theirs)
    except OSError as error:
        raise UsageError(
            f"{theirs} cannot be looked at ({error.strerror}); nothing was taken over.",
            fix="run make adopt as the user who owns that checkout, or as root.",
        ) from error
    if known is not None:
        raise UsageError(
            f"The checkout that these belong to is still at {owner.path}; nothing was taken over.",
            fix=f"use that one; or give it up: make -C {owner.path} down, then delete {theirs}.",
        )
