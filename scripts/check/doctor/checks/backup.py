"""Checks of backups."""

from __future__ import annotations

from scripts.check.doctor.facts import Facts, NotGathered
from scripts.check.doctor.model import COMPOSE, Check, Repair, Verdict, failed, ok, skipped, warning
from scripts.check.doctor.sources.backups import Backups
from scripts.check.doctor.sources.embedded import EmbeddedData
from scripts.check.doctor.sources.stack import Stack
from scripts.docker.paused_worker import wake_worker
from scripts.engines.context import Context

from . import limits

_DAY_S = 86_400


def _exists(facts: Facts) -> Verdict:
    backups = facts.of(Backups)
    if backups.ages_h.get("backup") is not None or backups.count:
        return ok(
            f"{backups.count} backups are in {backups.location}" if backups.count else "a backup was made"
        )
    if facts.of(Stack).reachable_from_outside:
        return warning("no backup was ever made, and other machines rely on this stack")
    try:
        days = facts.of(EmbeddedData).oldest_s / _DAY_S
    except NotGathered:
        days = 0.0
    if days > limits.FIRST_BACKUP_DAYS:
        return warning(f"no backup was ever made, and the data is {days:.0f} days old")
    return skipped("no backup was ever made (make backup makes the first)")


def _age(facts: Facts) -> Verdict:
    hours = facts.of(Backups).ages_h.get("backup")
    if hours is None:
        raise NotGathered("no backup was made from here")
    text = f"the last backup is {hours:.0f} hours old"
    return ok(text) if hours <= limits.BACKUP_HOURS else warning(text)


def _verified(facts: Facts) -> Verdict:
    backups = facts.of(Backups)
    if "backup" not in backups.ages_h:
        raise NotGathered("no backup was made from here")
    hours = backups.ages_h.get("backup-verify")
    if hours is None:
        # The first backup is a day old at most: one may still be about to verify it.
        young = backups.ages_h["backup"] < limits.BACKUP_HOURS and backups.count <= 1
        return (
            skipped("the first backup is not verified yet")
            if young
            else warning("no backup was ever verified")
        )
    text = f"the last verification was {hours / 24:.0f} days ago"
    return ok(text) if hours <= limits.VERIFY_DAYS * 24 else warning(text)


def _opens(facts: Facts) -> Verdict:
    backups = facts.of(Backups)
    if backups.repository == "absent":
        if "backup" in backups.ages_h:
            return failed(f"there is no repository at {backups.location} any more")
        return skipped("there is no repository yet")
    if not backups.restic:
        return failed("restic is not installed", "apt install restic")
    if backups.repository != "open":
        return failed(backups.repository)
    return ok(f"{backups.location} opens with BACKUP_PASSWORD")


def _place(facts: Facts) -> Verdict:
    backups = facts.of(Backups)
    if not backups.count:
        raise NotGathered("there is no backup yet")
    if not backups.same_disk:
        return ok(f"{backups.location} is not on the disk of the data")
    if facts.of(Stack).reachable_from_outside:
        return warning(f"{backups.location} is on the disk of the data: one fault takes both")
    return ok(f"{backups.location} is on the disk of the data; only this machine uses the stack")


def _unfinished(facts: Facts) -> Verdict:
    if facts.of(Backups).unfinished_restore:
        return failed("a restore was killed: what was there before it still waits to be put back")
    return ok("no restore is unfinished")


def _worker(facts: Facts) -> Verdict:
    rest = facts.of(Backups).rest
    if rest is None:
        return ok("no backup has left the worker stopped")
    return failed(rest.text()) if rest.abandoned else ok(rest.text())


def _wake(context: Context) -> None:
    wake_worker(context.compose(context.settings()))


CHECKS = (
    Check(
        id="backup.exists",
        looks_at="There is a backup, once the data is a week old or other machines rely on the stack.",
        fix="make backup, and let a timer call it every day",
        page="how-to/back-up-and-restore.md",
        judge=_exists,
    ),
    Check(
        id="backup.age",
        looks_at="The last backup is at most 26 hours old.",
        fix="make backup; see why the timer did not",
        page="runbooks/BackupTooOld.md",
        judge=_age,
    ),
    Check(
        id="backup.verified",
        looks_at="A backup was restored on trial in the last 8 days.",
        fix="make backup-verify",
        page="how-to/back-up-and-restore.md",
        judge=_verified,
    ),
    Check(
        id="backup.opens",
        looks_at="The repository is there and opens with BACKUP_PASSWORD.",
        fix="set BACKUP_PASSWORD and BACKUP_REPOSITORY to what the backups were made with",
        page="how-to/back-up-and-restore.md",
        judge=_opens,
    ),
    Check(
        id="backup.place",
        looks_at="Where other machines rely on the stack, backups are on another disk than the data.",
        fix="set BACKUP_REPOSITORY to another disk, host (sftp:) or bucket (s3:)",
        page="how-to/back-up-and-restore.md",
        judge=_place,
    ),
    Check(
        id="backup.restore",
        looks_at="No killed restore waits to be put back.",
        fix="repeat it: make restore (it first puts back what was there)",
        page="how-to/back-up-and-restore.md",
        judge=_unfinished,
    ),
    Check(
        id="backup.worker",
        looks_at="No backup that was killed has left the worker stopped.",
        fix="make up, or make doctor FIX=1 ONLY=backup.worker",
        page="how-to/back-up-and-restore.md",
        judge=_worker,
        engines=COMPOSE,
        repair=Repair(what="docker compose restart langfuse-worker", apply=_wake),
    ),
)
