"""`plan` and `bootstrap`: compare `config/stack.yaml` with the running server, show it, make it so."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

from .core.api import Api
from .core.console import Console
from .core.context import Context
from .core.engines.base import Engine
from .core.errors import EXIT_DRIFT, EXIT_OK, EngineError, UsageError
from .core.layout import only_one_verb
from .provision import show
from .provision.plan import ProjectPlan
from .provision.run import ProjectRun, apply_all, planned, shown_plans
from .provision.tenancy import Bootstrap, TenancyPlan


def run(
    context: Context,
    *,
    dry_run: bool,
    check: bool = False,
    prune: bool = False,
    yes: bool = False,
    as_json: bool = False,
) -> int:
    """The verb: plan, show, apply. With `check`, a plan with changes ends with exit code 3."""
    settings = context.settings()
    bootstrap = Bootstrap.load(context, settings)
    engine = context.current_engine(settings)
    if not engine.state().running:
        raise EngineError(f"The {engine.name} engine does not run.", fix="start it: make up")
    lock = nullcontext() if dry_run else only_one_verb(context.layout)
    with lock, Api(engine.local_url) as api:
        with context.console.working("Comparing"):
            tenancy = bootstrap.plan(engine, api, first_was_created=False)
        with planned(bootstrap, tenancy, engine.local_url, prune=prune) as runs:
            plans = shown_plans(bootstrap, tenancy, runs)
            show_plans(context.console, plans, as_json=as_json)
            if dry_run:
                return EXIT_DRIFT if check and any(plan.changes for plan in plans) else EXIT_OK
            confirm_deletions(context.console, runs, yes=yes)
            bootstrap.keep_new_keys()
            done, written = apply(context.console, bootstrap, engine, api, tenancy, runs)
    if not as_json and (done or written):
        context.console.print(f"{done} changes made, {written} credentials files written.")
    return EXIT_OK


def apply(
    console: Console,
    bootstrap: Bootstrap,
    engine: Engine,
    api: Api,
    tenancy: TenancyPlan,
    runs: Sequence[ProjectRun],
) -> tuple[int, int]:
    """Make all changes; return how many, and how many credentials files were written. Raises StackError."""
    written = bootstrap.apply(engine, api, tenancy)
    total = sum(len(run.plan.doable) for run in runs)
    with console.progress("Applying config/", total) as advance:
        done = apply_all(runs, done=lambda _change: advance())
    return done + len(tenancy.changes) + len(tenancy.retired) + len(tenancy.members), written


def show_plans(console: Console, plans: Sequence[ProjectPlan], *, as_json: bool) -> None:
    """Print the plans."""
    if as_json:
        console.print(show.as_json(plans))
        return
    for text, style in show.lines(plans):
        console.styled(text, style)
    console.print(show.summary(plans))


def confirm_deletions(console: Console, runs: Sequence[ProjectRun], *, yes: bool) -> None:
    """Ask before anything of the content is deleted. Raises UsageError without a yes."""
    count = sum(len(run.plan.deletions) for run in runs)
    if not count or yes:
        return
    answer = console.ask(f"Delete these {count} objects for good? Type yes: ")
    if answer != "yes":
        raise UsageError(
            "The deletion was not confirmed; nothing was changed.",
            fix="make bootstrap PRUNE=1 YES=1 asks nothing; without PRUNE nothing is deleted.",
        )
