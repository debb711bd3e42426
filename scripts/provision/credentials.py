"""API keys of projects: made once, kept below `.stack/credentials/`, readable by the owner only.

The first key of a project is in `<project>.env`, further ones in `keys/<project>.<key>.env`. A key is
*pending* (`….env.pending`) from the moment it is made until the server has accepted it; then the file gets
its final name. So a run that was interrupted goes on with the same keys, and whoever reads `*.env` only ever
sees keys that work. A key that another one has replaced is *retiring* (`….env.retiring`): it works until the
next run revokes it.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from scripts.core.errors import UsageError
from scripts.core.layout import write_private
from scripts.settings.envfile import read_env

from .stack import DEFAULT_KEY, NamedKey, Project

_ROTATION = "LANGFUSE_KEY_ROTATION"


@dataclass(frozen=True, slots=True)
class Credentials:
    """One key of a project, and where its server is.

    Attributes:
        verified: whether a server has accepted the key.
        stem: what its file is called, below the directory and without suffix.
        rotation: how often a generated key has been replaced.
    """

    project_id: str
    public_key: str
    secret_key: str = field(repr=False)
    base_url: str
    verified: bool = False
    stem: str = ""
    rotation: int = 0

    def file_text(self) -> str:
        """Return the credentials file: for `source`, `env_file:` and the SDK's own variable names."""
        text = "".join(f"{name}={value}\n" for name, value in self.variables().items())
        return f"{text}{_ROTATION}={self.rotation}\n" if self.rotation else text

    def variables(self) -> dict[str, str]:
        """Return the variables that SDKs read."""
        return {
            "LANGFUSE_BASE_URL": self.base_url,
            "LANGFUSE_HOST": self.base_url,
            "LANGFUSE_PUBLIC_KEY": self.public_key,
            "LANGFUSE_SECRET_KEY": self.secret_key,
            "LANGFUSE_PROJECT_ID": self.project_id,
        }


@dataclass(frozen=True, slots=True)
class CredentialsStore:
    """The directory of credentials files."""

    directory: Path

    def path(self, project_id: str) -> Path:
        """Return where the working credentials of a project stand: those of its first key."""
        return self._file(project_id)

    def load(
        self, project: Project, base_url: str, secrets: Mapping[str, str], key: NamedKey | None = None
    ) -> Credentials:
        """Return the credentials that a key (the first one) has or shall get; nothing is written.

        `secrets` are the environment and `.env`, from which a fixed key takes its secret part. A generated
        key whose `rotation` was raised is made anew.

        Raises:
            UsageError: the variable that holds the secret of a fixed key is not set.
        """
        key = key or project.all_keys[0]
        stem = stem_of(project, key)
        kept = self._read(project.id, stem, "")
        outdated = kept is not None and key.fixed is None and kept.rotation < key.rotation
        if kept is None or outdated:
            pending = self._read(project.id, stem, ".pending")
            kept = pending if pending and (key.fixed or pending.rotation >= key.rotation) else None
        if key.fixed:
            secret = secrets.get(key.fixed.secret_from, "")
            if not secret:
                raise UsageError(
                    f"The key of project {project.id} takes its secret part from {key.fixed.secret_from}, "
                    "which is not set.",
                    fix=f"set {key.fixed.secret_from} in the environment or in .env.",
                )
            fixed = Credentials(project.id, key.fixed.public, secret, base_url, stem=stem)
            same = kept and (kept.public_key, kept.secret_key) == (fixed.public_key, fixed.secret_key)
            return replace(fixed, verified=bool(same and kept and kept.verified))
        if kept:
            return replace(kept, base_url=base_url)
        return generated_key(project.id, base_url, stem, key.rotation)

    def working(self, credentials: Credentials) -> Credentials | None:
        """Return what the file of a key contains now, which may be a key that this one replaces."""
        return self.kept(credentials.project_id, credentials.stem)

    def kept(self, project_id: str, stem: str) -> Credentials | None:
        """Return the working credentials in a file, or None."""
        return self._read(project_id, stem, "")

    def projects(self) -> list[str]:
        """Return the ids of the projects that have working credentials."""
        return sorted(path.stem for path in self.directory.glob("*.env"))

    def retiring(self) -> list[Credentials]:
        """Return the keys that others have replaced and that still work."""
        files = [*self.directory.glob("*.env.retiring"), *self.directory.glob("keys/*.env.retiring")]
        stems = sorted(str(path.relative_to(self.directory)).removesuffix(".env.retiring") for path in files)
        found = [self._read(project_in(stem), stem, ".retiring") for stem in stems]
        return [one for one in found if one]

    def others(self, stems: Collection[str]) -> list[Credentials]:
        """Return the working keys whose stem is none of these."""
        files = [*self.directory.glob("*.env"), *self.directory.glob("keys/*.env")]
        found = sorted(str(path.relative_to(self.directory)).removesuffix(".env") for path in files)
        kept = [self.kept(project_in(stem), stem) for stem in found if stem not in stems]
        return [one for one in kept if one]

    def keep_pending(self, credentials: Credentials) -> None:
        """Write a key that no server has accepted yet."""
        write_private(self._file(credentials.stem, ".pending"), credentials.file_text())

    def keep_verified(self, credentials: Credentials) -> bool:
        """Write a key that the server has accepted; return whether that changed anything.

        Another key that the file had is kept as retiring.
        """
        path = self._file(credentials.stem)
        old = self._read(credentials.project_id, credentials.stem, "")
        if old and old.public_key != credentials.public_key:
            write_private(self._file(credentials.stem, ".retiring"), old.file_text())
        changed = not path.exists() or path.read_text(encoding="utf-8") != credentials.file_text()
        if changed:
            write_private(path, credentials.file_text())
        self._file(credentials.stem, ".pending").unlink(missing_ok=True)
        return changed

    def forget_retired(self, credentials: Credentials) -> None:
        """Delete the file of a replaced key that has been revoked."""
        self._file(credentials.stem, ".retiring").unlink(missing_ok=True)

    def forget(self, credentials: Credentials) -> None:
        """Delete all files of a key that has been revoked and is not wanted any more."""
        for suffix in (".retiring", ".pending", ""):
            self._file(credentials.stem, suffix).unlink(missing_ok=True)

    def _file(self, stem: str, suffix: str = "") -> Path:
        return self.directory / f"{stem}.env{suffix}"

    def _read(self, project_id: str, stem: str, suffix: str) -> Credentials | None:
        values = read_env(self._file(stem, suffix)).values()
        public, secret = values.get("LANGFUSE_PUBLIC_KEY"), values.get("LANGFUSE_SECRET_KEY")
        if not public or not secret:
            return None
        rotation = values.get(_ROTATION, "0")
        return Credentials(
            project_id,
            public,
            secret,
            values.get("LANGFUSE_BASE_URL", ""),
            verified=suffix == "",
            stem=stem,
            rotation=int(rotation) if rotation.isdigit() else 0,
        )


def generated_key(project_id: str, base_url: str, stem: str, rotation: int) -> Credentials:
    """Return a new random key that no server knows yet."""
    return Credentials(
        project_id,
        f"pk-lf-{uuid.uuid4()}",
        f"sk-lf-{uuid.uuid4()}",
        base_url,
        stem=stem,
        rotation=rotation,
    )


def stem_of(project: Project, key: NamedKey) -> str:
    """Return what the file of a key is called: the first key has the project's name."""
    first = project.all_keys[0].name == key.name
    return project.id if first else f"keys/{project.id}.{key.name}"


def project_in(stem: str) -> str:
    """Return the id of the project that the file of a key belongs to."""
    return stem.removeprefix("keys/").rpartition(".")[0] if stem.startswith("keys/") else stem


def key_in(stem: str) -> str:
    """Return the name of the key that a file contains."""
    return stem.rpartition(".")[2] if stem.startswith("keys/") else DEFAULT_KEY
