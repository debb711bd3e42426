"""What can go wrong with backups. All are expected failures with a fix.

BackupError             a backup, restore or verification failed; what was there is as it was
├── RepositoryError     the restic repository cannot be used
│   ├── NoRepository    there is none at this place
│   └── WrongPassword   it does not open with this password
└── Refused             a restore that must not happen; nothing was touched; exit code 2
"""

from __future__ import annotations

from scripts.core.errors import EXIT_USAGE, StackError


class BackupError(StackError):
    """A backup, restore or verification failed."""


class RepositoryError(BackupError):
    """The repository cannot be used."""


class NoRepository(RepositoryError):
    """There is no repository at this place."""


class WrongPassword(RepositoryError):
    """The repository does not open with this password."""


class Refused(BackupError):
    """A restore that must not happen. Nothing was touched."""

    exit_code = EXIT_USAGE
