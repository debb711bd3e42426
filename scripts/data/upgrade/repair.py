"""`repair-migration`: guide out of a migration that was left unfinished, of PostgreSQL or of ClickHouse.

Prisma notes that a migration has begun before it runs it, and applies none while one is noted that did not
finish (P3009, https://www.prisma.io/docs/orm/prisma-migrate/workflows/patching-and-hotfixing). PostgreSQL
has undone what that one did, as its statements are one transaction; the exception are indexes that are made
CONCURRENTLY, which stay behind as invalid ones and are dropped. It is noted as rolled back, and web runs it
once more.

golang-migrate marks a step as dirty before it runs it, and then refuses to go on ("Dirty database version").
Where web was killed meanwhile, or the disk was full, the step is run once more from its beginning: the number
before it is forced, and web starts (https://github.com/langfuse/langfuse/issues/6639).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.core.confirmation import confirm
from scripts.core.errors import EXIT_OK, StackError, UsageError
from scripts.core.layout import only_one_command
from scripts.data.backup.drivers.compose_exchange import start_stores
from scripts.docker.compose import WEB, WORKER, Compose
from scripts.engines.base import EngineName
from scripts.engines.compose import ComposeEngine
from scripts.engines.context import Context
from scripts.engines.external_stores import within_reach, within_reach_to_look
from scripts.provision.tenancy import Bootstrap
from scripts.settings.values import Settings
from scripts.stores.clickhouse import ClickHouse
from scripts.stores.external import reach
from scripts.stores.opening import clickhouse_of, postgres_of
from scripts.stores.postgres import Postgres

from .levels import clickhouse_level

KEPT = "before-repair"
"""The backup that ClickHouse makes of itself before anything is changed."""
_RESOLVE_S = 300.0
_RESOLVE = (
    # As web/entrypoint.sh has it.
    'export DIRECT_URL="${DIRECT_URL:-$DATABASE_URL}"; '
    'exec prisma migrate resolve --schema=./packages/shared/prisma/schema.prisma --rolled-back "$0"'
)
_FAILED = (
    "SELECT json_build_object('name', migration_name, 'said', coalesce(logs, ''))"
    " FROM _prisma_migrations WHERE finished_at IS NULL AND rolled_back_at IS NULL ORDER BY started_at;"
)
_INVALID_INDEXES = (
    "SELECT to_json(i.indexrelid::regclass::text) FROM pg_index i"
    " JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE NOT i.indisvalid AND n.nspname = 'public' ORDER BY i.indexrelid::regclass::text;"
)


@dataclass(frozen=True, slots=True)
class Repair:
    """Opens the stores of one stack and fixes them."""

    context: Context
    settings: Settings

    def level(self) -> tuple[int, bool]:
        """Return the number of the last migration, and whether it is dirty. Raises StackError."""
        return clickhouse_level(self._clickhouse)

    def failed(self) -> dict[str, str]:
        """Return the migrations of PostgreSQL that did not finish, with what they said. Raises StackError."""
        if not self._postgres.has_table("_prisma_migrations"):
            return {}
        rows = [json.loads(line) for line in self._postgres.query(_FAILED).splitlines()]
        return {row["name"]: row["said"] for row in rows}

    def force(self, number: int) -> None:
        """Have golang-migrate believe that this migration was the last one.

        Raises:
            StackError: it does not.
        """
        self._clickhouse.set_migration(number)
        if self.level() != (number, False):
            raise StackError(
                f"Migration {number} was forced, and ClickHouse says {self.level()[0]}.",
                fix="look at `make logs SERVICE=clickhouse`, or at the logs of an external ClickHouse.",
            )

    def resolve(self, names: Sequence[str]) -> None:
        """Have Prisma of the web image note migrations as rolled back; drop indexes that are half made.

        Raises:
            StackError: it does not.
        """
        for line in self._postgres.query(_INVALID_INDEXES).splitlines():
            self._postgres.query(f"DROP INDEX IF EXISTS {json.loads(line)};")
        for name in names:
            self._run_in_web(_RESOLVE, name)
        if left := self.failed():
            raise StackError(
                f"PostgreSQL still has migrations that did not finish: {', '.join(left)}.",
                fix="look at `make logs SERVICE=postgres`, or at the logs of an external PostgreSQL.",
            )

    def _run_in_web(self, script: str, *arguments: str) -> None:
        self.services.run_inside(WEB, ["sh", "-c", script, *arguments], _RESOLVE_S)

    def run_postgres(self, names: Sequence[str], *, then_web: bool) -> None:
        """Do the steps for PostgreSQL; with `then_web` start web and the rest.

        Raises:
            StackError: a migration fails again, or something else does.
        """
        say = self.context.console.note
        say("[1/3] Stop web and worker")
        self.services.stop(WEB, WORKER)
        say(f"[2/3] Note as rolled back, so that it is run once more: {', '.join(names)}")
        self.resolve(names)
        if not then_web:
            return
        say("[3/3] Start web, which migrates, then the worker and all else")
        init = Bootstrap.load(self.context, self.settings).init_variables()
        try:
            self._engine().start_only(init, WEB)
        except StackError as error:
            reach(self.services)
            again = self.failed()
            raise StackError(
                f"{', '.join(again) or 'Web'} fails again: {error.message}",
                details=(*(said for said in again.values() if said), *error.details),
                fix="the lines say what it fails on: correct that and repeat; or go back: make rollback, or "
                "make restore REPLACE=1.",
            ) from error
        self._engine().start(init)

    def run(self, dirty: int) -> None:
        """Do all steps; a step that fails again leaves ClickHouse as it was before.

        Raises:
            StackError: the migration fails again, or something else does.
        """
        say, services = self.context.console.note, self.services
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
        reach(services)
        self._clickhouse.remove(KEPT)

    def _put_back(self, dirty: int, error: StackError) -> None:
        self.services.stop(WEB)
        reach(self.services)
        self._clickhouse.restore(KEPT)
        self._clickhouse.remove(KEPT)
        raise StackError(
            f"Migration {dirty} fails again: {error.message} ClickHouse is as it was before.",
            details=error.details,
            fix="the lines say what it fails on: correct that and repeat; or go back: make rollback, "
            "or make restore REPLACE=1.",
        ) from error

    @property
    def services(self) -> Compose:
        """The services of the stack."""
        return self.context.compose(self.settings)

    @property
    def _postgres(self) -> Postgres:
        return postgres_of(self.services)

    @property
    def _clickhouse(self) -> ClickHouse:
        return clickhouse_of(self.services)

    def _engine(self) -> ComposeEngine:
        context = self.context
        return ComposeEngine(
            context.layout, self.settings, context.environment, context.runner, context.console
        )


def repair_migration(context: Context, *, yes: bool, dry_run: bool) -> int:
    """The command."""
    settings = context.settings()
    if context.current_engine(settings).name is not EngineName.COMPOSE:
        raise UsageError("The embedded engine has no such migrations.", fix="make doctor")
    repair = Repair(context, settings)
    with within_reach_to_look(context, settings, EngineName.COMPOSE):
        # A start that failed has taken them down.
        start_stores(repair.services)
        failed = repair.failed()
        number, dirty = repair.level()
    if not dirty and not failed:
        context.console.print(
            f"No migration of PostgreSQL has failed, and ClickHouse is at migration {number}, which is "
            "complete: nothing to repair."
        )
        return EXIT_OK
    if failed:
        context.console.rows(postgres_rows(failed))
    if dirty:
        context.console.rows(plan_rows(number))
    if dirty and number < 2:
        raise UsageError(
            "The first migration was left unfinished: there is no data yet.", fix="make destroy, make up"
        )
    if dry_run:
        return EXIT_OK
    confirm(context.console, yes=yes)
    with only_one_command(context.layout), within_reach(context, settings, EngineName.COMPOSE):
        if failed:
            repair.run_postgres(list(failed), then_web=not dirty)
        if dirty:
            repair.run(number)
        reach(repair.services)
        after, _ = repair.level()
    context.console.print(
        f"Repaired: every migration of PostgreSQL is complete, ClickHouse is at migration {after}, web and "
        "worker run."
    )
    return EXIT_OK


def postgres_rows(failed: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what is known and what is done about migrations of PostgreSQL, for people."""
    said = [(f"{name} said", " ".join(text.split())[:300]) for name, text in failed.items() if text]
    return [
        ("Failed", f"{', '.join(failed)} of PostgreSQL: web does not start (P3009)"),
        *said,
        ("Causes", "web was killed meanwhile, a full disk, a lock that another program held"),
        ("Step 1", "stop web and worker"),
        ("Step 2", "drop indexes that were left half made, note the migration as rolled back"),
        ("Step 3", "start web, which runs it once more, then the worker and all else"),
        (
            "On failure",
            "PostgreSQL undoes a migration that fails: what it says is shown; an upgrade: make rollback",
        ),
    ]


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
