"""Carry out a plan. Every step can be repeated, so that what was interrupted goes on, forth or back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from scripts.core.errors import StackError
from scripts.docker.compose import WORKER
from scripts.engines.base import Engine, EngineName
from scripts.engines.context import Context
from scripts.provision.tenancy import Bootstrap
from scripts.settings.envfile import write_values
from scripts.settings.values import Settings

from .catalog import Place
from .plan import Change, Plan, Step
from .stores import Stores


class NotVerified(StackError):
    """The new value does not work, or the former one still does."""


class Hands(Protocol):
    """What does the steps; tests put others in their place."""

    def do(self, step: Step, plan: Plan) -> None:
        """Do a step. Raises StackError."""


@dataclass(frozen=True, slots=True)
class RealHands:
    """Does the steps on a real stack.

    Attributes:
        email: whose password is changed.
    """

    context: Context
    email: str

    def do(self, step: Step, plan: Plan) -> None:
        {
            Step.STORE: self._store,
            Step.ENV: self._env,
            Step.START: self._start,
            Step.VERIFY: self._verify,
        }[step](plan)

    def _store(self, plan: Plan) -> None:
        (change,) = plan.changes
        stores = self._stores()
        if plan.secret.place is Place.POSTGRES:
            stores.set_postgres_password(change.new, [change.old, change.new])
        elif plan.secret.place is Place.USERS:
            stores.set_user_password(plan.engine, self.email, change.new)
        elif plan.secret.place is Place.BACKUPS and stores.backups_open(change.new) is False:
            stores.backups(change.old).change_password(change.new)

    def _env(self, plan: Plan) -> None:
        write_values(self.context.layout.env_file, {change.name: change.new for change in plan.changes})

    def _start(self, plan: Plan) -> None:
        engine = self._engine(plan)
        if plan.engine is EngineName.EMBEDDED:
            engine.stop()  # it reads its settings when it starts; Compose sees by itself who has to
        else:
            # It writes what it holds in memory, which it could not once a store has the new password.
            self.context.compose(self._settings()).stop(WORKER)
        engine.start(Bootstrap.load(self.context, self._settings()).init_variables())

    def _verify(self, plan: Plan) -> None:
        for change in plan.changes:
            if not self._works(plan, change, change.new):
                raise NotVerified(f"The new {change.name} does not work.", fix="see make doctor.")
            if change.old and change.old != change.new and self._works(plan, change, change.old, old=True):
                raise NotVerified(f"The former {change.name} still works.", fix="see make doctor.")

    def _works(self, plan: Plan, change: Change, value: str, *, old: bool = False) -> bool:
        stores = self._stores()
        match change.name:
            case "POSTGRES_PASSWORD" | "CLICKHOUSE_PASSWORD" | "REDIS_AUTH":
                return stores.takes(change.name, value)
            case "S3_ACCESS_KEY_ID" | "S3_SECRET_ACCESS_KEY":
                pair = {one.name: one.old if old else one.new for one in plan.changes}
                return stores.takes_keys(pair["S3_ACCESS_KEY_ID"], pair["S3_SECRET_ACCESS_KEY"])
            case "ADMIN_API_KEY":
                return stores.takes_admin_key(self._engine(plan).local_url, value)
            case "LANGFUSE_INIT_USER_PASSWORD":
                return stores.user_has_password(plan.engine, self.email, value)
            case "BACKUP_PASSWORD":
                opens = stores.backups_open(value)
                return not old if opens is None else opens
            case _:
                # Nobody but the server can try it: that it runs with the new one has to do.
                return not old and self._engine(plan).state().healthy

    def _stores(self) -> Stores:
        return Stores(self.context, self._settings())

    def _settings(self) -> Settings:
        return self.context.settings()

    def _engine(self, plan: Plan) -> Engine:
        return self.context.engine(plan.engine, self._settings())


def execute(plan: Plan, hands: Hands, say: Callable[[Step], AbstractContextManager[None]]) -> None:
    """Do all steps in their order, each inside of what `say` returns for it. Raises StackError."""
    for step in plan.steps:
        with say(step):
            hands.do(step, plan)
