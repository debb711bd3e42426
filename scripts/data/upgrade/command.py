"""`upgrade` and `rollback`: to another version with a way back, and that way back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from scripts.core.confirmation import confirm
from scripts.core.errors import EXIT_FAILED, EXIT_OK, EXIT_WARNINGS, UsageError
from scripts.core.layout import only_one_command
from scripts.engines.base import EngineName
from scripts.engines.compose import VERSION
from scripts.engines.context import Context
from scripts.engines.external_stores import within_reach, within_reach_to_look
from scripts.settings.kinds import VERSION as VERSION_KIND

from . import embedded, execute
from .compose import ComposeHands
from .facts import gather_facts, target_version
from .journal import Entry, journal_of
from .rules import ALLOWABLE, Finding
from .rules import examine as examine_compose
from .steps import STEPS, Step, way_back

Rows = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What an upgrade would do.

    Attributes:
        entry: where it begins; None where there is nothing to do.
        findings: what is in the way, or should be known.
        rows: what else the plan shows.
    """

    entry: Entry | None
    findings: Sequence[Finding]
    rows: Rows


def upgrade(
    context: Context,
    *,
    to: str,
    check: bool,
    yes: bool,
    with_smoke: bool = True,
    allow: Collection[str] = (),
) -> int:
    """The command `upgrade`.

    Exit codes with `check`: 0 it may begin, or nothing is to do; 1 something is in the way; 3 it may
    begin, and something should be known before.
    """
    refuse_wrong_use(context, to, allow)
    entry = interrupted(context, to)
    if entry:
        context.console.note(f"An interrupted upgrade to {entry.new} goes on at: {entry.step}.")
        prepared = Prepared(entry, (), [])
    else:
        prepared = look(context, to, allow)
    if prepared.entry is None:
        context.console.print(f"Nothing to do: {prepared.rows[0][1]}.")
        return EXIT_OK
    show(context, prepared)
    stops = [one.line() for one in prepared.findings if one.stops]
    if check:
        return EXIT_FAILED if stops else EXIT_WARNINGS if prepared.findings else EXIT_OK
    if stops:
        raise UsageError(
            f"Refused for {len(stops)} reason{'s' if len(stops) > 1 else ''}; nothing was changed.",
            details=stops,
        )
    confirm(context.console, yes=yes)
    with only_one_command(context.layout), _reaching(context, prepared.entry.engine):
        hands = hands_of(context, prepared.entry.engine, with_smoke=with_smoke)
        try:
            seconds = execute.upgrade(context.layout, prepared.entry, hands, context.console.note)
        except execute.RolledBack:
            context.console.note(_after(context, prepared.entry))
            raise
        rows = report(context, prepared.entry, seconds)
    context.console.rows(rows)
    return EXIT_OK


def rollback(context: Context, *, yes: bool, check: bool) -> int:
    """The command `rollback`: to before the last upgrade. With `check` it only shows what it would do."""
    entry = journal_of(context.layout).read()
    if entry is None:
        raise UsageError(
            "There is no upgrade to roll back.",
            fix="restore a backup from before the upgrade: make backups, make restore BACKUP=<id> REPLACE=1.",
        )
    refuse_wrong_use(context, "")
    context.console.rows(rollback_rows(context, entry))
    if check:
        return EXIT_OK
    confirm(context.console, yes=yes)
    with only_one_command(context.layout), _reaching(context, entry.engine):
        hands = hands_of(context, entry.engine, with_smoke=False)
        entry = execute.roll_back(context.layout, entry, hands, context.console.note)
    context.console.print(f"{entry.old} is back. {_after(context, entry)}")
    return EXIT_OK


def refuse_wrong_use(context: Context, to: str, allow: Collection[str] = ()) -> None:
    """Raise UsageError for a version that is none, or one that .env cannot decide, or an unknown finding."""
    unknown = sorted(set(allow) - set(ALLOWABLE))
    if unknown:
        raise UsageError(
            f"ALLOW={','.join(unknown)} cannot be allowed.",
            fix=f"name some of {', '.join(ALLOWABLE)}.",
        )
    flaw = VERSION_KIND.check(to) if to else None
    if flaw:
        raise UsageError(f"TO={to} {flaw.reason}.", fix=f"{flaw.fix}.")
    if context.environment.get(VERSION):
        raise UsageError(
            f"{VERSION} is set in the environment, which wins over .env.",
            fix=f"unset {VERSION}, then repeat.",
        )


def interrupted(context: Context, to: str) -> Entry | None:
    """Return an upgrade that was interrupted and goes on. Raises UsageError when it is another one."""
    entry = journal_of(context.layout).read()
    if entry is None or not entry.open:
        return None
    if entry.going_back:
        raise UsageError(f"The way back to {entry.old} was interrupted.", fix="make rollback")
    if to and to != entry.new:
        raise UsageError(
            f"An upgrade to {entry.new} was interrupted.",
            fix=f"let it go on: make upgrade TO={entry.new}; or undo it: make rollback",
        )
    return entry


def look(context: Context, to: str, allow: Collection[str]) -> Prepared:
    """As prepare, with the external stores of the stack within reach."""
    settings = context.settings()
    engine = context.current_engine(settings).name
    with within_reach_to_look(context, settings, engine), context.console.working("Looking at the stack"):
        return prepare(context, to, allow)


def _reaching(context: Context, engine: EngineName) -> AbstractContextManager[None]:
    return within_reach(context, context.settings(), engine)


def prepare(context: Context, to: str, allow: Collection[str]) -> Prepared:
    """Return what an upgrade would do. Changes nothing."""
    settings = context.settings()
    if context.current_engine(settings).name is EngineName.EMBEDDED:
        return _prepare_embedded(context, to)
    new = target_version(to)
    facts = gather_facts(context, new)
    findings = examine_compose(facts, allow)
    if facts.old == new == settings[VERSION]:
        return Prepared(None, (), [("Version", f"Langfuse {new} runs")])
    entry = Entry(engine=EngineName.COMPOSE, old=facts.old, new=new, step=STEPS[EngineName.COMPOSE][0])
    rows = [("Langfuse", f"{facts.old}, to {new}"), ("Migrations", str(facts.levels or "unknown"))]
    return Prepared(entry, findings, rows)


def _prepare_embedded(context: Context, to: str) -> Prepared:
    if to:
        raise UsageError(
            "The version of the embedded engine is that of this repository.",
            fix="check out the version that you want, then make upgrade without TO.",
        )
    schemas = embedded.read_schemas(context)
    findings = embedded.examine(schemas)
    if not findings and not embedded.needed(schemas):
        return Prepared(None, (), [("Data", f"the data is as this version has it ({schemas.old or 'none'})")])
    entry = Entry(
        engine=EngineName.EMBEDDED, old=schemas.old, new=schemas.new, step=STEPS[EngineName.EMBEDDED][0]
    )
    return Prepared(entry, findings, embedded.rows(context, schemas))


def show(context: Context, prepared: Prepared) -> None:
    """Print the plan."""
    entry = prepared.entry
    assert entry is not None  # noqa: S101 - the caller has looked
    order = STEPS[entry.engine]
    rest = order[order.index(entry.step) :]
    context.console.rows(
        [
            *prepared.rows,
            *((f"Step {number}", step.value) for number, step in enumerate(rest, start=1)),
            ("On failure", "all the way back by itself; make rollback does so later"),
            *(("Stop" if one.stops else "Note", one.line()) for one in prepared.findings),
        ]
    )


def hands_of(context: Context, engine: EngineName, *, with_smoke: bool) -> execute.Hands:
    """Return what does the steps on an engine."""
    kind = embedded.EmbeddedHands if engine is EngineName.EMBEDDED else ComposeHands
    return kind(context, with_smoke)


def report(context: Context, entry: Entry, seconds: Mapping[Step, float]) -> Rows:
    """Return the result for people."""
    done = journal_of(context.layout).read() or entry
    rows = [("Upgraded", f"{entry.old}, to {entry.new}")]
    rows += [(f"{taken:6.1f} s", step.value) for step, taken in seconds.items()]
    if done.snapshot:
        rows.append(("Backup", f"{done.snapshot[:8]}, from before the upgrade"))
    if entry.engine is EngineName.EMBEDDED:
        copy = context.layout.shown(context.layout.before_upgrade_dir)
        rows.append(("Copy", f"{copy}: remove it when you will not go back"))
    else:
        rows += _background(context)
    rows.append(("Next", "make status, make doctor; back to before: make rollback"))
    return rows


def _background(context: Context) -> Rows:
    levels = ComposeHands(context).levels()
    names = [*levels.background, *(f"{name} (failed)" for name in levels.background_failed)]
    return [
        ("Background", f"the worker goes on with: {', '.join(names)}" if names else "all migrations done")
    ]


def rollback_rows(context: Context, entry: Entry) -> Rows:
    """Return what a rollback does, for people."""
    undos = way_back(entry.engine, entry.step)
    rows = [("Back to", entry.old), ("From", f"{entry.new} ({'finished' if entry.done else entry.step})")]
    rows += [(f"Step {number}", undo.value) for number, undo in enumerate(undos, start=1)]
    if entry.engine is EngineName.EMBEDDED:
        after = context.layout.shown(context.layout.after_upgrade_dir)
        rows.append(("Since then", f"what came in since the upgrade stays in {after}"))
    elif entry.snapshot:
        text = (
            f"if data comes back from backup {entry.snapshot[:8]}, traces and scores since {entry.began} are "
            "replayed; prompts, datasets, users, comments since then are lost"
        )
        rows.append(("Since then", text))
    return rows


def _after(context: Context, entry: Entry) -> str:
    """Return what to do after the way back."""
    if entry.engine is not EngineName.EMBEDDED:
        return "Next: make status, make doctor."
    kept = context.layout.after_upgrade_dir
    rest = f" What came in since is in {context.layout.shown(kept)}." if kept.exists() else ""
    return f"The engine is stopped: check out the version that wrote it, then make up.{rest}"
