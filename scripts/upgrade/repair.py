"""`repair-migration`: guide out of a ClickHouse migration that was left unfinished.

golang-migrate marks a step as dirty before it runs it, and then refuses to go on ("Dirty database version").
Where web was killed meanwhile, or the disk was full, the step is run once more from its beginning: the number
before it is forced, and web starts (https://github.com/langfuse/langfuse/issues/6639).
"""

from __future__ import annotations

from dataclasses import dataclass

from scripts.core.context import Context
from scripts.core.engines.base import EngineName
from scripts.core.engines.compose import WEB, ComposeEngine
from scripts.core.errors import EXIT_OK, StackError, UsageError
from scripts.core.layout import only_one_verb
from scripts.core.settings.values import Settings
from scripts.provision.tenancy import Bootstrap
from scripts.stores.clickhouse import ClickHouse
from scripts.stores.services import WORKER, Services, require_bundled

from .levels import clickhouse_level
from .verb import confirm

KEPT = "before-repair"
"""The backup that ClickHouse makes of itself before anything is changed."""


@dataclass(frozen=True, slots=True)
class Repair:
    """Opens the stores of one stack and mends them."""

    context: Context
    settings: Settings

    def level(self) -> tuple[int, bool]:
        """Return the number of the last migration, and whether it is dirty. Raises StackError."""
        return clickhouse_level(self._clickhouse)

    def force(self, number: int) -> None:
        """Have golang-migrate believe that this migration was the last one.

        Raises:
            StackError: it does not.
        """
        self._clickhouse.set_migration(number)
        if self.level() != (number, False):
            raise StackError(
                f"Migration {number} was forced, and ClickHouse says {self.level()[0]}.",
                fix="look at `make logs SERVICE=clickhouse`.",
            )

    def run(self, dirty: int) -> None:
        """Do all steps; a step that fails again leaves ClickHouse as it was before.

        Raises:
            StackError: the migration fails again, or something else does.
        """
        say, services = self.context.console.note, self._services
        say("[1/4] Stop web and worker, have ClickHouse make a backup of itself")
        services.stop(WEB, WORKER)
        self._clickhouse.back_up(KEPT)
        say(f"[2/4] Force migration {dirty - 1}: {dirty} is run once more")
        self.force(dirty - 1)
        say("[3/4] Start web, which migrates")
        init = Bootstrap.load(self.context, self.settings).init_variables()
        engine = self._engine()
        try:
            engine.start_only(init, WEB)
        except StackError as error:
            self._put_back(dirty, error)
        say("[4/4] Start the worker and all else")
        engine.start(init)
        self._clickhouse.remove(KEPT)

    def _put_back(self, dirty: int, error: StackError) -> None:
        self._services.stop(WEB)
        self._clickhouse.restore(KEPT)
        self._clickhouse.remove(KEPT)
        raise StackError(
            f"Migration {dirty} fails again: {error.message} ClickHouse is as it was before.",
            details=error.details,
            fix="the lines say what it fails on: correct that and repeat; or go back: make rollback, "
            "or make restore REPLACE=1.",
        ) from error

    @property
    def _services(self) -> Services:
        context = self.context
        return Services(context.layout, self.settings, context.environment, context.runner)

    @property
    def _clickhouse(self) -> ClickHouse:
        return ClickHouse(self._services, self.settings["CLICKHOUSE_DB"])

    def _engine(self) -> ComposeEngine:
        context = self.context
        return ComposeEngine(
            context.layout, self.settings, context.environment, context.runner, context.console
        )


def run(context: Context, *, yes: bool, dry_run: bool) -> int:
    """The verb."""
    settings = context.settings()
    if context.current_engine(settings).name is not EngineName.COMPOSE:
        raise UsageError("The embedded engine has no such migrations.", fix="make doctor")
    require_bundled(settings.values)
    repair = Repair(context, settings)
    number, dirty = repair.level()
    if not dirty:
        context.console.print(f"ClickHouse is at migration {number}, which is complete: nothing to repair.")
        return EXIT_OK
    context.console.rows(plan_rows(number))
    if number < 2:
        raise UsageError(
            "The first migration was left unfinished: there is no data yet.", fix="make destroy, make up"
        )
    if dry_run:
        return EXIT_OK
    confirm(context, yes=yes)
    with only_one_verb(context.layout):
        repair.run(number)
    after, _ = repair.level()
    context.console.print(f"Repaired: ClickHouse is at migration {after}, web and worker run.")
    return EXIT_OK


def plan_rows(number: int) -> list[tuple[str, str]]:
    """Return what is known and what is done, for people."""
    return [
        ("Dirty", f"migration {number} of ClickHouse was begun and not finished; web does not start"),
        ("Causes", "web was killed meanwhile, a full disk, a wrong password, an unsuitable ClickHouse"),
        ("Step 1", "stop web and worker, have ClickHouse make a backup of itself"),
        ("Step 2", f"force migration {number - 1}, so that {number} is run once more from its beginning"),
        ("Step 3", "start web, which migrates"),
        ("Step 4", "start the worker and all else"),
        ("On failure", "ClickHouse is put back to how it was; an upgrade: make rollback"),
    ]
