"""Capture all stores, settings and keys as one set, and store it in the repository."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from scripts.core.errors import UsageError
from scripts.core.layout import SITE, write_private
from scripts.data.backup.drivers.base import Captured, Driver
from scripts.docker.moved import read_moved
from scripts.engines import data_secrets
from scripts.engines.base import Engine
from scripts.engines.context import Context
from scripts.settings.values import Settings

from .drivers import driver_for
from .errors import BackupError
from .manifest import NAME, Manifest, list_files
from .policy import Policy, load_policy
from .repository import Repository, Saved, open_repository
from .sets import (
    CONFIG,
    CREDENTIALS,
    SETTINGS,
    STORES,
    require_space,
)


class Captures(Protocol):
    """The part of a driver that makes a set."""

    def capture(self, into: Path) -> Captured:
        """See Driver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is captured, and the directory for it."""

    engine: Engine
    driver: Captures
    stack: str
    staging: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Source):
    """What a backup saves, and where to."""

    driver: Driver
    repository: Repository
    policy: Policy


def make_plan(context: Context, settings: Settings, *, create: bool) -> Plan:
    """Return the plan when nothing is in its way; a new repository is made where there is none.

    Raises:
        StackError: there is nothing to save, no space, or no repository.
    """
    if moved := read_moved(context.layout):
        fix = f"back up the new one; or {moved.command} UNDO=1."
        raise UsageError(f"This stack is {moved.text()}.", fix=fix)
    engine = context.current_engine(settings)
    driver = driver_for(context, settings, engine.name)
    policy = load_policy(*context.layout.edited("backup.yaml"))
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
    return Plan(
        engine=engine,
        driver=driver,
        repository=repository,
        policy=policy,
        stack=settings["COMPOSE_PROJECT_NAME"],
        staging=staging,
    )


def capture(context: Context, settings: Settings, plan: Source) -> Manifest:
    """Copy everything that belongs to the set into the staging directory, with its manifest."""
    started = _now()
    captured = plan.driver.capture(plan.staging / STORES)
    ended = _now()
    layout = context.layout
    if layout.env_file.exists():
        shutil.copy2(layout.env_file, plan.staging / SETTINGS)
    for source, name in ((layout.root / "config", CONFIG), (layout.credentials_dir, CREDENTIALS)):
        if source.is_dir():
            shutil.copytree(source, plan.staging / name, ignore=shutil.ignore_patterns(".git"))
    if layout.site and layout.site.is_dir():
        own = plan.staging / CONFIG / SITE
        shutil.rmtree(own, ignore_errors=True)
        shutil.copytree(layout.site, own, ignore=shutil.ignore_patterns(".git"))
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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
