"""`backup`: capture all stores, settings and keys as one set, and store it encrypted in the repository."""

from __future__ import annotations

from scripts.core.errors import EXIT_OK
from scripts.core.heartbeats import record_success
from scripts.core.layout import only_one_command
from scripts.engines.context import Context
from scripts.engines.external_stores import within_reach

from .manifest import Manifest
from .repository import Saved
from .saving import capture, make_plan, store
from .sets import (
    content_text,
    size_text,
    staged,
)


def backup(context: Context, *, dry_run: bool) -> int:
    """The command. Works beside a running engine; safe to repeat after any interruption."""
    settings = context.settings()
    engine = context.current_engine(settings).name
    with only_one_command(context.layout), within_reach(context, settings, engine):
        plan = make_plan(context, settings, create=not dry_run)
        context.console.note(f"{plan.engine.name} engine, {size_text(plan.driver.size())} of data")
        context.console.note(f"Repository: {plan.repository.location}")
        if dry_run:
            return EXIT_OK
        with staged(plan.staging):
            with context.console.working("Copying the stores"):
                manifest = capture(context, settings, plan)
            with context.console.working(f"Storing {size_text(manifest.bytes)}"):
                saved = store(plan, manifest)
        with context.console.working("Removing backups that the policy does not keep"):
            removed = plan.repository.apply(plan.policy, plan.stack)
        record_success(context.layout, "backup")
    context.console.rows(summary(manifest, saved, removed))
    return EXIT_OK


def summary(manifest: Manifest, saved: Saved, removed: int) -> list[tuple[str, str]]:
    """Return the result for people."""
    return [
        ("Backup", saved.snapshot_id[:8]),
        ("Content", content_text(manifest.contents)),
        ("Moment", manifest.consistency),
        ("Size", f"{size_text(manifest.bytes)}, {size_text(saved.added_bytes)} new in the repository"),
        ("Removed", f"{removed} older by the policy"),
        ("Next", "make backup-verify (prove that it restores), make backups"),
    ]
