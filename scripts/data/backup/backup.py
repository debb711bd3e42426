"""`backup`: capture all stores, settings and keys as one set, and store it encrypted in the repository."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scripts.core import host
from scripts.core.errors import EXIT_OK, UsageError
from scripts.core.heartbeats import record_success
from scripts.core.layout import only_one_verb, write_private
from scripts.engines import data_secrets
from scripts.engines.base import MIB, Engine
from scripts.engines.context import Context
from scripts.settings.values import Settings

from .drivers import driver_for
from .drivers.base import Driver
from .errors import BackupError
from .manifest import KINDS, NAME, Contents, Manifest, list_files
from .policy import POLICY_FILE, Policy, load_policy
from .repository import Repository, Saved, open_repository

STORES, SETTINGS, CONFIG, CREDENTIALS = "stores", "env", "config", "credentials"
"""The parts of a set."""

_SPARE_BYTES = 64 * MIB


@dataclass(frozen=True, slots=True)
class Plan:
    """What a backup saves, and where to."""

    engine: Engine
    driver: Driver
    repository: Repository
    policy: Policy
    stack: str
    staging: Path


def run(context: Context, *, dry_run: bool) -> int:
    """The verb. Works beside a running engine; safe to repeat after any interruption."""
    settings = context.settings()
    with only_one_verb(context.layout):
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


def make_plan(context: Context, settings: Settings, *, create: bool) -> Plan:
    """Return the plan when nothing stands in its way; a new repository is made where there is none.

    Raises:
        StackError: there is nothing to save, no space, or no repository.
    """
    engine = context.current_engine(settings)
    driver = driver_for(context, settings, engine.name)
    policy = load_policy(context.layout.root / POLICY_FILE, POLICY_FILE)
    if not driver.has_data():
        raise UsageError(f"The {engine.name} engine has no data: there is nothing to save.", fix="make up")
    obstacles = driver.obstacles()
    if obstacles:
        raise BackupError(
            "The stack is not in a state to be saved.", details=obstacles, fix="make up, then repeat."
        )
    staging = context.layout.stack_dir / "backup"
    require_space(staging, driver.size())
    repository = open_repository(context, settings, create=create)
    if repository.folder:
        require_space(repository.folder, driver.size())
    return Plan(engine, driver, repository, policy, settings["COMPOSE_PROJECT_NAME"], staging)


def require_space(directory: Path, needed: int) -> None:
    """Raise BackupError when a directory has no room for `needed` bytes and a little more."""
    free, needed = host.free_bytes(directory), needed + _SPARE_BYTES
    if free < needed:
        raise BackupError(
            f"{directory} has {size_text(free)} free; {size_text(needed)} are needed. Nothing was changed.",
            fix="free some space, or move STACK_DIR or BACKUP_REPOSITORY to a larger disk.",
        )


@contextmanager
def staged(directory: Path) -> Iterator[None]:
    """Give an empty directory that is gone at the end; what a crash has left there goes first."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, mode=0o700)
    try:
        yield
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def capture(context: Context, settings: Settings, plan: Plan) -> Manifest:
    """Copy everything that belongs to the set into the staging directory, with its manifest."""
    started = _now()
    captured = plan.driver.capture(plan.staging / STORES)
    ended = _now()
    layout = context.layout
    if layout.env_file.exists():
        shutil.copy2(layout.env_file, plan.staging / SETTINGS)
    for source, name in ((layout.root / "config", CONFIG), (layout.credentials_dir, CREDENTIALS)):
        if source.is_dir():
            shutil.copytree(source, plan.staging / name)
    manifest = Manifest(
        engine=plan.engine.name,
        stack=plan.stack,
        versions={"langfuse": settings["LANGFUSE_VERSION"]},
        fingerprints=data_secrets.fingerprints(settings),
        started=started,
        ended=ended,
        consistency=captured.consistency,
        contents=captured.contents,
        files=list_files(plan.staging),
        images=captured.images,
    )
    write_private(plan.staging / NAME, manifest.text())
    return manifest


def store(plan: Plan, manifest: Manifest) -> Saved:
    """Save the staging directory in the repository."""
    facts = {
        "engine": manifest.engine,
        "observations": str(manifest.contents.amount("observations")),
        "bytes": str(manifest.bytes),
    }
    return plan.repository.save(plan.staging, plan.stack, facts)


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


def content_text(contents: Contents) -> str:
    """Return what contents consist of in a few words."""
    return ", ".join(f"{contents.amount(kind):,} {kind}" for kind in KINDS)


def size_text(count: int) -> str:
    """Return a size in the unit that fits: `3.4 MiB`."""
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
