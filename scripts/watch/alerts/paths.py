"""Where the files of the alerts are."""

from __future__ import annotations

from pathlib import Path

from scripts.engines.context import Context


def alerts_file(context: Context) -> Path:
    """Return the file that people edit."""
    return context.layout.config("alerts.yaml")


def secrets_dir(context: Context) -> Path:
    """Return where the files with the secrets of receivers are."""
    return context.layout.alertmanager_dir / "secrets"
