"""The repository: restic with one location and password. Everything else here knows nothing of restic."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from scripts.core.errors import UsageError
from scripts.core.runner import Completed, Runner
from scripts.engines.context import Context
from scripts.settings.values import Settings

from .errors import NoRepository, RepositoryError, WrongPassword
from .policy import Policy

TAG = "langfuse-stack"
_LONG_S = 24 * 3600.0
_SHORT_S = 120.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One backup in the repository.

    Attributes:
        id: what restic calls it; the first eight digits are enough.
        stack: name of the stack that it came from.
        path: the directory that was saved; files lie below it in the repository.
        facts: `name:value` tags, such as engine and observations.
    """

    id: str
    time: datetime
    stack: str
    path: str
    facts: Mapping[str, str]

    @property
    def short_id(self) -> str:
        """What a person types."""
        return self.id[:8]


@dataclass(frozen=True, slots=True)
class Saved:
    """What a save has done; sizes in bytes."""

    snapshot_id: str
    total_bytes: int
    added_bytes: int


@dataclass(frozen=True, slots=True)
class Repository:
    """A restic repository in a folder, on an SFTP server or in S3."""

    location: str
    password: str = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    runner: Runner
    cache_dir: Path

    @property
    def folder(self) -> Path | None:
        """The folder of a local repository, or None."""
        return None if ":" in self.location else Path(self.location)

    def open(self, *, create: bool) -> None:
        """Check that it is there and opens; a new one is made where there is none and `create` says so.

        Raises:
            RepositoryError: it cannot be used.
        """
        try:
            self._run("unlock")  # needs the password, and removes the locks of processes that are gone
        except NoRepository:
            if not create:
                raise
            self._run("init")

    def snapshots(self) -> list[Snapshot]:
        """Return the complete backups, oldest first. What was interrupted is none."""
        rows = json.loads(self._run("snapshots", "--json", "--tag", TAG).stdout) or []
        return sorted((_snapshot(row) for row in rows), key=lambda snapshot: snapshot.time)

    def save(self, directory: Path, stack: str, facts: Mapping[str, str]) -> Saved:
        """Store a directory as a backup; what the repository has already is not stored again.

        Raises:
            RepositoryError: that failed; there is no backup then.
        """
        tags = ",".join([TAG, *(f"{name}:{value}" for name, value in facts.items())])
        done = self._run(
            "backup", "--json", "--host", stack, "--tag", tags, str(directory), timeout_s=_LONG_S
        )
        summary = json.loads(done.stdout.strip().splitlines()[-1])
        return Saved(summary["snapshot_id"], summary["total_bytes_processed"], summary["data_added"])

    def read(self, snapshot: Snapshot, name: str) -> str:
        """Return the text of one file of a backup.

        Raises:
            RepositoryError: it is not there, or damaged.
        """
        return self._run("dump", snapshot.id, f"{snapshot.path}/{name}").stdout

    def load(self, snapshot: Snapshot, into: Path) -> Path:
        """Write a backup below `into`; return the directory that corresponds to the saved one.

        Raises:
            RepositoryError: that failed, or something in the repository is damaged.
        """
        self._run("restore", snapshot.id, "--target", str(into), timeout_s=_LONG_S)
        return into / snapshot.path.lstrip("/")

    def change_password(self, new: str) -> None:
        """Let another password open the repository, and the present one no longer.

        Raises:
            RepositoryError: that failed; the present one still opens it.
        """
        with tempfile.NamedTemporaryFile("w", prefix="restic-") as file:  # readable by its owner only
            file.write(new)
            file.flush()
            self._run("key", "passwd", "--new-password-file", file.name)

    def check_structure(self) -> None:
        """Compare what is listed with what is there; a restore looks for a missing file for a minute.

        Raises:
            RepositoryError: something is missing.
        """
        self._run("check")

    def check(self) -> None:
        """Read everything in the repository and compare it with its checksums.

        Raises:
            RepositoryError: something is missing or damaged.
        """
        self._run("check", "--read-data", timeout_s=_LONG_S)

    def apply(self, policy: Policy, stack: str) -> int:
        """Remove backups of a stack that the policy does not keep; return how many."""
        selection = ("--tag", TAG, "--host", stack, "--group-by", "host")
        options = ("--json", *selection, *policy.options(), "--prune")
        done = self._run("forget", *options, timeout_s=_LONG_S)
        # One line of JSON; what the removal of data says comes after it.
        groups = json.loads(done.stdout.strip().splitlines()[0])
        return sum(len(group["remove"] or ()) for group in groups)

    def _run(self, *arguments: str, timeout_s: float = _SHORT_S) -> Completed:
        cache = ["--no-cache"] if self.folder else ["--cache-dir", str(self.cache_dir)]
        env = {
            **self.environment,
            "RESTIC_REPOSITORY": self.location,
            "RESTIC_PASSWORD": self.password,
            "RESTIC_PROGRESS_FPS": "0.1",
        }
        done = self.runner.run(["restic", *cache, *arguments], env=env, timeout_s=timeout_s)
        if done.returncode != 0:
            raise explained(self.location, arguments[0], done)
        return done


def open_repository(context: Context, settings: Settings, *, create: bool = False) -> Repository:
    """Return the repository of the settings, checked.

    Raises:
        UsageError: there is no password.
        RepositoryError: it cannot be used.
    """
    password = settings.get("BACKUP_PASSWORD")
    if not password:
        raise UsageError(
            "BACKUP_PASSWORD is not set: backups are encrypted with it.",
            fix="make up adds one to .env; on another host put it into the environment from where you keep "
            "it, as an argument is seen by others: read -rs BACKUP_PASSWORD; export BACKUP_PASSWORD.",
        )
    location = settings["BACKUP_REPOSITORY"]
    if ":" not in location:
        location = str((context.layout.root / location).resolve())
    cache_dir = context.layout.stack_dir / "cache" / "restic"
    repository = Repository(
        location, password, _with_keys(context.environment, settings), context.runner, cache_dir
    )
    repository.open(create=create)
    return repository


def _with_keys(environment: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Return the environment of restic, with the keys of an S3 repository under the names that it knows."""
    keys = {
        f"AWS_{name}": settings.get(f"BACKUP_S3_{name}") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
    }
    return {**environment, **{name: value for name, value in keys.items() if value}}


def explained(location: str, command: str, done: Completed) -> RepositoryError:
    """Return the error for an outcome of restic."""
    lines = [line for line in (done.stderr or done.stdout).strip().splitlines() if line]
    text = " ".join(lines)
    if "wrong password" in text:
        return WrongPassword(
            f"The backup repository {location} does not open with this BACKUP_PASSWORD.",
            fix="use the password of the stack that made the repository (BACKUP_PASSWORD in its .env).",
        )
    if "Is there a repository at the following location" in text:
        return NoRepository(
            f"There is no backup repository at {location}.",
            fix="make a backup first, or set BACKUP_REPOSITORY to where the backups are.",
        )
    if "already locked" in text:
        return RepositoryError(
            f"The backup repository {location} is in use.",
            details=_last(lines),
            fix="wait until that is done, then repeat.",
        )
    if "no space left" in text.lower():
        return RepositoryError(
            f"The disk is full (restic {command}).",
            details=_last(lines),
            fix="free some space, then repeat: what was stored already is used again.",
        )
    return RepositoryError(
        f"The backup repository {location} could not be used (restic {command}).",
        details=_last(lines),
        fix="correct what the lines name; if the repository is damaged, use another backup or copy of it.",
    )


def choose(snapshots: Sequence[Snapshot], wanted: str, stack: str) -> Snapshot:
    """Return the backup that `wanted` names: an id, its beginning, or `latest`.

    The latest is that of this stack; on a host where this stack has none, that of the only other one.

    Raises:
        UsageError: there is none, or more than one fits.
    """
    if not snapshots:
        raise UsageError("There is no backup in the repository.", fix="make backup")
    if wanted != "latest":
        fitting = [one for one in snapshots if wanted and one.id.startswith(wanted)]
        if len(fitting) != 1:
            raise UsageError(
                f"{'No backup' if not fitting else 'More than one backup'} begins with {wanted}.",
                fix="make backups shows them all.",
            )
        return fitting[0]
    own = [one for one in snapshots if one.stack == stack]
    names = sorted({one.stack for one in snapshots})
    if not own and len(names) > 1:
        raise UsageError(
            f"The repository has no backup of the stack {stack}, but of {', '.join(names)}.",
            fix="name one of them: make restore BACKUP=<id> (make backups shows them).",
        )
    return (own or snapshots)[-1]


def _snapshot(row: Mapping[str, Any]) -> Snapshot:
    facts = (tag.partition(":") for tag in row.get("tags") or () if ":" in tag)
    return Snapshot(
        id=str(row["id"]),
        time=datetime.fromisoformat(_microseconds(str(row["time"]))),
        stack=str(row["hostname"]),
        path=row["paths"][0],
        facts={name: value for name, _, value in facts},
    )


def _microseconds(text: str) -> str:
    """Cut restic's nanoseconds, which datetime does not read."""
    head, dot, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return f"{head}.{digits[:6].ljust(6, '0')}{rest[len(digits) :]}" if dot else text


def _last(lines: Sequence[str]) -> list[str]:
    return list(lines[-6:])
