"""Make what a plan of all projects says, where the secrets fit the data."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.api.client import Api
from scripts.core.console import Console
from scripts.engines import data_secrets
from scripts.engines.base import Engine
from scripts.engines.context import Context
from scripts.settings.values import Settings

from .run import ProjectRun, apply_all
from .tenancy import Bootstrap, TenancyPlan


def refuse_other_secrets(context: Context, engine: Engine, settings: Settings) -> None:
    """Raise UsageError when there are data that cannot be read with the secrets of `.env`."""
    if not engine.data():
        return
    data_secrets.refuse_other(context.layout, engine.name, settings)
    if told := data_secrets.other_salt(context.layout, engine.name, settings):
        context.console.warn(told)


def apply(
    console: Console,
    bootstrap: Bootstrap,
    engine: Engine,
    api: Api,
    tenancy: TenancyPlan,
    runs: Sequence[ProjectRun],
) -> tuple[int, int]:
    """Make all changes; return how many, and how many credentials files were written. Raises StackError."""
    written, renewed = bootstrap.apply(engine, api, tenancy)
    for run in runs:
        if run.credentials.stem in renewed:
            run.use(renewed[run.credentials.stem])
    total = sum(len(run.plan.doable) for run in runs)
    with console.progress("Applying config/", total) as advance:
        done = apply_all(runs, done=lambda _change: advance())
    shown = (*tenancy.organizations, *map(tenancy.of_project, bootstrap.stack.projects))
    return done + sum(len(plan.doable) for plan in shown), written
