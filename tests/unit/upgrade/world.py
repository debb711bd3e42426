"""A stack that exists in memory only, and hands that work on it: fail or die wherever a test wants."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from scripts.core.errors import StackError
from scripts.data.upgrade.journal import Entry
from scripts.data.upgrade.steps import STEPS, Step, Undo
from scripts.engines.base import EngineName

OLD, NEW = "4.59.0", "4.60.0"
FIRST = Entry(engine=EngineName.COMPOSE, old=OLD, new=NEW, step=STEPS[EngineName.COMPOSE][0])


class Killed(BaseException):
    """The process ends: nothing of it cleans up."""


@dataclass
class World:
    """What of a stack matters here.

    Attributes:
        env: LANGFUSE_VERSION in .env.
        web, worker: versions that run; empty when stopped.
        schema: the version that has migrated the databases last.
        rows: what is stored and can be read.
        bucket: all that was acknowledged: a replay finds it there.
        backups: rows and schema by id.
    """

    env: str = OLD
    web: str = OLD
    worker: str = OLD
    schema: str = OLD
    rows: set[str] = field(default_factory=lambda: {"before"})
    bucket: set[str] = field(default_factory=lambda: {"before"})
    backups: dict[str, tuple[set[str], str]] = field(default_factory=dict)

    def acknowledge(self, name: str) -> None:
        """Take something in, while web runs."""
        if self.web:
            self.bucket.add(name)
            self.rows.add(name)

    def works_as(self, version: str) -> bool:
        """Return whether all of it is at a version, and the databases fit."""
        return {self.env, self.web, self.worker, self.schema} == {version}

    @property
    def lost(self) -> set[str]:
        """What was acknowledged and cannot be read."""
        return self.bucket - self.rows


@dataclass
class FakeHands:
    """See Hands.

    Attributes:
        fails_at, dies_at: the step, forth or back, that ends with an error, or with the process.
        late: whether that comes after the step has had its effect.
        migrates: whether the new version has migrations.
    """

    world: World
    fails_at: Step | Undo | None = None
    dies_at: Step | Undo | None = None
    late: bool = False
    migrates: bool = True
    error: Exception = field(default_factory=lambda: StackError("it failed.", fix="mend it."))
    done: list[Step | Undo] = field(default_factory=list)

    def do(self, step: Step, entry: Entry) -> Entry:
        self._begin(step)
        world = self.world
        match step:
            case Step.BACKUP:
                world.env = entry.old
                world.worker = ""
                world.backups["b1"] = (set(world.rows), world.schema)
                world.worker = entry.old
                entry = replace(entry, snapshot="b1", began="2026-11-21T08:00:00+00:00", levels={"a": 1})
                world.acknowledge("after the backup")
            case Step.VERSION:
                world.env = entry.new
            case Step.WEB:
                world.worker = ""
                if self.migrates:
                    world.schema = entry.new
                world.web = entry.new
                world.acknowledge("by the new version")
            case Step.WORKER:
                world.worker = entry.new
        self._end(step)
        return entry

    def undo(self, undo: Undo, entry: Entry) -> Entry:
        self._begin(undo)
        world = self.world
        match undo:
            case Undo.VERSION:
                world.env = entry.old
            case Undo.DATA:
                if world.schema != entry.old:
                    rows, schema = world.backups[entry.snapshot]
                    world.web = world.worker = ""
                    world.rows, world.schema = set(rows), schema
            case Undo.START:
                assert world.schema == world.env, "this version does not start on such databases"
                world.web = world.worker = world.env
            case Undo.REPLAY:
                assert world.worker == entry.old
                world.rows |= world.bucket
        self._end(undo)
        return entry

    def _begin(self, step: Step | Undo) -> None:
        self.done.append(step)
        if not self.late:
            self._break(step)

    def _end(self, step: Step | Undo) -> None:
        if self.late:
            self._break(step)

    def _break(self, step: Step | Undo) -> None:
        if step is self.dies_at:
            raise Killed
        if step is self.fails_at:
            raise self.error
