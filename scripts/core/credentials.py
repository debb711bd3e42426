"""API keys of projects: made once, kept in `.stack/credentials/<project>.env`, readable by the owner only.

A key is *pending* (`<project>.env.pending`) from the moment it is made until the server has accepted it;
then the file gets its final name. So a run that was interrupted goes on with the same keys, and whoever reads
`*.env` only ever sees keys that work.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from scripts.provision.stack import Project

from .errors import UsageError
from .layout import write_private
from .settings.envfile import read_env


@dataclass(frozen=True, slots=True)
class Credentials:
    """The key of one project, and where its server is."""

    project_id: str
    public_key: str
    secret_key: str = field(repr=False)
    base_url: str
    verified: bool = False

    def file_text(self) -> str:
        """Return the credentials file: for `source`, `env_file:` and the SDK's own variable names."""
        return (
            f"LANGFUSE_BASE_URL={self.base_url}\n"
            f"LANGFUSE_HOST={self.base_url}\n"
            f"LANGFUSE_PUBLIC_KEY={self.public_key}\n"
            f"LANGFUSE_SECRET_KEY={self.secret_key}\n"
            f"LANGFUSE_PROJECT_ID={self.project_id}\n"
        )


@dataclass(frozen=True, slots=True)
class CredentialsStore:
    """The directory of credentials files."""

    directory: Path

    def path(self, project_id: str) -> Path:
        """Return where the working credentials of a project stand."""
        return self.directory / f"{project_id}.env"

    def load(self, project: Project, base_url: str, secrets: Mapping[str, str]) -> Credentials:
        """Return the credentials that a project has or shall get; nothing is written.

        `secrets` are the environment and `.env`, from which a fixed key takes its secret part.

        Raises:
            UsageError: the variable that holds the secret of a fixed key is not set.
        """
        kept, verified = self._read(project.id, self.path(project.id)), True
        if not kept:
            kept, verified = self._read(project.id, self._pending(project.id)), False
        if project.key:
            secret = secrets.get(project.key.secret_from, "")
            if not secret:
                raise UsageError(
                    f"The key of project {project.id} takes its secret part from {project.key.secret_from}, "
                    "which is not set.",
                    fix=f"set {project.key.secret_from} in the environment or in .env.",
                )
            fixed = Credentials(project.id, project.key.public, secret, base_url)
            same = kept and (kept.public_key, kept.secret_key) == (fixed.public_key, fixed.secret_key)
            return replace(fixed, verified=bool(same and verified))
        if kept:
            return replace(kept, base_url=base_url, verified=verified)
        return Credentials(project.id, f"pk-lf-{uuid.uuid4()}", f"sk-lf-{uuid.uuid4()}", base_url)

    def keep_pending(self, credentials: Credentials) -> None:
        """Write a key that no server has accepted yet."""
        write_private(self._pending(credentials.project_id), credentials.file_text())

    def keep_verified(self, credentials: Credentials) -> bool:
        """Write a key that the server has accepted; return whether that changed anything."""
        path = self.path(credentials.project_id)
        changed = not path.exists() or path.read_text(encoding="utf-8") != credentials.file_text()
        if changed:
            write_private(path, credentials.file_text())
        self._pending(credentials.project_id).unlink(missing_ok=True)
        return changed

    def _pending(self, project_id: str) -> Path:
        return self.directory / f"{project_id}.env.pending"

    @staticmethod
    def _read(project_id: str, path: Path) -> Credentials | None:
        values = read_env(path).values()
        public, secret = values.get("LANGFUSE_PUBLIC_KEY"), values.get("LANGFUSE_SECRET_KEY")
        if not public or not secret:
            return None
        return Credentials(project_id, public, secret, values.get("LANGFUSE_BASE_URL", ""))
