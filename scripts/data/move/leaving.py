"""The side of a move that is left: it takes spans until it is told that all of them are elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from scripts.core.errors import StackError
from scripts.core.layout import write_private
from scripts.data.backup.drivers.base import Captured
from scripts.data.backup.drivers.compose import DRAIN_S
from scripts.data.backup.drivers.compose_exchange import start_stores
from scripts.data.backup.manifest import Manifest
from scripts.data.backup.saving import Source, capture
from scripts.data.backup.sets import staged
from scripts.docker.compose import WEB, WORKER
from scripts.docker.moved import Moved, Phase, begin_move, end_move, note_phase
from scripts.engines.base import Engine, EngineName
from scripts.engines.context import Context
from scripts.settings.values import Settings
from scripts.stores import queues

from .sets import MoveSet
from .stores import MovingStores, moving_stores

BEFORE_PAUSE = timedelta(hours=1)
"""How much older than the pause a batch may be that is looked for in the new stack: it may have waited."""


@dataclass(frozen=True, slots=True)
class _Dump:
    """See Captures."""

    stores: MovingStores
    rows: Path

    def capture(self, into: Path) -> Captured:
        """See Captures."""
        return self.stores.dump(into, self.rows)


@dataclass(frozen=True, slots=True)
class Leaving:
    """A stack that moves, held by this command, with its stores within reach."""

    context: Context
    settings: Settings
    set: MoveSet
    sleep: Callable[[float], None] = time.sleep

    @property
    def stores(self) -> MovingStores:
        """Its stores."""
        return moving_stores(self.context, self.settings)

    @property
    def engine(self) -> Engine:
        """Its engine."""
        return self.context.engine(EngineName.COMPOSE, self.settings)

    def copy(self) -> str:
        """Copy objects and rows while the stack works; return what was new, in words. May be repeated."""
        self.set.make()
        write_private(self.set.env, self.context.layout.env_file.read_text(encoding="utf-8"))
        with self.context.console.working("Copying objects, which are in use"):
            copied = self.stores.copy_objects(self.set.objects)
        with self.context.console.working("Copying rows of ClickHouse, which are in use"):
            partitions = self.stores.copy_rows(self.set.rows)
        return f"{copied:,} objects and {partitions} partitions of ClickHouse copied"

    def drain(self) -> None:
        """Let the worker finish what waits; under load something always does, and comes along by itself."""
        key, url = self.settings["ADMIN_API_KEY"], self.engine.local_url
        with self.context.console.working("Waiting for empty queues"):
            deadline = time.monotonic() + DRAIN_S
            while time.monotonic() < deadline and (queues.depths(url, key) or queues.other_depths(url, key)):
                self.sleep(0.5)

    def pause(self, to: str, option: str) -> Moved:
        """Stop the worker, which ends its jobs; from then on PostgreSQL refuses changes.

        Raises:
            StackError: a deletion still waits, or a store refuses; `resume` undoes it.
        """
        services = self.context.compose(self.settings)
        moved = begin_move(self.context.layout, to, option)
        with self.context.console.working("Stopping the worker; from here on changes are refused"):
            services.stop(WORKER)
            self.stores.refuse_changes()
        left = queues.other_depths(self.engine.local_url, self.settings["ADMIN_API_KEY"])
        if deletions := [name for name in left if "delete" in name]:
            raise StackError(
                f"Deletions still wait: {', '.join(sorted(deletions))}.",
                fix="look at `make logs SERVICE=langfuse-worker`, then repeat.",
            )
        for name, jobs in sorted(left.items()):
            self.context.console.warn(f"{jobs} jobs of {name} wait and do not come along.")
        return moved

    def save(self) -> Manifest:
        """Copy what the databases refer to, and dump them; return what they hold."""
        with self.context.console.working("Copying media that came since"):
            self.stores.copy_media(self.set.objects)
        self.set.forget_databases()
        # It takes its name when it is complete.
        work = self.set.root / "making"
        source = Source(
            engine=self.engine,
            driver=_Dump(self.stores, self.set.rows),
            stack=self.settings["COMPOSE_PROJECT_NAME"],
            staging=work,
        )
        with staged(work), self.context.console.working("Dumping both databases"):
            manifest = capture(self.context, self.settings, source)
            work.rename(self.set.last)
        return manifest

    def copy_spans(self, moved: Moved) -> int:
        """Copy what came in since the pause, and shortly before; return how many objects. May be repeated."""
        with self.context.console.working("Copying spans and scores that came since"):
            return self.stores.copy_spans(moved.began - BEFORE_PAUSE, self.set.spans)

    def note(self, moved: Moved, phase: Phase) -> Moved:
        """Write down how far the move is."""
        return note_phase(self.context.layout, moved, phase)

    def stop_taking(self, moved: Moved) -> None:
        """Stop web, which answers open requests first: nothing comes in here from now on."""
        self.note(moved, Phase.FINISHED)
        with self.context.console.working("Stopping web of the old stack"):
            self.context.compose(self.settings).stop(WEB)

    def resume(self) -> None:
        """Let it work as before: changes are taken, the worker goes on with what has waited. May be repeated.

        Raises:
            StackError: a part does not start.
        """
        services, engine = self.context.compose(self.settings), self.engine
        with self.context.console.working("Resuming the old stack"):
            start_stores(services)
            self.stores.allow_changes()
            if services.states().get(WEB, ("", ""))[0] == "running":
                services.start(WORKER)
            else:
                engine.start({})
        end_move(self.context.layout)
