"""`adopt FROM=`: take over a Langfuse that runs by the official compose file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scripts.core.confirmation import confirm_name
from scripts.core.errors import EXIT_OK, EXIT_WARNINGS, UsageError
from scripts.core.layout import write_private
from scripts.data.backup.sets import size_text
from scripts.docker.other_compose import OtherCompose, project_in
from scripts.engines.context import Context
from scripts.settings.table import SETTINGS

from . import taking
from .asking import gather_facts, require_running
from .journal import journal_of
from .proposal import proposal
from .rules import Facts, notes, refusals
from .source import Refusal, Source, read_source, unusable

NEWEST = next(str(one.default) for one in SETTINGS if one.name == "LANGFUSE_VERSION")


def adopt(context: Context, *, source: Path, check: bool, yes: bool, undo: bool) -> int:
    """The command. With `check` it looks, says what it found, and changes nothing."""
    other = open_other(context, source)
    if undo:
        taking.undo(context, other)
        context.console.print("The old stack runs again. What is here stays until make destroy.")
        return EXIT_OK
    begun = journal_of(context.layout).read()
    if begun and begun.done:
        raise UsageError(
            f"This stack has taken over {begun.directory} already; nothing was changed.",
            fix="start the old one again: make adopt FROM=... UNDO=1.",
        )
    if begun and not check:
        context.console.note("An adoption did not get to its end: the old stack is started first.")
        taking.start_again(context, other, begun)
        taking.wait_for_web(context, other)
    found, facts = look(context, other)
    show(context, other, found, facts)
    refuse([*refusals(replace(facts, has_data=facts.has_data and begun is None), NEWEST)])
    said = [*notes(found, facts)]
    for note in said:
        context.console.warn(note)
    if check:
        context.console.note("Nothing prevents taking it over, and nothing was changed.")
        return EXIT_WARNINGS if said else EXIT_OK
    context.console.print(
        "Its web and worker are stopped, its stores are copied as an encrypted backup, all of it is stopped "
        "for good and this stack is started with the copy. Applications cannot send meanwhile."
    )
    if not yes:
        unchanged = "nothing was changed"
        confirm_name(context.console, other.name, fix="make adopt FROM=... YES=1", unchanged=unchanged)
    taking.take_over(context, other, found, facts)
    finish(context, facts)
    return EXIT_OK


def finish(context: Context, facts: Facts) -> None:
    """Write what config/local/stack.yaml should say, and say what is next."""
    text, left = proposal(facts.organizations)
    path = context.layout.stack_dir / "adopted-stack.yaml"
    write_private(path, text)
    for line in left:
        context.console.warn(f"{line} cannot be in config/local/stack.yaml; it stays on the server as it is.")
    context.console.rows(
        [
            ("Taken over", f"Langfuse {facts.version}; keys, logins and ids are those of before"),
            ("Projects", f"{context.layout.shown(path)}: copy it to config/local/stack.yaml before make up"),
            ("Way back", "make adopt FROM=... UNDO=1 starts the old stack again"),
            ("Next", "make up (a key of this stack for each project), make doctor, make smoke, make upgrade"),
        ]
    )


def open_other(context: Context, source: Path) -> OtherCompose:
    """Return the stack in a directory, under the name of its containers."""
    directory = source.expanduser().resolve()
    if not directory.is_dir():
        raise UsageError(f"{source} is not a directory.", fix="name the directory of its docker-compose.yml.")
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
        return source, gather_facts(context, other, source)


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
        f"{one.name} ({', '.join(project for project, _ in one.projects) or 'no project'})"
        for one in facts.organizations
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
