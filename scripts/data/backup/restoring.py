"""Fetch a set, check it, put it in place, and prove that an engine gives back what it holds."""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.core.errors import StackError
from scripts.core.layout import SITE, Layout, write_private
from scripts.data.backup.drivers.base import Driver
from scripts.docker.compose import external_databases
from scripts.docker.images_lock import compose_files_variables
from scripts.engines import data_secrets
from scripts.engines.base import Engine, EngineName
from scripts.engines.context import Context
from scripts.engines.external_stores import within_reach
from scripts.settings.places import with_site
from scripts.settings.values import Settings

from .drivers import driver_for
from .errors import BackupError, Refused
from .manifest import (
    NAME,
    Contents,
    Manifest,
    count_differences,
    file_differences,
    list_files,
    parse_manifest,
)
from .proof import read_back
from .replacement import Replacement
from .repository import Repository, Snapshot, choose, open_repository
from .sets import (
    CONFIG,
    CREDENTIALS,
    SETTINGS,
    STORES,
    content_text,
    size_text,
)

OpenDriver = Callable[[Context, Settings, str], Driver]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """What is put in place. `only`: just these stores; all where it is empty."""

    manifest: Manifest
    only: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Incoming):
    """What is restored, from where, and into what."""

    repository: Repository
    snapshot: Snapshot
    driver: Driver


def undo_unfinished(context: Context) -> None:
    """Bring back what a restore that was killed has moved away."""
    work = context.layout.restore_dir
    unfinished = Replacement.unfinished(work)
    settings = context.lenient_settings()
    if unfinished is None:
        shutil.rmtree(work, ignore_errors=True)  # what a restore that succeeded had no time to remove
        return
    context.console.note("An earlier restore was interrupted: what was there before is put back.")
    # The engine that was restored is noted there until the files are put back.
    name = EngineName(context.remembered_engine() or EngineName.EMBEDDED)
    context.engine(name, settings).stop()
    with within_reach(context, settings, name):
        stores = driver_for(context, settings, name).unfinished(work)
        if stores:
            stores.undo()
    unfinished.undo()
    shutil.rmtree(work)


def make_plan(context: Context, settings: Settings, backup: str) -> Plan:
    """Return which backup is meant, and what its manifest says. Changes nothing."""
    repository = open_repository(context, settings)
    snapshot = choose(repository.snapshots(), backup, settings["COMPOSE_PROJECT_NAME"])
    repository.check_structure()
    manifest = parse_manifest(repository.read(snapshot, NAME))
    driver = driver_for(context, settings, manifest.engine)
    return Plan(manifest=manifest, repository=repository, snapshot=snapshot, driver=driver)


def show(context: Context, plan: Plan) -> None:
    """Say what is going to be restored."""
    contents = plan.manifest.contents
    context.console.note(
        f"Backup {plan.snapshot.short_id} of {plan.manifest.stack} ({plan.manifest.engine} engine), "
        f"{plan.manifest.ended}: {content_text(contents)}, {size_text(plan.manifest.bytes)}"
    )


def refuse_newer(plan: Plan) -> None:
    """Raise Refused when this stack does not know what the backup consists of."""
    newer = plan.driver.newer(plan.manifest)
    if newer:
        raise Refused(
            "The backup was made by a newer version. Nothing was changed.",
            details=newer,
            fix=f"use this repository as of Langfuse {plan.manifest.versions['langfuse']} or newer.",
        )


def fetch(plan: Plan, into: Path) -> Path:
    """Download a backup and compare every file with the manifest; return where it is.

    Raises:
        BackupError: it is damaged.
    """
    root = plan.repository.load(plan.snapshot, into)
    problems = file_differences(plan.manifest.files, list_files(root))
    if not problems:
        problems = count_differences(plan.manifest.contents, plan.driver.describe(root / STORES))
    if problems:
        raise BackupError(
            f"Backup {plan.snapshot.short_id} is damaged. Nothing was changed.",
            details=problems[:20],
            fix="restore another one: make backups, then make restore BACKUP=<id>.",
        )
    return root


def put_in_place(
    context: Context, plan: Incoming, capture: Path, work: Path, open_driver: OpenDriver = driver_for
) -> Engine:
    """Exchange the stores, start the engine and prove the new state; on any failure the old one comes back.

    Args:
        open_driver: gives the driver for the settings that hold then.

    Raises:
        StackError: the new state did not prove itself.
    """
    layout = context.layout
    stored_settings = capture / SETTINGS
    takes_settings = stored_settings.exists() and not layout.env_file.exists()
    settings = settings_after(context, stored_settings if takes_settings else None)
    if takes_settings:
        if plan.manifest.engine == EngineName.COMPOSE:
            refuse_external(context, settings, stored_settings)
        # It is put there last, and names compose files that are needed from now on.
        variables = compose_files_variables(replace(layout, env_file=stored_settings), context.environment)
        # So does what says where the site's configuration is.
        layout = with_site(layout, stored_settings, context.environment)
        context = replace(context, environment={**context.environment, **variables}, layout=layout)
    engine = context.engine(EngineName(plan.manifest.engine), settings)
    driver = open_driver(context, settings, plan.manifest.engine)
    was_running = engine.stop()
    write_private(capture / "engine", f"{plan.manifest.engine}\n")
    known = data_secrets.text_with(
        layout,
        data_secrets.place_of(plan.manifest.engine, settings),
        data_secrets.fingerprints(settings),
    )
    write_private(capture / "data-secrets.json", known)
    wanted = [
        *driver.replacements(capture / STORES, plan.only),
        (capture / "engine", layout.engine_file),
        (capture / "data-secrets.json", layout.data_secrets_file),
    ]
    if (capture / CREDENTIALS).is_dir() and not plan.only:
        point_here(capture / CREDENTIALS, settings["NEXTAUTH_URL"])
        wanted.append((capture / CREDENTIALS, layout.credentials_dir))
    files = Replacement.plan(work, wanted)
    stores = driver.exchange(capture / STORES, work, plan.only)
    brought = bring_site(layout, capture / CONFIG)
    try:
        files.begin()
        if stores:
            with context.console.working("Filling the stores"):
                stores.begin()
        engine.start({})
        with context.console.working("Spot-checking the data through the API"):
            prove(engine, layout.credentials_dir, samples_of(plan, driver), live=True)
        if takes_settings:
            write_private(layout.env_file, stored_settings.read_text(encoding="utf-8"))
        keep_other_config(context, capture / CONFIG)
    except BaseException:
        engine.stop()
        if stores:
            stores.undo()
        files.undo()
        if brought:
            shutil.rmtree(layout.site_dir)
        if was_running:
            start_again(context, engine)
        raise
    # The files first: once they are in place for good a killed process undoes nothing any more. What is then
    # left of the old stores goes with the next restore.
    files.commit()
    if stores:
        stores.commit()
    return engine


def refuse_external(context: Context, settings: Settings, stored: Path) -> None:
    """Raise Refused where the `.env` of a backup names external stores: nobody has said that they are meant.

    On an empty host they may still be there, with newer data. The file is kept for people to look at.
    """
    named = [*external_databases(settings.values), *filter(settings.get, ("S3_ENDPOINT",))]
    if not named:
        return
    copy = context.layout.stack_dir / "env-of-backup"
    write_private(copy, stored.read_text(encoding="utf-8"))
    shown = context.layout.shown(copy)
    raise Refused(
        f"The .env of the backup names external stores ({', '.join(named)}). Nothing was changed.",
        fix=f"cp {shown} .env, check the addresses in it, then repeat (REPLACE=1 where they have data).",
    )


def start_again(context: Context, engine: Engine) -> None:
    """Start the old state. Where it does not, why the restore has failed is still what is told."""
    try:
        engine.start({})
    except StackError as error:
        context.console.warn(f"What was there before is back, and does not start: {error.message}")


def point_here(credentials: Path, url: str) -> None:
    """Let restored credentials name this stack: as they are they lead commands to the one they come from."""
    for path in credentials.rglob("*.env*"):
        lines = [
            f"{name}={url}" if name in ("LANGFUSE_BASE_URL", "LANGFUSE_HOST") else line
            for line in path.read_text(encoding="utf-8").splitlines()
            for name in [line.partition("=")[0]]
        ]
        write_private(path, "\n".join(lines) + "\n")


def samples_of(plan: Incoming, driver: Driver) -> Contents:
    """Return the contents with the samples that the restored stores decide about."""
    contents = plan.manifest.contents
    if not plan.only:
        return contents
    kinds = frozenset().union(*(driver.stores[store] for store in plan.only))
    return replace(contents, samples=[one for one in contents.samples if one.kind in kinds])


def settings_after(context: Context, env_file: Path | None) -> Settings:
    """Return the settings that hold once the `.env` of a backup is in place (None: the own one stays)."""
    if env_file is None:
        return context.settings()
    return replace(context, layout=replace(context.layout, env_file=env_file)).settings()


def prove(engine: Engine, credentials_dir: Path, contents: Contents, *, live: bool) -> int:
    """Return how many known things were read back through the API, which others use, too, where it is `live`.

    Raises:
        BackupError: something differs from the manifest, or nothing could be read although there is data.
    """
    try:
        problems, read = read_back(engine.local_url, credentials_dir, contents, live=live)
    except OSError as error:
        problems, read = [str(error)], 0
    if not problems and not read and contents.samples:
        problems = [f"no project of the backup has its key in {credentials_dir}"]
    if problems:
        raise BackupError(
            "The restored engine does not give back what was saved; the old state was put back.",
            details=problems[:20],
            fix="restore another backup: make backups.",
        )
    return read


def bring_site(layout: Layout, stored: Path) -> bool:
    """Put the site's own configuration of a backup in place where there is none; return whether that was so.

    The engine has to start with the projects of the backup, not with those of the repository.
    """
    saved = stored / SITE
    if layout.site_dir.exists() or not saved.is_dir():
        return False
    try:
        shutil.copytree(saved, layout.site_dir)
    except OSError as error:
        raise BackupError(
            f"The site's configuration cannot be written to {layout.shown(layout.site_dir)}: {error}.",
            fix="let this user write there, or name another place with STACK_CONFIG_DIR, then repeat.",
        ) from error
    return True


def keep_other_config(context: Context, stored: Path) -> None:
    """Put the backup's `config/` beside the data where it differs from the one here, which stays.

    Where a site has its own, that alone counts: the repository's may be of another version.
    """
    site, here = context.layout.site_dir, context.layout.root / "config"
    if (stored / SITE).is_dir() and site.is_dir():
        stored, here = stored / SITE, site
    if not stored.is_dir() or not _differs(stored, here):
        return
    target = context.layout.stack_dir / "config-of-backup"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(stored, target)
    left, right = (context.layout.shown(path) for path in (here, target))
    context.console.warn(f"{left}/ differs from that of the backup, now in {right}: compare them.")


def _differs(left: Path, right: Path) -> bool:
    paths = {path.relative_to(root) for root in (left, right) for path in root.rglob("*") if path.is_file()}
    paths = {path for path in paths if ".git" not in path.parts}
    return any(
        not (left / path).is_file()
        or not (right / path).is_file()
        or not filecmp.cmp(left / path, right / path, shallow=False)
        for path in paths
    )
