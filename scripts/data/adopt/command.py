"""`adopt FROM=`: take over a Langfuse that runs by the official compose file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scripts.core.errors import EXIT_OK, EXIT_WARNINGS, UsageError
from scripts.data.backup.sets import size_text
from scripts.docker.other_compose import OtherCompose, project_in
from scripts.engines.context import Context
from scripts.settings.table import SETTINGS

from .asking import gather, require_running
from .rules import Facts, notes, refusals
from .source import Refusal, Source, read_source, unusable

NEWEST = next(str(one.default) for one in SETTINGS if one.name == "LANGFUSE_VERSION")


def run(context: Context, *, source: Path) -> int:
    """The command. It looks, says what it found and what stands in the way, and changes nothing."""
    other = open_other(context, source)
    found, facts = look(context, other)
    show(context, other, found, facts)
    refuse([*refusals(facts, NEWEST)])
    said = [*notes(found, facts)]
    for note in said:
        context.console.warn(note)
    context.console.note("Nothing stands in the way, and nothing was changed.")
    return EXIT_WARNINGS if said else EXIT_OK


def open_other(context: Context, source: Path) -> OtherCompose:
    """Return the stack in a directory, under the name of its containers."""
    directory = source.expanduser().resolve()
    if not directory.is_dir():
        raise UsageError(f"{source} is no directory.", fix="name the directory of its docker-compose.yml.")
    settings = context.lenient_settings()
    other = OtherCompose(context.layout, settings, context.environment, context.runner, directory)
    name = project_in(other) or str(other.described().get("name", ""))
    return OtherCompose(context.layout, settings, context.environment, context.runner, directory, name)


def look(context: Context, other: OtherCompose) -> tuple[Source, Facts]:
    """Return what the stack consists of, and what it says.

    Raises:
        UsageError: it is none that can be taken over, or does not run.
    """
    containers = other.containers()
    variables = {one.service: one.environment for one in containers}
    source = read_source(other.described(), variables)
    refuse([*unusable(source)])
    require_running(containers)
    with context.console.working("Asking the other stack"):
        return source, gather(context, other, source)


def refuse(refused: Sequence[Refusal]) -> None:
    """Raise UsageError when there is anything to refuse."""
    if refused:
        raise UsageError(
            "This stack cannot be taken over as it is; nothing was changed.",
            details=[f"{one.reason} Fix: {one.fix}" for one in refused],
            fix="correct that, then repeat.",
        )


def show(context: Context, other: OtherCompose, source: Source, facts: Facts) -> None:
    """Say what was found, and what happens."""
    amounts = ", ".join(f"{count:,} {name}" for name, count in facts.rows.items())
    sizes = ", ".join(f"{name} {size_text(size)}" for name, size in facts.sizes.items())
    people = ", ".join(
        f"{name} ({', '.join(projects) or 'no project'})" for name, projects in facts.organizations
    )
    places = {group: source.place(group) for group in ("events", "media")}
    context.console.rows(
        [
            ("Found", f"{other.name} in {other.directory}: Langfuse {facts.version}"),
            ("Stores", f"PostgreSQL {facts.postgres}, ClickHouse {facts.clickhouse}; {sizes}"),
            ("Content", amounts),
            ("Organizations", people),
            *((group, f"{place.bucket}/{place.prefix}") for group, place in places.items()),
            ("Variables", ", ".join(source.carried()) or "none beside those of the stores"),
        ]
    )
