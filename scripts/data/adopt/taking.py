"""Take an official stack over: stop it, copy it as a backup, restore that here; and the way back."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from scripts.core.errors import StackError, UsageError
from scripts.core.layout import only_one_command, write_private
from scripts.core.waiting import Look, wait_until
from scripts.data.backup import restore
from scripts.data.backup.policy import load_policy
from scripts.data.backup.repository import open_repository
from scripts.data.backup.saving import Plan, capture, store
from scripts.data.backup.sets import staged
from scripts.docker.other_compose import OtherCompose
from scripts.engines.base import EngineName
from scripts.engines.context import Context
from scripts.settings.envfile import plan_env_change, write_env_change, write_values
from scripts.settings.langfuse_file import decided_names
from scripts.settings.table import GROUPS, SETTINGS
from scripts.stores.clickhouse import ClickHouse
from scripts.stores.postgres import DATABASE, Postgres

from .asking import queues, running_version
from .capture import OfficialStores
from .content import content_of, differences
from .journal import Entry, journal_of
from .rules import Facts
from .source import SECRETS, WEB, WORKER, Source

DRAIN_S = 120.0
_WEB_S = 300.0
_STOP_WEB_S = "120"
"""It answers open requests for up to 110 s."""


def take_over(context: Context, other: OtherCompose, source: Source, facts: Facts) -> None:
    """Put everything of the old stack into this one. A failure, or a kill, leaves the way back.

    Raises:
        StackError: that failed; the old stack runs again, or the journal says how it can.
    """
    journal = journal_of(context.layout)
    entry = journal.read() or Entry(str(other.directory), other.name, other.restart_policies())
    try:
        with only_one_command(context.layout):
            journal.save(entry)
            write_settings(context, source, facts)
            settle(context, other, source)
            stores = OfficialStores(other, source, context.settings())
            entry = journal.save(replace(entry, backup=save_set(context, stores)))
            with context.console.working("Stopping the old stack for good"):
                other.set_restart(dict.fromkeys(entry.policies, "no"))
                other.checked("stop", timeout_s=300)
        restore.restore(context, backup=entry.backup, dry_run=False, replace_data=True, with_smoke=False)
        compare(context, stores)
    except BaseException:
        start_again(context, other, entry)
        raise
    journal.save(replace(entry, done=True))


def write_settings(context: Context, source: Source, facts: Facts) -> None:
    """Write the old secrets and version to `.env`, and what else was set to `.env.langfuse`."""
    layout = context.layout
    change = plan_env_change(GROUPS, context.env_file(), context.environment, lambda: datetime.now(UTC))
    write_env_change(layout.env_file, change)
    ours = {setting.name for setting in SETTINGS}
    carried = source.carried()
    values = {name: source.secrets[name] for name in SECRETS if source.secrets[name]}
    values |= {name: value for name, value in carried.items() if name in ours}
    write_values(layout.env_file, {**values, "LANGFUSE_VERSION": facts.version})
    decided = decided_names(layout.root / "compose.yaml")
    further = {name: value for name, value in carried.items() if name not in ours | decided}
    if further:
        write_values(layout.langfuse_file, further)
    context.settings()  # says what is wrong with them before anything is stopped
    write_private(layout.engine_file, f"{EngineName.COMPOSE}\n")


def settle(context: Context, other: OtherCompose, source: Source) -> None:
    """Stop web, let the worker finish its jobs, stop it.

    Raises:
        StackError: the jobs do not come to an end.
    """
    with context.console.working("Stopping the old web"):
        other.checked("stop", "--timeout", _STOP_WEB_S, WEB, timeout_s=300)
    deadline = time.monotonic() + DRAIN_S
    with context.console.working("Waiting for the old worker's jobs"):
        while waiting := queues(other, source)[0]:
            if time.monotonic() > deadline:
                raise StackError(
                    f"Jobs of the old worker do not end: {', '.join(sorted(waiting))}.",
                    fix="look at docker compose logs langfuse-worker in its directory, then repeat.",
                )
            time.sleep(0.5)
    with context.console.working("Stopping the old worker"):
        other.checked("stop", "--timeout", "60", WORKER, timeout_s=120)


def save_set(context: Context, stores: OfficialStores) -> str:
    """Copy the old stores as a backup of this stack; return its id."""
    settings = context.settings()
    plan = Plan(
        engine=context.engine(EngineName.COMPOSE, settings),
        driver=_Captures(stores),  # type: ignore[arg-type]  # a backup asks it for its capture alone
        repository=open_repository(context, settings, create=True),
        policy=load_policy(*context.layout.edited("backup.yaml")),
        stack=settings["COMPOSE_PROJECT_NAME"],
        staging=context.layout.stack_dir / "backup",
    )
    with staged(plan.staging):
        with context.console.working("Copying the old stores"):
            manifest = capture(context, settings, plan)
        with context.console.working("Storing the copy"):
            return store(plan, manifest).snapshot_id


class _Captures:
    """The part of a driver that makes a set."""

    def __init__(self, stores: OfficialStores) -> None:
        self.capture = stores.capture


def compare(context: Context, stores: OfficialStores) -> None:
    """Raise StackError when this stack does not hold what the old one held, by hashes of all rows."""
    settings = context.settings()
    services = context.compose(settings)
    clickhouse = ClickHouse(services, settings["CLICKHOUSE_DB"])
    with context.console.working("Comparing the rows of both"):
        different = differences(stores.content, content_of(Postgres(services), DATABASE, clickhouse))
    if different:
        raise StackError(
            "This stack does not hold what the old one held.",
            details=different[:20],
            fix="the old one runs again; report what is listed, with both versions.",
        )
    context.console.note(f"{len(stores.content)} counts and hashes by table and project are the same.")


def start_again(context: Context, other: OtherCompose, entry: Entry) -> None:
    """Stop this stack, and start the old one as it was. May be repeated.

    Raises:
        StackError: Docker does not do it.
    """
    settings = context.lenient_settings()
    context.engine(EngineName.COMPOSE, settings).stop()
    with context.console.working("Starting the old stack again"):
        other.set_restart(entry.policies)
        other.checked("start", timeout_s=300)
    journal_of(context.layout).forget()


def wait_for_web(context: Context, other: OtherCompose) -> None:
    """Return when the old web answers. Raises StackError when it does not come up."""

    def look() -> Look:
        try:
            return Look(done=bool(running_version(other.containers())), state="it does not answer")
        except UsageError as error:  # it has no port while it is started
            return Look(done=False, state=error.message)

    with context.console.working("Waiting for the old web"):
        wait_until(
            look,
            what="The old web does not come up",
            timeout_s=_WEB_S,
            last_lines=list,
            fix="look at docker compose logs langfuse-web in its directory, then repeat.",
            interval_s=1,
        )


def undo(context: Context, other: OtherCompose) -> None:
    """Give the old stack back its place. What this one holds stays until make destroy.

    Raises:
        UsageError: nothing was taken over from there.
    """
    entry = journal_of(context.layout).read()
    if entry is None or Path(entry.directory) != other.directory:
        place = f"; the journal names {entry.directory}" if entry else ""
        raise UsageError(
            f"Nothing was taken over from {other.directory}{place}.", fix="nothing has to be done."
        )
    start_again(context, other, entry)
