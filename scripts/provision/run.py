"""The content of all projects: planned and applied one project after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from scripts.api.client import ATTEMPTS, Api

from .apply import apply_project
from .credentials import Credentials
from .kinds import KINDS
from .plan import Desired, ProjectPlan, actual_state, plan_project
from .resources import Change
from .server import Server
from .stack import Project
from .tenancy import Action, Bootstrap, Step, TenancyPlan, accepts


@dataclass(slots=True)
class ProjectRun:
    """One project on its way: what is desired, the plan, and the server as far as it could be asked."""

    project: Project
    credentials: Credentials
    desired: Desired
    plan: ProjectPlan
    server: Server
    asked: bool

    def use(self, credentials: Credentials) -> None:
        """Go on with another key: the one of before turned out to be dead."""
        base_url = self.server.base_url
        self.server.close()
        self.credentials = credentials
        self.server = Server(base_url, credentials.public_key, credentials.secret_key)


@contextmanager
def planned(
    bootstrap: Bootstrap, tenancy: TenancyPlan, base_url: str, *, prune: bool
) -> Iterator[list[ProjectRun]]:
    """Yield the plans of all projects that have content in the files.

    Projects without any are not looked into. A project that does not exist yet is planned as an empty one.

    Raises:
        ApiError: the server does not answer as expected.
    """
    runs: list[ProjectRun] = []
    try:
        for step in tenancy.steps:
            desired = bootstrap.desired.get(step.project.id)
            if not step.first or desired is None:
                continue
            asked = step.action is Action.KEEP
            keys = step.credentials
            if not asked and (replaced := replaced_key(bootstrap, step, base_url)):
                # What the project has is seen, and changed, with the key that works until the next run.
                keys, asked = replaced, True
            server = Server(base_url, keys.public_key, keys.secret_key)
            run = ProjectRun(step.project, keys, desired, ProjectPlan(step.project.id, ()), server, asked)
            runs.append(run)
            actual = actual_state(server, desired) if asked else {kind.name: () for kind in KINDS}
            run.plan = plan_project(step.project.id, desired, actual, prune=prune)
        yield runs
    finally:
        for run in runs:
            run.server.close()


def unreadable(runs: Sequence[ProjectRun]) -> list[str]:
    """Return a line for each object on the server that could not be read."""
    return [f"{run.project.id}: {line}" for run in runs for line in run.server.unreadable]


def replaced_key(bootstrap: Bootstrap, step: Step, base_url: str) -> Credentials | None:
    """Return the key that a rotation replaces, where the server still takes it."""
    old = bootstrap.store.working(step.credentials)
    if old is None or old.public_key == step.credentials.public_key:
        return None
    with Api(base_url, attempts=ATTEMPTS) as api:
        return old if accepts(api, old) else None


def apply_all(runs: Sequence[ProjectRun], done: Callable[[Change], None]) -> int:
    """Apply the plans; return how many changes were made. Raises ApiError."""
    count = 0
    for run in runs:
        plan = run.plan
        if not run.asked:
            # It may have been there all along, known by a key that was lost: never delete unseen.
            actual = actual_state(run.server, run.desired)
            plan = plan_project(run.project.id, run.desired, actual)
        count += apply_project(run.server, plan, done)
    return count


def shown_plans(bootstrap: Bootstrap, tenancy: TenancyPlan, runs: Sequence[ProjectRun]) -> list[ProjectPlan]:
    """Return the plans of organizations and projects with all their changes, for showing."""
    plans = list(tenancy.organizations)
    by_id = {run.project.id: run.plan for run in runs}
    for project in bootstrap.stack.projects:
        own, plan = tenancy.of_project(project), by_id.get(project.id, ProjectPlan(project.id, ()))
        plans.append(
            ProjectPlan(
                project.id, (*own.changes, *plan.changes), (*own.left, *plan.left), own.kept + plan.kept
            )
        )
    return plans
