"""Ask both sides of a move what decides whether it can be done. Changes nothing in either."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from scripts.core import host
from scripts.core.errors import UsageError
from scripts.core.layout import Layout, default_layout
from scripts.core.runner import SubprocessRunner
from scripts.docker.moved import read_moved
from scripts.engines.base import EngineName
from scripts.engines.context import Context
from scripts.engines.external_stores import within_reach
from scripts.engines.shell import own_environment
from scripts.settings.envfile import plan_env_change, read_env
from scripts.settings.table import GROUPS, SETTINGS
from scripts.settings.values import Settings
from scripts.stores.external import has_two_postgres_users

from .arriving import arrival, missing_secrets
from .plan import Facts
from .sets import MoveSet
from .stores import moving_stores


def other_context(context: Context, root: Path) -> Context:
    """Return the context of another checkout.

    Raises:
        UsageError: there is none, or it has no `.env`.
    """
    root = root.expanduser().resolve()
    if not (root / "compose.yaml").is_file():
        raise UsageError(
            f"{root} is not a checkout of this repository.", fix="name the directory of the new stack."
        )
    environment = other_environment(os.environ)
    layout = default_layout(root, environment)
    if not layout.env_file.exists():
        raise UsageError(
            f"{layout.env_file} does not exist: the new stack needs a name and ports that are free.",
            fix="write COMPOSE_PROJECT_NAME, LANGFUSE_PORT, S3_PORT there, and where its stores are.",
        )
    given = own_environment(layout, environment)
    return Context(layout, given.values, context.console, SubprocessRunner(root))


def other_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what names or sets the stack that it was given for."""
    ours = {setting.name for setting in SETTINGS} | {"STACK_DIR", "MAKEFLAGS"}
    return {
        name: value
        for name, value in environment.items()
        if name not in ours and not name.startswith("COMPOSE_")
    }


def name_of(context: Context) -> str:
    """Return the name of a stack."""
    return context.lenient_settings()["COMPOSE_PROJECT_NAME"]


def facts_of_old(context: Context, move_set: MoveSet) -> Facts:
    """Return what the old stack says. Raises StackError when a store does not answer."""
    settings = context.settings()
    if (settings.get("ENGINE") or context.remembered_engine()) != EngineName.COMPOSE:
        return Facts(compose=False)
    moved = read_moved(context.layout)
    stores = moving_stores(context, settings)
    with within_reach(context, settings, EngineName.COMPOSE):
        obstacles = [] if moved else stores.obstacles()
        size = 0 if obstacles or moved else stores.size()
        return Facts(
            obstacles=obstacles,
            two_users=has_two_postgres_users(settings.values),
            size=size,
            free=host.free_bytes(move_set.root),
            copied=move_set.size,
            version=settings["LANGFUSE_VERSION"],
            places=stores.places(),
        )


def facts_of_both(context: Context, move_set: MoveSet, target: Context, *, replace_data: bool) -> Facts:
    """Return what both stacks say. As above."""
    facts = facts_of_old(context, move_set)
    old = context.settings()
    own = read_env(target.layout.env_file).values()
    settings = settings_to_be(target, context.layout.env_file)
    return replace(
        facts,
        new_version=settings["LANGFUSE_VERSION"],
        same_stack=target.layout.stack_dir == context.layout.stack_dir or name_of(target) == name_of(context),
        new_places=moving_stores(target, settings).places(),
        same_key=own.get("ENCRYPTION_KEY") in (None, "", old["ENCRYPTION_KEY"]),
        has_data=has_other_data(target, settings, move_set, replace_data=replace_data),
    )


def settings_to_be(context: Context, old: Path) -> Settings:
    """Return the settings of a new stack as they are once it has what it lacks. Raises SettingsError."""
    present = context.env_file()
    made = plan_env_change(GROUPS, present, context.environment, lambda: datetime.now(UTC)).generated
    own = present.values() if present else {}
    return context.settings({**made, **missing_secrets(own, read_env(old).values())})


def is_of_this_move(layout: Layout, move_set: MoveSet) -> bool:
    """Return whether what a new stack holds came by this move, and nobody has started it meanwhile."""
    arrived, started = arrival(layout).read(), layout.langfuse_version_file
    if arrived is None or arrived.started:
        return arrived is not None and arrived.started == move_set.dumped
    begun = arrival(layout).path.stat().st_mtime
    return layout.restore_journal.exists() or not started.exists() or started.stat().st_mtime < begun


def has_other_data(context: Context, settings: Settings, move_set: MoveSet, *, replace_data: bool) -> bool:
    """Return whether a new stack holds something that this move has not brought, and that is to stay."""
    if replace_data or is_of_this_move(context.layout, move_set):
        return False
    with within_reach(context, settings, EngineName.COMPOSE):
        return moving_stores(context, settings).has_data()
