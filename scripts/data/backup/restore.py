"""`restore`: check a backup, put it in place, prove that it works, and only then let go of what was there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from scripts.core.errors import EXIT_OK
from scripts.core.layout import only_one_command
from scripts.engines import data_secrets
from scripts.engines.base import moved_away
from scripts.engines.context import Context
from scripts.engines.external_stores import within_reach
from scripts.engines.smoke import run_smoke_tests
from scripts.settings.values import Settings

from .drivers import driver_for
from .errors import Refused
from .manifest import (
    Manifest,
)
from .restoring import (
    Plan,
    fetch,
    make_plan,
    put_in_place,
    refuse_newer,
    show,
    undo_unfinished,
)
from .sets import (
    STORES,
    require_space,
    size_text,
    staged,
)


def restore(
    context: Context,
    *,
    backup: str,
    dry_run: bool,
    replace_data: bool,
    with_smoke: bool,
    only: Sequence[str] = (),
) -> int:
    """The command. Refuses before it touches anything; a failure leaves what was there."""
    with only_one_command(context.layout):
        if dry_run:
            return look(context, backup, replace_data=replace_data, only=only)
        refuse_moved(context)
        undo_unfinished(context)
        settings = context.lenient_settings()
        plan = replace(make_plan(context, settings, backup), only=only)
        with within_reach(context, settings, plan.manifest.engine):
            refuse_unknown_stores(plan)
            show(context, plan)
            show_places(context, plan)
            refuse_foreign_keys(context, settings, plan.manifest)
            refuse_newer(plan)
            refuse_unfit(plan)
            if not replace_data:
                refuse_data(context, plan)
            work = context.layout.restore_dir
            require_space(work, plan.manifest.bytes)
            with staged(work / "download"):
                with context.console.working(f"Fetching {size_text(plan.manifest.bytes)}"):
                    capture = fetch(plan, work / "download")
                engine = put_in_place(context, plan, capture, work)
                with context.console.working("Looking for what was on its way when the backup was made"):
                    driver = driver_for(context, context.settings(), plan.manifest.engine)
                    replayed = driver.settle(capture / STORES)
    context.console.rows(
        [
            ("Restored", f"{plan.snapshot.short_id} of {plan.manifest.ended}"),
            ("Replayed", f"{replayed:,} batches and scores that were on their way"),
            ("Langfuse", f"{engine.local_url} ({engine.name} engine)"),
        ]
    )
    if not with_smoke:
        return EXIT_OK
    return run_smoke_tests(context, arguments=["-q"])


def look(context: Context, backup: str, *, replace_data: bool, only: Sequence[str]) -> int:
    """Say what would be restored, and what a restore would refuse; change nothing."""
    if context.layout.restore_journal.exists():
        context.console.warn("An earlier restore was interrupted: a restore undoes that first.")
    settings = context.lenient_settings()
    plan = replace(make_plan(context, settings, backup), only=only)
    refuse_unknown_stores(plan)
    show(context, plan)
    show_places(context, plan)
    checks: list[Callable[[], None]] = [
        lambda: refuse_moved(context),
        lambda: refuse_foreign_keys(context, settings, plan.manifest),
        lambda: refuse_newer(plan),
        lambda: refuse_unfit(plan),
    ]
    if not replace_data:
        checks.append(lambda: refuse_data(context, plan))
    with within_reach(context, settings, plan.manifest.engine):
        for check in checks:
            try:
                check()
            except Refused as refused:
                context.console.warn(f"A restore would be refused: {refused.message} ({refused.fix})")
    context.console.note("Nothing was changed.")
    return EXIT_OK


def refuse_moved(context: Context) -> None:
    """Raise Refused on a stack that has moved: it would start again beside the new one."""
    for obstacle in moved_away(context.layout):
        raise Refused(f"{obstacle.reason} Nothing was changed.", fix=obstacle.fix)


def refuse_foreign_keys(context: Context, settings: Settings, manifest: Manifest) -> None:
    """Raise Refused when the data is useless with the keys of this stack; without `.env` it has none yet."""
    if not context.layout.env_file.exists():
        return
    own = data_secrets.fingerprints(settings)
    other = [name for name, value in manifest.fingerprints.items() if own.get(name) != value]
    name = context.layout.shown(context.layout.env_file)
    if needed := [one for one in other if one in data_secrets.NEEDED]:
        raise Refused(
            f"{' and '.join(needed)} in {name} differs from that of the backup: the secrets that Langfuse "
            "keeps in its data could not be read. Nothing was changed.",
            fix="move .env away: then the one in the backup is restored too.",
        )
    if other:
        context.console.note(
            f"{' and '.join(other)} in {name} differs from that of the backup: the first call with each "
            "API key takes a moment longer."
        )


def refuse_unknown_stores(plan: Plan) -> None:
    """Raise Refused when a store is asked for that the engine of the backup does not have."""
    unknown = [store for store in plan.only if store not in plan.driver.stores]
    if unknown:
        raise Refused(
            f"The {plan.manifest.engine} engine has no store {', '.join(unknown)}. Nothing was changed.",
            fix=f"ONLY= takes {', '.join(plan.driver.stores)}, with commas.",
        )


def show_places(context: Context, plan: Plan) -> None:
    """Say which stores a restore fills that are not run by this stack."""
    for place in plan.driver.places():
        context.console.note(f"External: {place}")


def refuse_unfit(plan: Plan) -> None:
    """Raise Refused when a backup cannot come into the stores of this stack."""
    reasons = plan.driver.refusals(plan.manifest, plan.only)
    if reasons:
        raise Refused(
            "The backup does not fit the stores of this stack. Nothing was changed.",
            details=reasons,
            fix="remove the settings of external stores from .env: it fits bundled ones; or see "
            "docs/how-to/back-up-and-restore.md, External stores.",
        )


def refuse_data(context: Context, plan: Plan) -> None:
    """Raise Refused when there is data that the restore would replace."""
    if not plan.driver.has_data():
        return
    external = plan.driver.places()
    place = "its external stores" if external else context.layout.shown(context.layout.stack_dir)
    raise Refused(
        f"This stack has data in {place}, which the restore would replace. Nothing was changed.",
        fix="restore into another place with STACK_DIR=..., or replace the data: make restore REPLACE=1.",
    )
