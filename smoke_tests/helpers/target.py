"""Find out which server the smoke tests talk to, and with which keys."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE_URL = "LANGFUSE_BASE_URL"
PUBLIC_KEY = "LANGFUSE_PUBLIC_KEY"
SECRET_KEY = "LANGFUSE_SECRET_KEY"
DIRECT_URL = "STACK_DIRECT_URL"
"""Another address of the server of the stored credentials, for a machine that cannot use the one in them."""

DEFAULT_PORTS = {"http": 80, "https": 443}


class TargetNotFoundError(Exception):
    """No complete set of URL and keys; the message says what is missing and how to give it."""


@dataclass(frozen=True)
class Target:
    """A Langfuse project: where it is, the keys to it, and where these came from."""

    base_url: str
    public_key: str
    secret_key: str = field(repr=False)
    origin: str

    def environment(self) -> dict[str, str]:
        """The environment variables from which an application with the official SDK finds this project."""
        return {BASE_URL: self.base_url, PUBLIC_KEY: self.public_key, SECRET_KEY: self.secret_key}


def discover(environ: Mapping[str, str], credentials: Path) -> Target:
    """Return the project named by the environment, or else by a file in the directory `credentials`.

    `BASE_URL` (short, for `make smoke BASE_URL=...`) or `LANGFUSE_BASE_URL` names the server,
    `LANGFUSE_PUBLIC_KEY` and `LANGFUSE_SECRET_KEY` the project. Keys not in the environment come from
    `<PROJECT>.env`, or from the first file. Keys of a file go to the server of that file only, unless PROJECT
    says that they are meant.

    Raises:
        TargetNotFoundError: the URL or a key is missing, or a file's key would go to another server.
    """
    url = environ.get("BASE_URL") or environ.get(BASE_URL)
    public_key, secret_key = environ.get(PUBLIC_KEY), environ.get(SECRET_KEY)
    if bool(public_key) != bool(secret_key):
        given, missing = (PUBLIC_KEY, SECRET_KEY) if public_key else (SECRET_KEY, PUBLIC_KEY)
        msg = f"{given} is set, {missing} is not. Set both, or neither to use a file in {credentials}."
        raise TargetNotFoundError(msg)
    if url and public_key and secret_key:
        return Target(_without_slash(url), public_key, secret_key, origin="environment")
    stored = _from_file(_choose_file(credentials, environ.get("PROJECT")), environ.get(DIRECT_URL))
    if public_key and secret_key:
        return Target(
            stored.base_url, public_key, secret_key, origin=f"environment, URL from {stored.origin}"
        )
    if url and not environ.get("PROJECT") and _server_of(url) != _server_of(stored.base_url):
        msg = (
            f"BASE_URL is {url}, but the keys in {stored.origin} belong to {stored.base_url}. "
            f"Set {PUBLIC_KEY} and {SECRET_KEY}, or PROJECT=<name> if these keys are meant."
        )
        raise TargetNotFoundError(msg)
    return Target(
        _without_slash(url or stored.base_url), stored.public_key, stored.secret_key, origin=stored.origin
    )


def other_projects(
    target: Target, credentials: Path, environ: Mapping[str, str] = os.environ
) -> list[Target]:
    """Return the further projects on the same server that have a file in the directory `credentials`."""
    stored = [_from_file(path, environ.get(DIRECT_URL)) for path in sorted(credentials.glob("*.env"))]
    return [
        other
        for other in stored
        if other.public_key != target.public_key and _server_of(other.base_url) == _server_of(target.base_url)
    ]


def credentials_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Where bootstrap leaves the credentials: `.stack/credentials` of the repository (or of STACK_DIR)."""
    stack = environ.get("STACK_DIR") or Path(__file__).resolve().parents[2] / ".stack"
    return Path(stack) / "credentials"


def _choose_file(credentials: Path, project: str | None) -> Path:
    files = sorted(credentials.glob("*.env"))
    if project:
        chosen = credentials / f"{project}.env"
        if chosen not in files:
            known = ", ".join(path.stem for path in files) or "none"
            msg = f"PROJECT={project}, but {chosen} does not exist (known: {known}). Run `make bootstrap`."
            raise TargetNotFoundError(msg)
        return chosen
    if not files:
        msg = (
            f"No server to test: neither {BASE_URL}, {PUBLIC_KEY} and {SECRET_KEY} are set, "
            f"nor is there a file in {credentials}. Run `make up` first, or set the three variables."
        )
        raise TargetNotFoundError(msg)
    return files[0]


def _from_file(path: Path, direct_url: str | None) -> Target:
    values = _read_env_file(path)
    missing = [name for name in (BASE_URL, PUBLIC_KEY, SECRET_KEY) if not values.get(name)]
    if missing:
        msg = f"{path} lacks {', '.join(missing)}. Run `make bootstrap` to write it anew."
        raise TargetNotFoundError(msg)
    url = _without_slash(direct_url or values[BASE_URL])
    return Target(url, values[PUBLIC_KEY], values[SECRET_KEY], origin=str(path))


def _read_env_file(path: Path) -> dict[str, str]:
    values = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, separator, value = line.strip().removeprefix("export ").partition("=")
        if separator and not name.startswith("#"):
            values[name.strip()] = value.strip().strip("'\"")
    return values


def _without_slash(url: str) -> str:
    return url.rstrip("/")


def _server_of(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port; 127.0.0.1 and localhost are the same machine."""
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
    return parts.scheme, host, parts.port or DEFAULT_PORTS.get(parts.scheme)
