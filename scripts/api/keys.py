"""The API keys of this stack's projects, as their credentials files have them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from scripts.settings.envfile import read_env


@dataclass(frozen=True, slots=True)
class ProjectKey:
    """A project and its API key."""

    project: str
    public_key: str
    secret_key: str = field(repr=False)

    @property
    def keys(self) -> tuple[str, str]:
        """Public and secret key, as the client takes them."""
        return self.public_key, self.secret_key


def project_keys(directory: Path) -> list[ProjectKey]:
    """Return the keys in a directory of credentials files, sorted by project."""
    found = []
    for path in sorted(directory.glob("*.env")):
        values = read_env(path).values()
        public, secret = values.get("LANGFUSE_PUBLIC_KEY"), values.get("LANGFUSE_SECRET_KEY")
        if public and secret:
            found.append(ProjectKey(path.stem, public, secret))
    return found


def why_no_keys(directory: Path) -> str:
    """Return why a directory gives no keys, for people."""
    if directory.exists() and not os.access(directory, os.R_OK | os.X_OK):
        return f"user {os.getuid()} may not read the credentials in {directory}"
    return f"there are no credentials in {directory}"
