"""Whether the engine's files are still there and take what is written, which health answers."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import time
from pathlib import Path

log = logging.getLogger(__name__)

_FILES = ("engine.lock", "state.db", "state.db-wal", "events.db", "events.db-wal")
# The coarsest file systems tell times by two seconds.
_SETTLED_NS = 3 * 10**9
_REFUSALS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would become too large",
    errno.EROFS: "the file system is read-only",
    errno.EIO: "the disk does not work (input/output error)",
    errno.ESTALE: "the directory is gone",
}
# Errors of a path: only those of the data directory say anything about it.
_REFUSALS_OF_PATHS = {
    errno.EACCES: "permission denied",
    errno.EPERM: "operation not permitted",
    errno.ENOENT: "the directory is gone",
}
_ROOM = "Free some disk space and send again."
_PERMISSION = "Make the data directory writable and send again."
_OTHER = "Send again; the engine's log has the details."


def refusal_of(error: BaseException, data_dir: Path) -> str | None:
    """Return what to tell a client when the store refused a read or a write; ``None`` for other errors."""
    if isinstance(error, sqlite3.OperationalError):
        return refused(str(error)) if _is_of_the_store(error) else None
    if isinstance(error, OSError):
        is_ours = isinstance(error.filename, str) and Path(error.filename).is_relative_to(data_dir)
        why = _REFUSALS.get(error.errno or 0) or (is_ours and _REFUSALS_OF_PATHS.get(error.errno or 0))
        return refused(why) if why else None
    if type(error).__module__.partition(".")[0] in ("duckdb", "_duckdb") and type(error).__name__ in (
        "IOException",
        "FatalException",
    ):
        return refused(str(error).partition("\n")[0])
    return None


def refused(why: str) -> str:
    """Return the sentence for a write that the store refused, with what to do."""
    text = why.lower()
    if any(word in text for word in ("full", "space", "quota", "too large")):
        advice = _ROOM
    elif any(word in text for word in ("readonly", "read-only", "unable to open", "permi")):
        advice = _PERMISSION
    else:
        advice = _OTHER
    return f"The data could not be stored: {why}. {advice}"


def _is_of_the_store(error: sqlite3.OperationalError) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
    )


class Storage:
    """The files of a data directory as they were opened.

    A file that is removed or replaced while it is open still takes writes, and all of them are lost:
    `is_gone` notices. `refusal` is why the last write was not taken; empty when it was.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.refusal = ""
        self._paths = [str(data_dir / name) for name in _FILES]
        self._seen: dict[str, tuple[int, int]] = {}
        self._directory = str(data_dir)
        # Device, number and time of change of the directory as of a look that found all files.
        self._unchanged: tuple[int, int, int] | None = None
        self._gone = ""

    @property
    def problem(self) -> str:
        """Why nothing can be stored now; empty when it can."""
        return self._gone or self.refusal

    @property
    def gone(self) -> str:
        """What was found missing, as of the last look; empty when nothing was."""
        return self._gone

    def is_gone_since(self) -> bool:
        """Look whether the files are still the ones that were opened, as `is_gone`, but with each write.

        Whoever removes or replaces a file changes its directory: one look tells that nobody has.
        """
        if self._gone:
            return True
        before, now = self._identity(), time.time_ns()
        if before is not None and before == self._unchanged:
            return False
        if self.is_gone():
            return True
        # What changed within one tick of the file system's clock looks the same.
        is_settled = before is not None and now - before[2] > _SETTLED_NS
        self._unchanged = before if is_settled else None
        return False

    def is_gone(self) -> bool:
        """Look whether the files are the ones that were opened; what once was missing stays so."""
        if self._gone:
            return True
        for path in self._paths:
            known = self._seen.get(path)
            try:
                found = os.stat(path)  # noqa: PTH116 - twice as fast, and often
            except OSError:
                if known is not None:
                    self._lose(path, "is gone")
                    return True
                continue
            identity = found.st_dev, found.st_ino
            if known is None:
                self._seen[path] = identity
            elif known != identity:
                self._lose(path, "is another file now")
                return True
        return False

    def note(self, error: BaseException) -> str | None:
        """Remember that the store refused something; return what to tell the client, as `refusal_of`."""
        message = refusal_of(error, self.data_dir)
        if message is not None:
            self.refuse(message)
        return message

    def refuse(self, message: str) -> None:
        """Remember why a write was not taken."""
        if message != self.refusal:
            log.error("%s", message)
        self.refusal = message

    def accept(self) -> None:
        """Remember that a write was taken."""
        if self.refusal:
            log.warning("the store takes writes again")
        self.refusal = ""

    def is_full_or_readonly(self) -> str:
        """Return why the file system takes nothing, as far as it says so itself; empty when it does not."""
        try:
            found = os.statvfs(self.data_dir)
        except OSError:
            return ""
        if found.f_flag & os.ST_RDONLY:
            return refused("the file system is read-only")
        if found.f_blocks and not found.f_bavail and os.geteuid():
            return refused("the disk is full")
        return ""

    def _identity(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._directory)  # noqa: PTH116
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns

    def _lose(self, path: str, what: str) -> None:
        self._gone = (
            f"{path} {what}: what this engine still writes would be lost, so it takes nothing and stops. "
            "Start it again."
        )
        log.critical("%s", self._gone)
