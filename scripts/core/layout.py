"""Where the files of a stack are."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .errors import StackError, UsageError

DEFAULT_STACK_DIR = ".stack"
SITE = "local"
"""The directory of `config/` that is the site's own; in backups and bundles too, wherever it is here."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one stack.

    Attributes:
        root: the repository.
        env_file: the settings with the secrets.
        stack_dir: everything that `make up` makes: data, credentials, logs.
        site: the configuration of this site, where it is not `config/local` (STACK_CONFIG_DIR).
    """

    root: Path
    env_file: Path
    stack_dir: Path
    site: Path | None = None

    @property
    def langfuse_file(self) -> Path:
        """Further variables of Langfuse, beside the settings."""
        return self.env_file.with_name(".env.langfuse")

    @property
    def site_dir(self) -> Path:
        """The configuration of this site: an update of the repository leaves it alone."""
        return self.site or self.root / "config" / SITE

    def _require_site(self) -> None:
        """Raise UsageError where the site's configuration is said to be elsewhere, and is not there.

        What would be read instead, `config/` of the repository, has other projects.
        """
        if self.site and not self.site.is_dir():
            raise UsageError(
                f"STACK_CONFIG_DIR names {self.site}, and there is no such directory.",
                fix="bring it, or begin it: make init; or take the variable out of .env and the environment.",
            )

    def config(self, name: str) -> Path:
        """Return where `config/<name>` is read from: the site's own, or else the one of the repository."""
        own = self.site_dir / name
        return own if own.exists() else self.root / "config" / name

    def edited(self, name: str) -> tuple[Path, str]:
        """Return where `config/<name>` is read from, and what messages call that file.

        Raises:
            UsageError: the site's configuration is not there.
        """
        self._require_site()
        path = self.config(name)
        return path, self.shown(path)

    @property
    def stack_file(self) -> Path:
        """The desired state. Raises UsageError where the site's configuration is not there."""
        self._require_site()
        return self.config("stack.yaml")

    @property
    def rules_dir(self) -> Path:
        """The rules that Prometheus reads; those compiled from the site's alerts are in its own directory."""
        return self._compiled_in / "prometheus" / "rules"

    @property
    def alertmanager_dir(self) -> Path:
        """The routing that Alertmanager reads, with the secrets of receivers."""
        return self._compiled_in / "alertmanager"

    @property
    def dashboards_dir(self) -> Path:
        """The dashboards that Grafana shows; beside those of the site are copies of the repository's."""
        return self.config("grafana/dashboards")

    @property
    def _compiled_in(self) -> Path:
        return self.config("alerts.yaml").parent

    @property
    def images_lock(self) -> Path:
        """The digests of images that `make lock` resolved."""
        return self.root / "images.lock"

    @property
    def credentials_dir(self) -> Path:
        """One `<project>.env` for each project."""
        return self.stack_dir / "credentials"

    @property
    def engine_file(self) -> Path:
        """The name of the engine that was started last: its data is the data of this stack."""
        return self.stack_dir / "engine"

    @property
    def identity_file(self) -> Path:
        """What tells this stack from another one of the same name (core/identity.py)."""
        return self.stack_dir / "identity.json"

    @property
    def langfuse_version_file(self) -> Path:
        """The version of Langfuse that was started last on the compose engine."""
        return self.stack_dir / "langfuse-version"

    @property
    def embedded_dir(self) -> Path:
        """Data of the embedded engine."""
        return self.stack_dir / "embedded"

    @property
    def before_upgrade_dir(self) -> Path:
        """Data of the embedded engine as it was before its last upgrade."""
        return self.stack_dir / "embedded.before-upgrade"

    @property
    def after_upgrade_dir(self) -> Path:
        """Data of the embedded engine as an upgrade had left it that was rolled back."""
        return self.stack_dir / "embedded.after-upgrade"

    @property
    def upgrade_copies(self) -> tuple[Path, ...]:
        """Those of both that are there."""
        return tuple(path for path in (self.before_upgrade_dir, self.after_upgrade_dir) if path.exists())

    @property
    def embedded_log(self) -> Path:
        """Log of the embedded engine."""
        return self.stack_dir / "logs" / "embedded.log"

    @property
    def restore_dir(self) -> Path:
        """Where a restore works, and keeps what was there until the new state has proven itself."""
        return self.stack_dir / "restore"

    @property
    def restore_journal(self) -> Path:
        """What a restore has moved; it exists only while one is under way, or after it was killed."""
        return self.restore_dir / "journal.json"

    @property
    def resting_worker_file(self) -> Path:
        """There while a command has paused the worker, or after it was killed (docker/pause.py)."""
        return self.stack_dir / "worker-rests"

    @property
    def moved_file(self) -> Path:
        """There while this stack is moved to another one, and after that (docker/moved.py)."""
        return self.stack_dir / "moved.json"

    @property
    def move_files(self) -> tuple[Path, ...]:
        """All that moves from or to this stack have left here."""
        return tuple(sorted(self.stack_dir.glob("move*")))

    @property
    def data_secrets_file(self) -> Path:
        """Fingerprints of the secrets that the data was written with (core/data_secrets.py)."""
        return self.stack_dir / "data-secrets.json"

    @property
    def lock_file(self) -> Path:
        """Held by the command that changes the stack."""
        return self.stack_dir / "lock"

    def shown(self, path: Path) -> str:
        """Return the path as a person in the repository would type it."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def default_layout(root: Path, environment: Mapping[str, str]) -> Layout:
    """Return the layout of the repository at `root`; `STACK_DIR` moves everything but `.env`."""
    stack_dir = (root / (environment.get("STACK_DIR") or DEFAULT_STACK_DIR)).resolve()
    return Layout(root=root, env_file=root / ".env", stack_dir=stack_dir)


@contextmanager
def only_one_command(layout: Layout) -> Iterator[None]:
    """Hold the stack for this process: two commands that change it must not run at once.

    Raises:
        StackError: another command is at work, or the directory cannot be written.
    """
    try:
        layout.stack_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = layout.lock_file.open("a+")
    except OSError as error:
        raise StackError(
            f"Cannot write {layout.stack_dir}: {error.strerror}.",
            fix="free the path or make the directory writable for this user.",
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise StackError(
                f"Another command (process {lock.read().strip() or 'unknown'}) is changing this stack.",
                fix="wait until it is done, then repeat.",
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; only its owner can read it, and its directory.

    What root writes belongs to the owner of the directory, as a container may have to read it (`give_to`).
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    # Exclusive: what is there may be a link of someone else who may write into the directory.
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    # What an operator's file has that is not UTF-8 is written back as it was read.
    with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        if os.getuid() == 0:
            owner = path.parent.stat()
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    fresh.replace(path)


def give_to(directory: Path, user: int, group: int) -> None:
    """Make a private directory and the plain files in it belong to a user. Does nothing unless we are root.

    Links are not followed, and a file with a second name stays what it is: whoever owns the directory already
    could otherwise be given any file of this machine.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.getuid() != 0:
        return
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    folder = os.open(directory, flags | os.O_DIRECTORY)
    try:
        os.fchown(folder, user, group)
        for name in os.listdir(folder):  # noqa: PTH208 - of the open directory, whatever has its name by now
            with suppress(OSError):  # a link, or gone meanwhile
                file = os.open(name, flags, dir_fd=folder)
                try:
                    found = os.fstat(file)
                    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
                        os.fchown(file, user, group)
                finally:
                    os.close(file)
    finally:
        os.close(folder)
