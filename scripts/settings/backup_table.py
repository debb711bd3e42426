"""The settings of backups."""

from __future__ import annotations

from .kinds import TEXT, hex_secret, random_hex, text
from .model import Group, Reader, SetBy, Setting

BACKUPS = Group(
    "Backups",
    (
        Setting(
            name="BACKUP_REPOSITORY",
            description="Where encrypted backups go: a folder (relative to the repository), "
            "`sftp:user@host:/path` or `s3:https://host/bucket`.",
            kind=TEXT,
            default=".backups",
            used_by=(Reader.SCRIPTS,),
        ),
        Setting(
            name="BACKUP_S3_ACCESS_KEY_ID",
            description="Who may use an `s3:` repository. Unset: AWS_ACCESS_KEY_ID of the environment.",
            used_by=(Reader.SCRIPTS,),
        ),
        Setting(
            name="BACKUP_S3_SECRET_ACCESS_KEY",
            description="Their secret. Unset: AWS_SECRET_ACCESS_KEY of the environment.",
            kind=text("secret, >= 8 characters", min_length=8),
            secret=True,
            used_by=(Reader.SCRIPTS,),
        ),
        Setting(
            name="BACKUP_PASSWORD",
            description="Encrypts the backups. Without it no backup can be read: keep a copy outside of this "
            "machine.",
            kind=hex_secret(16),
            generate=random_hex(32),
            set_by=SetBy.GENERATED,
            secret=True,
            used_by=(Reader.SCRIPTS,),
        ),
    ),
)
