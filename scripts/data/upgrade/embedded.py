"""The steps of an upgrade of the embedded engine's data to the schema of this version of the repository."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.core.errors import EXIT_OK, StackError
from scripts.core.layout import write_private
from scripts.data.backup.sets import require_space, size_text
from scripts.engines.base import EngineName
from scripts.engines.context import Context
from scripts.engines.embedded import EmbeddedEngine
from scripts.engines.embedded_schema import DATABASES, known_levels, levels_text, newer, older, stored_levels
from scripts.engines.smoke import run_smoke_tests
from scripts.provision.tenancy import Bootstrap

from .journal import Entry
from .rules import Finding
from .steps import Step, Undo

Counts = dict[str, int]

_OF_A_PROCESS = ("engine.pid", "engine.lock")
_MEDIA = "media"


@dataclass(frozen=True, slots=True)
class EmbeddedHands:
    """See Hands. The data is copied while the engine stands still; media, which never change, are linked.

    Attributes:
        with_smoke: whether the smoke tests decide too.
    """

    context: Context
    with_smoke: bool = True

    def do(self, step: Step, entry: Entry) -> Entry:
        match step:
            case Step.COPY:
                return self._copy(entry)
            case Step.START:
                self._engine().start(self._init())
                write_private(self.context.layout.engine_file, f"{EngineName.EMBEDDED}\n")
            case Step.READ_BACK:
                self._compare(entry)
            case Step.SMOKE:
                if self.with_smoke and run_smoke_tests(self.context, arguments=["-q"]) != EXIT_OK:
                    raise StackError("The smoke tests failed.", fix="see the lines above.")
            case _:
                raise AssertionError(step)
        return entry

    def undo(self, undo: Undo, entry: Entry) -> Entry:
        """See Hands. What the upgraded engine has taken in stays beside the data: nothing is thrown away."""
        layout = self.context.layout
        self._engine().stop()
        if layout.before_upgrade_dir.exists():
            if layout.embedded_dir.exists():
                shutil.rmtree(layout.after_upgrade_dir, ignore_errors=True)
                layout.embedded_dir.rename(layout.after_upgrade_dir)
            layout.before_upgrade_dir.rename(layout.embedded_dir)
        return entry

    def _copy(self, entry: Entry) -> Entry:
        layout = self.context.layout
        source, target = layout.embedded_dir, layout.before_upgrade_dir
        require_space(layout.stack_dir, size_of(source))
        self._engine().stop()
        partial = target.with_name(f"{target.name}.partial")
        for path in (partial, target):
            shutil.rmtree(path, ignore_errors=True)
        copy_data(source, partial)
        problems = damage(partial)
        if problems:
            raise StackError(
                "The data is damaged.", details=problems, fix="restore a backup: make restore REPLACE=1."
            )
        counts = row_counts(partial)
        partial.rename(target)
        return replace(entry, levels={"counts": counts})

    def _compare(self, entry: Entry) -> None:
        stored = stored_levels(self.context.layout.embedded_dir)
        if levels_text(stored) != entry.new:
            raise StackError(f"The data is at {levels_text(stored)}, not at {entry.new}.")
        found = row_counts(self.context.layout.embedded_dir)
        before: Counts = entry.levels["counts"]
        # A table that is gone was made into something else; rows may have been added meanwhile.
        lost = [
            f"{table}: {found[table]} rows, {count} before"
            for table, count in before.items()
            if table in found and found[table] < count
        ]
        if lost:
            raise StackError("Rows are missing after the upgrade.", details=lost)
        self.context.console.note(f"{sum(before.values()):,} rows in {len(before)} tables are there")

    def _init(self) -> Mapping[str, str]:
        return Bootstrap.load(self.context, self.context.settings()).init_variables()

    def _engine(self) -> EmbeddedEngine:
        return engine_of(self.context)


def engine_of(context: Context) -> EmbeddedEngine:
    """Return the embedded engine of a stack."""
    return EmbeddedEngine(
        context.layout, context.settings(), context.environment, context.runner, context.console
    )


@dataclass(frozen=True, slots=True)
class Schemas:
    """What a data directory has, and what this version knows."""

    stored: Mapping[str, int]
    known: Mapping[str, int]

    @property
    def old(self) -> str:
        """The schemas on disk, as the journal names them."""
        return levels_text(self.stored)

    @property
    def new(self) -> str:
        """The schemas of this version."""
        return levels_text(self.known)


def read_schemas(context: Context) -> Schemas:
    """Return both. Raises StackError when one cannot be told."""
    engine = engine_of(context)
    known = known_levels(context.runner, engine.python, engine.module, context.environment)
    return Schemas(stored_levels(context.layout.embedded_dir), known)


def examine(schemas: Schemas) -> Sequence[Finding]:
    """Return what is in the way."""
    if newer(schemas.stored, schemas.known):
        text = f"A newer version has written the data: it has {schemas.old}, this one knows {schemas.new}."
        return [Finding("newer", text, "check out that version, or a newer one")]
    return []


def needed(schemas: Schemas) -> bool:
    """Return whether there is anything to do."""
    return older(schemas.stored, schemas.known)


def size_of(directory: Path) -> int:
    """Return the bytes of all databases in a data directory: what a copy of it needs."""
    return sum(path.stat().st_size for path in directory.glob("*") if path.is_file())


def rows(context: Context, schemas: Schemas) -> list[tuple[str, str]]:
    """Return the plan for people."""
    layout = context.layout
    return [
        ("Data", f"{schemas.old}, to {schemas.new}"),
        ("Copy", f"{size_text(size_of(layout.embedded_dir))} to {layout.shown(layout.before_upgrade_dir)}"),
    ]


def copy_data(source: Path, target: Path) -> None:
    """Copy the data of an engine that stands still; media files, which never change, are linked."""
    ignored = shutil.ignore_patterns(*_OF_A_PROCESS)
    shutil.copytree(source, target, ignore=lambda path, names: {*ignored(path, names), _MEDIA})
    if (source / _MEDIA).is_dir():
        shutil.copytree(source / _MEDIA, target / _MEDIA, copy_function=_link_or_copy)


def damage(directory: Path) -> list[str]:
    """Return what SQLite complains about, a line each."""
    found = []
    for name in DATABASES:
        try:
            with closing(_open(directory / name)) as db:
                said = [str(row[0]) for row in db.execute("pragma quick_check(3)")]
        except sqlite3.Error as error:
            said = [str(error)]
        found += [f"{name}: {line}" for line in said if line != "ok"]
    return found


def row_counts(directory: Path) -> Counts:
    """Return the rows of all tables of all databases.

    Raises:
        StackError: one cannot be read.
    """
    counts: Counts = {}
    for name in DATABASES:
        try:
            with closing(_open(directory / name)) as db:
                tables = [row[0] for row in db.execute("select name from sqlite_schema where type = 'table'")]
                for table in tables:
                    statement = f'select count(*) from "{table}"'  # noqa: S608 - named by the database
                    counts[f"{name}.{table}"] = db.execute(statement).fetchone()[0]
        except sqlite3.Error as error:
            raise StackError(f"{directory / name} cannot be read: {error}.") from error
    return counts


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=60)


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
    return target
