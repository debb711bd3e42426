"""Check without impact, then start the engine, create what is wanted, and say where everything is."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

from scripts.api.client import ATTEMPTS, Api
from scripts.core.errors import EngineError, StackError, UsageError
from scripts.core.layout import only_one_command, write_private
from scripts.engines import data_secrets
from scripts.engines.base import Engine, EngineName
from scripts.engines.context import Context
from scripts.settings.envfile import EnvChange, EnvFile, plan_env_change, write_env_change
from scripts.settings.rules import advice
from scripts.settings.server_variables import unknown_name_hint
from scripts.settings.table import GROUPS, SETTINGS
from scripts.settings.values import Settings

from .applying import apply, refuse_other_secrets
from .run import planned, unreadable
from .tenancy import Bootstrap


def start_stack(context: Context) -> None:
    """Start the stack. Safe to repeat. Raises StackError."""
    # No impact yet: everything that can be wrong is found before anything is written or started.
    env_change = plan_env_change(GROUPS, context.env_file(), context.environment, lambda: datetime.now(UTC))
    settings = context.settings(env_change.generated)
    refuse_lost_secrets(context, env_change)
    warn_of_misspelt(context)
    for text in advice(settings.values):
        context.console.warn(text)
    bootstrap = Bootstrap.load(context, settings)
    warn_of_projects_left_alone(context, bootstrap)
    with context.console.working("Looking for an engine"):
        choice = context.choose(settings)
    context.console.note(f"Engine: {choice.engine} ({choice.reason})")
    if choice.warning:
        context.console.warn(choice.warning)
    engine = context.engine(choice.engine, settings)
    refuse_second_engine(context, choice.engine, settings)
    refuse_other_secrets(context, engine, settings)
    refuse_obstacles(engine)

    # Impact.
    with only_one_command(context.layout):
        write_env(context, env_change)
        bootstrap = bootstrap.with_current_keys()
        bootstrap.keep_new_keys()
        started = engine.start(bootstrap.init_variables())
        write_private(context.layout.engine_file, f"{engine.name}\n")
        with Api(engine.local_url, attempts=ATTEMPTS) as api:
            tenancy = bootstrap.plan(engine, api, first_was_created=started)
            with planned(bootstrap, tenancy, engine.local_url, prune=False) as runs:
                for line in unreadable(runs):
                    context.console.warn(line)
                apply(context.console, bootstrap, engine, api, tenancy, runs)
            version = api.version()
            first = bootstrap.with_current_keys().credentials[0]
            organization = api.organization_name((first.public_key, first.secret_key))
        data_secrets.note(context.layout, engine.name, settings)
    if not started:
        context.console.note("It was running already.")
    show_summary(context, engine, bootstrap, version, organization)


def refuse_lost_secrets(context: Context, change: EnvChange) -> None:
    """Raise UsageError where there are data, and the secrets they were written with are gone.

    With a new ENCRYPTION_KEY the server starts, and cannot read the secrets it keeps.
    """
    lost = [name for name in data_secrets.NEEDED if name in change.generated]
    if not lost or not (context.remembered_engine() or data_secrets.noted(context.layout)):
        return
    name = context.layout.shown(context.layout.env_file)
    raise UsageError(
        f"{' and '.join(lost)} of this stack's data {'is' if len(lost) == 1 else 'are'} not in {name}; "
        "nothing was started.",
        fix=f"bring {name} back, from your copy or a backup (docs/how-to/back-up-and-restore.md); "
        "or delete the data: make destroy.",
    )


def warn_of_misspelt(context: Context) -> None:
    """Name the lines of `.env` that nothing reads there and that someone meant for Langfuse."""
    known = {setting.name for setting in SETTINGS}
    env_file = context.env_file() or EnvFile()
    unused = known - env_file.values().keys()
    for assignment in env_file.assignments:
        if assignment.name in known:
            continue
        if hint := unknown_name_hint(assignment.name, unused):
            place = f"{context.layout.shown(context.layout.env_file)}:{assignment.line}"
            context.console.warn(f"{assignment.name} ({place}) {hint}")


def warn_of_projects_left_alone(context: Context, bootstrap: Bootstrap) -> None:
    """Name the projects that have keys here and that the configuration does not describe, or no longer."""
    layout = context.layout
    described = {project.id for project in bootstrap.stack.projects}
    others = sorted({path.stem for path in layout.credentials_dir.glob("*.env")} - described)
    if others:
        file, keys = layout.shown(layout.stack_file), layout.shown(layout.credentials_dir)
        context.console.warn(
            f"{file} does not name the projects {', '.join(others)}, whose keys are in {keys}: the server "
            "keeps them as they are (docs/how-to/keep-your-configuration.md)."
        )


def refuse_second_engine(context: Context, chosen: EngineName, settings: Settings) -> None:
    """Raise StackError when the other engine of this stack still runs."""
    remembered = context.remembered_engine()
    if not remembered or remembered == chosen:
        return
    if context.engine(EngineName(remembered), settings).state().running:
        raise StackError(
            f"The {remembered} engine of this stack runs.",
            fix=f"stop it first: make down ENGINE={remembered}",
        )


def refuse_obstacles(engine: Engine) -> None:
    """Raise EngineError with everything that a start would fail on."""
    obstacles = engine.obstacles()
    if len(obstacles) == 1:
        raise EngineError(obstacles[0].reason, fix=obstacles[0].fix)
    if obstacles:
        raise EngineError(
            f"{len(obstacles)} problems prevent the {engine.name} engine from starting; nothing was changed.",
            details=[f"{obstacle.reason} Fix: {obstacle.fix}" for obstacle in obstacles],
        )


def write_env(context: Context, change: EnvChange) -> None:
    """Create or complete `.env` and say so."""
    try:
        write_env_change(context.layout.env_file, change)
    except OSError as error:
        raise StackError(
            f"{context.layout.env_file} cannot be written: {error.strerror}.",
            fix="make the file and its directory writable for this user.",
        ) from error
    if said := change.summary(context.layout.shown(context.layout.env_file)):
        context.console.note(said)
    for path in (context.layout.env_file, context.layout.root / ".env.langfuse"):
        close_to_others(context, path)


def close_to_others(context: Context, path: Path) -> None:
    """Take the right to read a file with secrets from everybody but its owner; say so."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            path.chmod(mode & 0o700)
            context.console.note(f"Made {context.layout.shown(path)} readable for its owner only.")
    except FileNotFoundError:
        return
    except PermissionError:
        context.console.warn(
            f"{context.layout.shown(path)} can be read by others, and belongs to another user: "
            "let its owner run chmod 600 on it"
        )


def show_summary(
    context: Context, engine: Engine, bootstrap: Bootstrap, version: str, organization: str
) -> None:
    """Say in five lines where everything is and what to do next."""
    layout, stack = context.layout, bootstrap.stack
    files = [layout.shown(bootstrap.store.path(project.id)) for project in stack.projects]
    projects = ", ".join(project.name for project in stack.projects)
    env_name = layout.shown(layout.env_file)
    context.console.rows(
        [
            ("Langfuse", f"{bootstrap.settings['NEXTAUTH_URL']} ({engine.name} engine, API {version})"),
            ("Projects", f"{projects} in organization {organization or stack.organization.name}"),
            ("Login", f"{stack.admin.email}, password: LANGFUSE_INIT_USER_PASSWORD in {env_name}"),
            ("API keys", files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more there"),
            ("Next", "make smoke (test it), make status, make logs, make down"),
        ]
    )
