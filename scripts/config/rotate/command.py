"""`rotate`: give a secret a new value and prove that it works, or put the former one back."""

from __future__ import annotations

import getpass
import sys
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

from scripts.core.confirmation import confirm
from scripts.core.console import Console
from scripts.core.errors import EXIT_OK, StackError, UsageError
from scripts.core.layout import only_one_command
from scripts.engines.context import Context
from scripts.provision.loading import load_stack
from scripts.settings.kinds import random_hex

from .catalog import REFUSED, ROTATABLE, Place, find
from .execute import Hands, RealHands, execute
from .journal import Entry, journal_of
from .plan import SECRETS, Plan, Step, make_plan
from .stores import Stores

ADMIN_PASSWORD = "LANGFUSE_INIT_USER_PASSWORD"  # noqa: S105 - a name
NEW_VALUE = "NEW_VALUE"


def rotate(
    context: Context,
    *,
    secret: str,
    dry_run: bool = False,
    yes: bool = False,
    undo: bool = False,
    user: str = "",
) -> int:
    """The command. On any failure the former value is put back."""
    if undo:
        return _undo(context, yes=yes)
    if not secret:
        _list(context.console)
        return EXIT_OK
    settings = context.settings()
    engine = context.current_engine(settings)
    email = user or _admin(context)
    if user and user.lower() != _admin(context).lower():
        return _reset_password(context, secret, user, yes=yes, dry_run=dry_run)
    entry = journal_of(context.layout).read()
    interrupted = entry is not None and not entry.done
    if entry and interrupted and entry.secret != secret:
        raise UsageError(
            f"The rotation of {entry.secret} was interrupted.",
            fix=f"let it go on: make rotate SECRET={entry.secret}; or put it back: make rotate UNDO=1.",
        )
    plan = make_plan(
        secret,
        values=settings.values,
        environment=context.environment,
        engine=engine.name,
        running=engine.state().running,
        given=_given(context, secret),
    )
    if entry and interrupted:
        context.console.note("An interrupted rotation goes on.")
        plan = Plan(plan.secret, entry.changes, plan.engine, plan.running, plan.steps)
    show(context.console, plan)
    if dry_run:
        return EXIT_OK
    confirm(context.console, yes=yes)
    with only_one_command(context.layout):
        carry_out(context, plan, RealHands(context, email))
    context.console.print(f"{plan.names}: done. Put the former value back: make rotate UNDO=1")
    return EXIT_OK


def carry_out(context: Context, plan: Plan, hands: Hands) -> None:
    """Carry out a plan, with a journal; put everything back when a step fails.

    Raises:
        StackError: a step failed; the message says whether all is as it was.
    """
    journal = journal_of(context.layout)
    entry = journal.save(Entry(plan.changes[0].name, plan.changes, done=False))
    try:
        execute(plan, hands, partial(_say, context.console))
    except StackError as error:
        context.console.note(f"That failed: {error.message} Putting the former value back.")
        try:
            execute(plan.undone(), hands, partial(_say, context.console))
        except StackError as second:
            raise StackError(
                f"{plan.names} could neither be changed ({error.message}) nor put back ({second.message}).",
                details=second.details,
                fix=f"both values are in {context.layout.shown(journal.path)}; "
                "correct what the lines name, then make rotate UNDO=1.",
            ) from error
        journal.forget()
        raise StackError(
            f"{plan.names} was not rotated: {error.message} The former value is back.",
            details=error.details,
            fix=error.fix,
        ) from error
    journal.save(replace(entry, done=True))


def show(console: Console, plan: Plan) -> None:
    """Print what changes, what that does, and in which order."""
    console.rows(
        [
            ("Secret", plan.names),
            ("Effect", plan.secret.effect),
            *((f"Step {number}", step.value) for number, step in enumerate(plan.steps, start=1)),
            ("On failure", "the former value is put back; make rotate UNDO=1 does so later"),
        ]
    )


def _undo(context: Context, *, yes: bool) -> int:
    journal = journal_of(context.layout)
    entry = journal.read()
    if entry is None:
        raise UsageError(
            "There is no rotation to undo.",
            fix="the former values are in the .env of your backup (make backups).",
        )
    settings = context.settings()
    engine = context.current_engine(settings)
    secret = find(entry.secret, SECRETS)
    if secret is None:
        raise UsageError(f"There is no secret {entry.secret}.", fix="rm .stack/rotation.json")
    first = make_plan(
        entry.secret,
        values=settings.values,
        environment=context.environment,
        engine=engine.name,
        running=engine.state().running,
        given=entry.changes[0].old if secret.place is Place.ELSEWHERE else "",
    )
    plan = Plan(first.secret, entry.changes, first.engine, first.running, first.steps).undone()
    context.console.print(f"{plan.names} gets the value back that it had before.")
    confirm(context.console, yes=yes)
    with only_one_command(context.layout):
        execute(plan, RealHands(context, _admin(context)), partial(_say, context.console))
        journal.forget()
    context.console.print(f"{plan.names}: as before.")
    return EXIT_OK


def _reset_password(context: Context, secret: str, user: str, *, yes: bool, dry_run: bool) -> int:
    """Give another user than the admin a password, and print it once."""
    if secret != ADMIN_PASSWORD:
        raise UsageError("USER_EMAIL= goes with passwords only.", fix=f"make rotate SECRET={ADMIN_PASSWORD}")
    settings = context.settings()
    engine = context.current_engine(settings)
    given = _given(context, secret)
    if given and len(given) < 8:
        raise UsageError(f"{NEW_VALUE} has {len(given)} characters.", fix="use at least 8.")
    context.console.rows([("User", user), ("Effect", "The former password no longer signs in.")])
    if dry_run:
        return EXIT_OK
    confirm(context.console, yes=yes)
    password = given or random_hex(12)()
    with only_one_command(context.layout):
        Stores(context, settings).set_user_password(engine.name, user, password)
    context.console.rows([("Password", "as given" if given else password)])
    return EXIT_OK


def _list(console: Console) -> None:
    for one in ROTATABLE:
        console.rows([(f"{' and '.join(one.names)}", one.effect)])
    for name in REFUSED:
        console.rows([(name, "cannot be rotated: make rotate SECRET= says what to do instead")])
    rest = sorted(SECRETS - {name for one in ROTATABLE for name in one.names} - set(REFUSED))
    console.rows([("with a NEW_VALUE that others issue", ", ".join(rest))])


def _given(context: Context, secret: str) -> str:
    value = context.environment.get(NEW_VALUE, "")
    known = find(secret, SECRETS)
    if value or known is None or known.place is not Place.ELSEWHERE or not sys.stdin.isatty():
        return value
    return getpass.getpass(f"New value of {secret}: ")


def _admin(context: Context) -> str:
    file = context.layout.stack_file
    return load_stack(file, context.layout.shown(file)).admin.email


def _say(console: Console, step: Step) -> AbstractContextManager[None]:
    return console.working(f"{step.value[0].upper()}{step.value[1:]}")
