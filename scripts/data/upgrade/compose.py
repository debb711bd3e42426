"""The steps of an upgrade on the compose engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from scripts.core.errors import EXIT_OK, StackError
from scripts.data.backup import restoring, saving, sets
from scripts.data.backup.drivers.compose import EVENTS_WINDOW
from scripts.data.backup.drivers.compose_exchange import start_stores
from scripts.data.backup.manifest import Manifest
from scripts.data.backup.proof import read_back
from scripts.data.reconcile.replay import look_at_compose
from scripts.docker.compose import WEB, WORKER, Compose
from scripts.engines.compose import VERSION, ComposeEngine
from scripts.engines.context import Context
from scripts.engines.smoke import run_smoke_tests
from scripts.images import commands as images
from scripts.provision.tenancy import Bootstrap
from scripts.settings.envfile import write_values
from scripts.settings.values import Settings
from scripts.stores.external import reach

from .journal import Entry
from .levels import levels_of_stack
from .rules import Levels
from .steps import Step, Undo

REPLAY_RATE = 100.0
"""Objects that are replayed in a second on the way back."""


@dataclass(frozen=True, slots=True)
class ComposeHands:
    """See Hands.

    Attributes:
        with_smoke: whether the smoke tests decide too.
    """

    context: Context
    with_smoke: bool = True

    def do(self, step: Step, entry: Entry) -> Entry:
        match step:
            case Step.PULL:
                images.pull(with_version(self.context, entry.new))
            case Step.BACKUP:
                return self._back_up(entry)
            case Step.VERSION:
                self._write_version(entry.new)
            case Step.WEB:
                self._services().stop(WORKER)
                self._engine().start_only(self._init(), WEB)
            case Step.MIGRATIONS:
                self._see_migrations(entry)
            case Step.WORKER:
                self._engine().start(self._init())
            case Step.READ_BACK:
                self._read_back(entry)
            case Step.SMOKE:
                self._smoke()
            case _:
                raise AssertionError(step)
        return entry

    def undo(self, undo: Undo, entry: Entry) -> Entry:
        match undo:
            case Undo.VERSION:
                self._write_version(entry.old)
            case Undo.DATA:
                self._restore_data(entry)
            case Undo.START:
                self._engine().start(self._init())
            case Undo.REPLAY:
                self._replay(entry)
        return entry

    def levels(self) -> Levels:
        """Return how far both databases are migrated. Raises StackError when one does not answer."""
        services = self._services()
        # A stop or a start of the stack may have taken them along.
        reach(services)
        return levels_of_stack(services)

    def _back_up(self, entry: Entry) -> Entry:
        # Where the default has changed with the repository, .env names what runs from here on.
        self._write_version(entry.old)
        levels = self.levels()
        settings = self._settings()
        plan = saving.make_plan(self.context, settings, create=True)
        with sets.staged(plan.staging):
            manifest = saving.capture(self.context, settings, plan)
            saved = saving.store(plan, manifest)
        self.context.console.note(f"Backup {saved.snapshot_id[:8]}: {sets.content_text(manifest.contents)}")
        return replace(entry, snapshot=saved.snapshot_id, began=manifest.started, levels=asdict(levels))

    def _see_migrations(self, entry: Entry) -> None:
        levels, before = self.levels(), levels_of(entry)
        if levels.dirty or levels.unfinished:
            raise StackError(
                f"The migrations are not complete: {levels}.",
                details=levels.unfinished,
                fix="see what web said: make logs SERVICE=langfuse-web.",
            )
        if levels.postgres < before.postgres or levels.clickhouse < before.clickhouse:
            raise StackError(
                f"The databases are behind what they were: {levels}; before: {before}.",
                fix="see what web said: make logs SERVICE=langfuse-web.",
            )
        self.context.console.note(f"{levels} (before: {before})")

    def _restore_data(self, entry: Entry) -> None:
        context = self.context
        restoring.undo_unfinished(context)
        if not self._changed(entry):
            context.console.note("No migration has changed the data: it stays, with all that came in since.")
            return
        plan = restoring.make_plan(context, self._settings(), entry.snapshot)
        work = context.layout.restore_dir
        sets.require_space(work, plan.manifest.bytes)
        with sets.staged(work / "download"):
            with context.console.working(f"Fetching {sets.size_text(plan.manifest.bytes)}"):
                capture = restoring.fetch(plan, work / "download")
            restoring.put_in_place(context, plan, capture, work)

    def _changed(self, entry: Entry) -> bool:
        """Return whether the schema is another than before, or cannot be asked for."""
        try:
            start_stores(self._services())
            return self.levels().state != levels_of(entry).state
        except StackError as error:
            self.context.console.warn(f"The databases do not say what was migrated: {error.message}")
            return True

    def _read_back(self, entry: Entry) -> None:
        contents = self._manifest(entry).contents
        credentials = self.context.layout.credentials_dir
        problems, read = read_back(self._engine().local_url, credentials, contents, live=True)
        if problems:
            raise StackError(
                f"{len(problems)} samples from before the upgrade read differently now.",
                details=problems[:20],
                fix="see make logs SERVICE=langfuse-web.",
            )
        self.context.console.note(f"{read} samples from before the upgrade read as before")

    def _smoke(self) -> None:
        if self.with_smoke and run_smoke_tests(self.context, arguments=["-q"]) != EXIT_OK:
            raise StackError("The smoke tests failed.", fix="see the lines above.")

    def _replay(self, entry: Entry) -> None:
        # From before the backup on: what then waited in a queue is among it. What is stored is left alone.
        since = datetime.fromisoformat(entry.began) - EVENTS_WINDOW
        # What came in since web runs again is on its way by itself.
        uptime = self._engine().state().uptime_s or 0.0
        reach(self._services())
        until = datetime.now(UTC) - timedelta(seconds=uptime)
        found = look_at_compose(self.context, self._settings(), since, until, rate=REPLAY_RATE, check=False)
        batches, scores = sum(one.replayed for one in found), sum(one.replayed_scores for one in found)
        self.context.console.note(f"Replayed: {batches} batches of spans, {scores} scores")

    def _manifest(self, entry: Entry) -> Manifest:
        return restoring.make_plan(self.context, self._settings(), entry.snapshot).manifest

    def _write_version(self, version: str) -> None:
        write_values(self.context.layout.env_file, {VERSION: version})

    def _init(self) -> Mapping[str, str]:
        return Bootstrap.load(self.context, self._settings()).init_variables()

    def _settings(self) -> Settings:
        return self.context.settings()

    def _engine(self) -> ComposeEngine:
        context = self.context
        return ComposeEngine(
            context.layout, self._settings(), context.environment, context.runner, context.console
        )

    def _services(self) -> Compose:
        return self.context.compose(self._settings())


def with_version(context: Context, version: str) -> Context:
    """Return the context as it is with another version of Langfuse."""
    return replace(context, environment={**context.environment, VERSION: version})


def levels_of(entry: Entry) -> Levels:
    """Return the levels before the upgrade. Raises StackError where none were noted."""
    if not entry.levels:
        raise StackError(
            "The upgrade journal has no earlier migration levels.", fix="make restore BACKUP=<id>"
        )
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in entry.levels.items()
    }
    return Levels(**values)
