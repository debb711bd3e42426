"""`move`: bring a compose stack to another one while it takes spans, and back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.core.confirmation import confirm_name
from scripts.core.errors import EXIT_OK, StackError, UsageError
from scripts.core.layout import only_one_command
from scripts.docker.moved import Moved, Phase, read_moved
from scripts.engines.base import EngineName
from scripts.engines.context import Context
from scripts.engines.external_stores import within_reach
from scripts.settings.envfile import read_env
from scripts.settings.values import Settings

from .arriving import Arriving, bring_settings
from .asking import facts_of_both, facts_of_old, has_other_data, name_of, settings_to_be
from .leaving import Leaving
from .plan import Facts, refusals, rows
from .sets import MoveSet

OVERVIEW = (
    "Objects and rows are copied while they are in use. Then the worker finishes its queues and is stopped, "
    "and changes are refused, while web goes on reading and taking spans: they wait in the events bucket. "
    "What is left is copied, all of it compared before the new stack starts. Then that takes what waited."
)
_UNCHANGED = "nothing was changed"


@dataclass(frozen=True, slots=True)
class Options:
    """What `make move` was told.

    Attributes:
        pause: with INTO: stop the worker and dump the databases.
        finish: bring over what still came in, and stop the old stack.
        undo: give the old stack its place back.
        replace: the data of the new stack may go.
    """

    dry_run: bool = False
    yes: bool = False
    pause: bool = False
    finish: bool = False
    undo: bool = False
    replace: bool = False


def move_to(context: Context, target: Context, options: Options) -> int:
    """Move a stack to that of another checkout on this host. May be repeated after a kill at any step."""
    move_set = MoveSet(context.layout.stack_dir / "move")
    moved = _mark(context, options, target.layout.root)
    on_the_way = not options.undo and (moved is None or moved.phase == Phase.PAUSED)
    if on_the_way:
        facts = facts_of_both(context, move_set, target, replace_data=options.replace)
        place = f"{name_of(target)} in {target.layout.root}"
        context.console.rows(rows(facts, name_of(context), place))
        refuse(facts)
        context.console.print(OVERVIEW)
    if options.dry_run:
        context.console.note(f"This stack is {moved.text() if moved else 'not moved'}; {_UNCHANGED}.")
        return EXIT_OK
    if not options.yes and (on_the_way or options.undo):
        confirm_name(context.console, name_of(context), fix="make move TO=... YES=1", unchanged=_UNCHANGED)
    bring_settings(target, context.layout.env_file)
    with _held(context) as settings, _held(target) as new_settings:
        leaving, arriving = Leaving(context, settings, move_set), Arriving(target, new_settings, move_set)
        if options.undo:
            assert moved is not None  # noqa: S101 - see _mark
            _undo(leaving, arriving, moved, yes=options.yes)
            return EXIT_OK
        if moved is None or moved.phase == Phase.PAUSED:
            moved = _move(leaving, arriving)
        if options.finish:
            leaving.stop_taking(moved)
        leaving.copy_spans(moved)
        taken = arriving.take_spans()
        if options.finish:
            leaving.engine.stop()
            move_set.remove()
    _say(context, target, moved, taken, finished=options.finish)
    return EXIT_OK


def move_into(context: Context, into: Path, options: Options) -> int:
    """Write a stack to a directory, for `move_from` on another host. May be repeated, but for its end."""
    move_set = MoveSet(into.expanduser().resolve())
    moved = _mark(context, options, move_set.root)
    if not (options.finish or options.undo):
        facts = facts_of_old(context, move_set)
        context.console.rows(rows(facts, name_of(context), str(move_set.root)))
        refuse(facts)
    if options.dry_run:
        context.console.note(f"This stack is {moved.text() if moved else 'not moved'}; {_UNCHANGED}.")
        return EXIT_OK
    if not options.yes and (options.pause or options.finish or options.undo):
        confirm_name(context.console, name_of(context), fix="make move INTO=... YES=1", unchanged=_UNCHANGED)
    if options.undo:
        return _resume_alone(context, move_set)
    with _held(context) as settings:
        leaving = Leaving(context, settings, move_set)
        if options.finish:
            assert moved is not None  # noqa: S101 - see _mark
            leaving.stop_taking(moved)
            count = leaving.copy_spans(moved)
            leaving.engine.stop()
            said = f"Stopped. {count:,} objects came in since the pause: make move FROM= there takes them."
        elif options.pause:
            leaving.copy()
            leaving.drain()
            with _resuming(leaving):
                moved = leaving.pause(str(move_set.root), "INTO")
                leaving.save()
            leaving.copy_spans(moved)
            said = "Changes are refused from now on. On the new host: make move FROM= with this directory."
        else:
            said = f"{leaving.copy()}. Repeat as you like; then once with PAUSE=1."
    context.console.print(said)
    return EXIT_OK


def move_back(context: Context, options: Options) -> int:
    """Give the old stack its place back without the new one, which may not be there any more."""
    moved = read_moved(context.layout)
    if moved is None:
        raise UsageError(f"This stack was not moved; {_UNCHANGED}.", fix="make status shows how it is.")
    context.console.note(f"This stack is {moved.text()}")
    if options.dry_run:
        return EXIT_OK
    if not options.yes:
        confirm_name(context.console, name_of(context), fix="make move UNDO=1 YES=1", unchanged=_UNCHANGED)
    return _resume_alone(context, MoveSet(context.layout.stack_dir / "move"))


def move_from(context: Context, source: Path, options: Options) -> int:
    """Take what `move_into` has written on another host. May be repeated."""
    move_set = MoveSet(source.expanduser().resolve())
    if not move_set.env.exists():
        raise UsageError(
            f"{source} is not the directory of a move; {_UNCHANGED}.",
            fix="make move INTO= on the old host writes it.",
        )
    manifest = move_set.manifest()
    old = read_env(move_set.env).values()
    name = old.get("COMPOSE_PROJECT_NAME", "langfuse-stack")
    own = read_env(context.layout.env_file).values() if context.layout.env_file.exists() else {}
    holds = f"the databases of {manifest.started}" if manifest else "objects only"
    context.console.rows([("From", f"{name} in {move_set.root}: {holds}"), ("To", name_of(context))])
    settings = settings_to_be(context, move_set.env) if own else context.lenient_settings()
    has_data = has_other_data(context, settings, move_set, replace_data=options.replace)
    same_key = own.get("ENCRYPTION_KEY") in (None, "", old.get("ENCRYPTION_KEY"))
    refuse(Facts(same_key=same_key, has_data=has_data))
    if options.dry_run:
        context.console.note(f"Nothing prevents the move; {_UNCHANGED}.")
        return EXIT_OK
    if not options.yes:
        confirm_name(context.console, name, fix="make move FROM=... YES=1", unchanged=_UNCHANGED)
    bring_settings(context, move_set.env)
    with _held(context) as settings:
        arriving = Arriving(context, settings, move_set)
        if not arriving.has_taken:
            context.console.note(arriving.put(name))
            if manifest:
                lines = arriving.take(manifest)
                context.console.note(f"{lines} counts and hashes by table and project are the same.")
        taken = arriving.take_spans() if manifest else 0
    if manifest:
        context.console.print(f"This stack works. It took {taken:,} batches and scores that came in since.")
    return EXIT_OK


def refuse(facts: Facts) -> None:
    """Raise UsageError when there is anything to refuse."""
    refused = list(refusals(facts))
    if refused:
        raise UsageError(
            f"The stack cannot be moved as it is; {_UNCHANGED}.",
            details=[f"{one.reason} Fix: {one.fix}" for one in refused],
            fix="correct that, then repeat.",
        )


def _mark(context: Context, options: Options, to: Path) -> Moved | None:
    """Return how far the move is.

    Raises:
        UsageError: there is nothing to finish or undo, or it goes elsewhere.
    """
    moved = read_moved(context.layout)
    if moved and moved.to != str(to):
        raise UsageError(f"This stack is {moved.text()}; {_UNCHANGED}.", fix=f"{moved.command} UNDO=1 first.")
    if moved is None and (options.finish or options.undo):
        raise UsageError(f"This stack was not moved; {_UNCHANGED}.", fix="make status shows how it is.")
    return moved


def _move(leaving: Leaving, arriving: Arriving) -> Moved:
    """Bring everything over. Until the new stack holds it all, a failure resumes the old one."""
    console, name = leaving.context.console, name_of(leaving.context)
    to = str(arriving.context.layout.root)
    moved = read_moved(leaving.context.layout)
    if moved is None or not arriving.has_taken:
        console.note(f"{leaving.copy()}; {arriving.put(name)}")
        leaving.drain()
        began = time.monotonic()
        with _resuming(leaving):
            moved = leaving.pause(to, "TO")
            manifest = leaving.save()
            arriving.put_media()
            lines = arriving.take(manifest)
        console.note(f"{lines} counts and hashes by table and project are the same on both sides")
        pause = time.monotonic() - began
        console.note(f"Changes were refused for {pause:.1f} s; spans were taken all the time")
    moved = leaving.note(moved, Phase.TAKEN)
    leaving.set.forget_databases()
    return moved


def _resume_alone(context: Context, move_set: MoveSet) -> int:
    with _held(context) as settings:
        Leaving(context, settings, move_set).resume()
    context.console.print("This stack works as before. Stop the new one: what it has taken stays there.")
    return EXIT_OK


def _undo(leaving: Leaving, arriving: Arriving, moved: Moved, *, yes: bool) -> None:
    """Give the old stack its place back, with the spans that only the new one has taken."""
    context, target = leaving.context, arriving.context
    back = MoveSet(leaving.set.root / "back")
    taken = 0
    if moved.phase != Phase.PAUSED:
        changed = arriving.changes()
        for line in changed:
            context.console.warn(f"Changed in the new stack since, and lost with it: {line}")
        if changed and not yes:
            fix = "write it down or export it first (make export-config); or YES=1"
            confirm_name(context.console, name_of(target), fix=fix, unchanged=_UNCHANGED)
        arriving.stop_taking()
    leaving.resume()
    if moved.phase != Phase.PAUSED:
        only = arriving.stores.spans_only_here(moved.began, leaving.stores)
        arriving.stores.copy_spans(moved.began, back.spans, only)
        with context.console.working("Taking what only the new stack had"):
            taken = leaving.stores.take_spans(back.spans, back.root / "settled.txt")
    arriving.forget()
    arriving.engine.stop()
    leaving.set.remove()
    context.console.print(
        f"{name_of(context)} works as before, with {taken:,} batches and scores of the new stack, which is "
        "stopped. Its data stays until make destroy there."
    )


@contextmanager
def _held(context: Context) -> Iterator[Settings]:
    settings = context.settings()
    with only_one_command(context.layout), within_reach(context, settings, EngineName.COMPOSE):
        yield settings


@contextmanager
def _resuming(leaving: Leaving) -> Iterator[None]:
    """Resume the old stack when the body fails; why it has failed is still what is told."""
    try:
        yield
    except BaseException:
        try:
            leaving.resume()
        except StackError as error:
            leaving.context.console.warn(
                f"The old stack was not resumed: {error.message} Repeat with UNDO=1."
            )
        raise


def _say(context: Context, target: Context, moved: Moved, taken: int, *, finished: bool) -> None:
    lines = [
        ("Moved", f"{name_of(context)} to {name_of(target)} in {target.layout.root}, which works"),
        ("Taken", f"{taken:,} batches and scores that came in meanwhile"),
        ("Way back", f"{moved.command} UNDO=1"),
    ]
    if finished:
        lines.append(("Stopped", f"{name_of(context)}; its data stays until make destroy"))
    else:
        lines += [
            ("Next", "lead the names to the new stack; spans that still come here are kept"),
            ("At last", f"{moved.command} FINISH=1 brings those over, and stops this stack"),
        ]
    context.console.rows(lines)
