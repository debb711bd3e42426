"""The side of a move that takes over: objects first, then both databases, compared before anything starts."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from scripts.core.errors import StackError
from scripts.core.journal import Journal
from scripts.core.layout import Layout, write_private
from scripts.data.backup.drivers.compose_exchange import start_stores
from scripts.data.backup.manifest import Manifest
from scripts.data.backup.restoring import Incoming, put_in_place, refuse_external, undo_unfinished
from scripts.data.backup.sets import STORES, staged
from scripts.docker.compose import WEB, WORKER
from scripts.docker.moved import end_move
from scripts.engines.base import Engine, EngineName
from scripts.engines.context import Context
from scripts.settings.envfile import plan_env_change, read_env, write_env_change, write_values
from scripts.settings.table import GROUPS
from scripts.settings.values import Settings
from scripts.stores.clickhouse_tables import INDEX

from .sets import MoveSet
from .stores import CONTENT, MovingStores, loaded_file, moving_stores, read_content

CARRIED = ("SALT", "ENCRYPTION_KEY", "NEXTAUTH_SECRET")
"""The secrets that data and logins need."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """What a stack has taken over.

    Attributes:
        source: the name of the old stack.
        started: when the dump was begun that it took, or empty.
    """

    source: str
    started: str = ""


@dataclass(frozen=True, slots=True)
class Arriving:
    """A stack that takes over, held by this command, with its stores within reach."""

    context: Context
    settings: Settings
    set: MoveSet

    @property
    def stores(self) -> MovingStores:
        """Its stores."""
        return moving_stores(self.context, self.settings)

    @property
    def engine(self) -> Engine:
        """Its engine."""
        return self.context.engine(EngineName.COMPOSE, self.settings)

    @property
    def has_taken(self) -> bool:
        """Whether it holds the databases as they were dumped last."""
        arrived = arrival(self.context.layout).read()
        return arrived is not None and arrived.started == self.set.dumped != ""

    def put(self, source: str) -> str:
        """Put objects and rows into its stores, beside what is in use; return how many, in words.

        May be repeated. Objects are read back.
        """
        layout = self.context.layout
        undo_unfinished(self.context)
        arrival(layout).save(Arrived(source))
        start_stores(self.context.compose(self.settings))
        with self.context.console.working("Putting objects into the new stack, and reading them back"):
            count = self.stores.put_objects(self.set.objects, self._proven)
        partitions = 0
        if (self.set.rows / INDEX).exists():
            with self.context.console.working("Putting rows into the new ClickHouse"):
                partitions = self.stores.put_rows(self.set.rows, loaded_file(layout))
        return f"{count:,} objects and {partitions} partitions of ClickHouse put there"

    def put_media(self) -> int:
        """Do so with what has come since, and belongs to the databases."""
        return self.stores.put_objects(self.set.objects, self._proven, ("media",))

    def take(self, manifest: Manifest) -> int:
        """Put both databases in place, compare them with the old ones, start; return the lines compared.

        Raises:
            StackError: they are not the same, or it does not start; what was there before is back.
        """
        context, layout = self.context, self.context.layout
        self.stores.allow_changes()  # where this stack was left by an earlier move
        work = layout.restore_dir
        with staged(work / "download"):
            # Files change places by renaming, and the set may lie on another disk.
            capture = work / "download" / "set"
            shutil.copytree(self.set.last, capture, ignore=shutil.ignore_patterns(STORES))
            (capture / STORES).symlink_to(self.set.last / STORES)
            put_in_place(context, Incoming(manifest=manifest), capture, work, moving_stores)
        content = self.set.last / STORES / CONTENT
        write_private(_content(layout), content.read_text(encoding="utf-8"))
        self.stores.remove_other_media(self.set.objects)
        self._settled.unlink(missing_ok=True)
        end_move(layout)
        arrival(layout).save(Arrived(manifest.stack, manifest.started))
        return len(read_content(content))

    def take_spans(self) -> int:
        """Take what came into the old stack meanwhile; return how many objects. May be repeated."""
        with self.context.console.working("Taking spans and scores that came in meanwhile"):
            return self.stores.take_spans(self.set.spans, self._settled)

    def stop_taking(self) -> None:
        """Stop web and worker; the stores stay within reach."""
        with self.context.console.working("Stopping web and worker of the new stack"):
            self.context.compose(self.settings).stop(WEB, WORKER)

    def changes(self) -> list[str]:
        """Return what was changed here since the move, a line a table: it would be lost."""
        before = read_content(_content(self.context.layout))
        now = self.stores.content()
        names = sorted({*before, *now})
        return [
            name.removeprefix("postgres ")
            for name in names
            if name.startswith("postgres ") and before.get(name) != now.get(name)
        ]

    def forget(self) -> None:
        """Forget that anything was taken."""
        layout = self.context.layout
        try:
            start_stores(self.context.compose(self.settings))
            self.stores.forget_rows(loaded_file(layout))
        except StackError as error:
            self.context.console.warn(
                f"Tables langfuse_moving_* may be left in its ClickHouse: {error.message}"
            )
        for path in (arrived_file(layout), _content(layout), self._settled, self._proven):
            path.unlink(missing_ok=True)

    @property
    def _proven(self) -> Path:
        return self.context.layout.stack_dir / "move-proven.txt"

    @property
    def _settled(self) -> Path:
        return self.context.layout.stack_dir / "move-settled.txt"


def arrival(layout: Layout) -> Journal[Arrived]:
    """Return where a stack keeps what it has taken over, or has begun to."""
    return Journal(arrived_file(layout), Arrived, "remove it, then repeat.")


def bring_settings(context: Context, old: Path) -> None:
    """Give a stack what it lacks of the settings of the old one: the secrets of its data, or all of `.env`.

    Raises:
        Refused: that `.env` names external stores, and nobody has said that they are meant.
    """
    env_file = context.layout.env_file
    if not env_file.exists():
        written = replace(context, layout=replace(context.layout, env_file=old)).settings()
        refuse_external(context, written, old)
        write_private(env_file, old.read_text(encoding="utf-8"))
        return
    missing = missing_secrets(read_env(env_file).values(), read_env(old).values())
    if missing:
        write_values(env_file, missing)
    change = plan_env_change(GROUPS, context.env_file(), context.environment, lambda: datetime.now(UTC))
    write_env_change(env_file, change)


def missing_secrets(own: Mapping[str, str], old: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets that the data needs and a new stack has no value for."""
    return {name: old[name] for name in CARRIED if old.get(name) and not own.get(name)}


def arrived_file(layout: Layout) -> Path:
    """Return where a stack notes what it has taken over."""
    return layout.stack_dir / "move-in.json"


def _content(layout: Layout) -> Path:
    return layout.stack_dir / "move-content.json"
