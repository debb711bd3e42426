"""`plan` and `bootstrap`: compare `config/stack.yaml` with the running server, show it, make it so."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

from scripts.api.client import ATTEMPTS, Api
from scripts.core.confirmation import confirm
from scripts.core.console import Console
from scripts.core.errors import EXIT_DRIFT, EXIT_OK, EngineError
from scripts.core.layout import only_one_command
from scripts.engines.base import Engine
from scripts.engines.context import Context
from scripts.provision import show
from scripts.provision.applying import apply, refuse_other_secrets
from scripts.provision.plan import ProjectPlan
from scripts.provision.run import planned, shown_plans, unreadable
from scripts.provision.tenancy import Bootstrap
from scripts.settings.values import Settings


def bootstrap(
    context: Context,
    *,
    dry_run: bool,
    check: bool = False,
    prune: bool = False,
    yes: bool = False,
    as_json: bool = False,
) -> int:
    """The command: plan, show, apply. With `check`, a plan with changes ends with exit code 3."""
    settings = context.settings()
    desired = Bootstrap.load(context, settings)
    engine = running_engine(context, settings)
    refuse_other_secrets(context, engine, settings)
    lock = nullcontext() if dry_run else only_one_command(context.layout)
    with lock, Api(engine.local_url, attempts=ATTEMPTS) as api:
        desired = desired.with_current_keys()
        with context.console.working("Comparing"):
            tenancy = desired.plan(engine, api, first_was_created=False, prune=prune)
        with planned(desired, tenancy, engine.local_url, prune=prune) as runs:
            for line in unreadable(runs):
                context.console.warn(line)
            plans = shown_plans(desired, tenancy, runs)
            show_plans(context.console, plans, as_json=as_json)
            if dry_run:
                return EXIT_DRIFT if check and any(plan.changes for plan in plans) else EXIT_OK
            count = len(tenancy.pruned) + sum(len(run.plan.deletions) for run in runs)
            if count:
                what = "this object" if count == 1 else f"these {count} objects"
                confirm(
                    context.console,
                    f"Delete {what} for good?",
                    yes=yes,
                    refusal="The deletion was not confirmed; nothing was changed.",
                    fix="make bootstrap PRUNE=1 YES=1 asks nothing; without PRUNE nothing is deleted.",
                )
            desired.keep_new_keys()
            done, written = apply(context.console, desired, engine, api, tenancy, runs)
    if not as_json and (done or written):
        context.console.print(
            f"{show.plural(done, 'change')} made, {show.plural(written, 'credentials file')} written."
        )
    return EXIT_OK


def running_engine(context: Context, settings: Settings) -> Engine:
    """Return the engine that runs. Raises EngineError when none does, or not where the settings say."""
    engine = context.current_engine(settings)
    state = engine.state()
    if not state.running:
        raise EngineError(f"The {engine.name} engine does not run.", fix="start it: make up")
    if state.url != engine.local_url:
        raise EngineError(
            f"The {engine.name} engine runs at {state.url}, but the settings say {engine.local_url}.",
            fix="set LANGFUSE_PORT (and LANGFUSE_BIND_ADDRESS) in .env as it was started, or start it anew.",
        )
    return engine


def show_plans(console: Console, plans: Sequence[ProjectPlan], *, as_json: bool) -> None:
    """Print the plans."""
    if as_json:
        console.print(show.as_json(plans))
        return
    for text, style in show.lines(plans):
        console.styled(text, style)
    console.print(show.summary(plans))
