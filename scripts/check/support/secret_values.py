"""Every secret of a stack: settings, credentials, receivers of alerts, what a rotation keeps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scripts.config.rotate.journal import journal_of
from scripts.engines.context import Context
from scripts.settings.envfile import parse_env
from scripts.settings.table import SETTINGS
from scripts.watch.alerts.paths import secrets_dir

# Variables that are not settings of ours but surely secret, in `.env`, `.env.langfuse` and the environment.
_SECRET_NAME = re.compile(
    r"SECRET|PASSWORD|PASSWD|TOKEN|_KEY$|_KEY_|CREDENTIAL|SALT|_AUTH$|_DSN$", re.IGNORECASE
)
_NO_SECRETS = frozenset({"SSH_AUTH_SOCK", "XAUTHORITY", "S3_FORCE_PATH_STYLE"})


def secret_values(context: Context) -> dict[str, str]:
    """Return the values by a name for each; a value that is in two places has two names."""
    values: dict[str, str] = {}
    for place, variables in _variables(context):
        for name, value in variables.items():
            if value and is_secret(name):
                values[f"{name}{place}"] = value
            values |= {f"{part} of {name}{place}": text for part, text in parts_of_url(value)}
    for path in sorted(secrets_dir(context).glob("*")) if secrets_dir(context).is_dir() else ():
        if path.name != ".gitignore" and path.is_file():
            values[f"receiver {path.name}"] = path.read_text(encoding="utf-8", errors="replace").strip()
    entry = journal_of(context.layout).read()
    for change in entry.changes if entry else ():
        values[f"former {change.name}"] = change.old
        values[f"rotated {change.name}"] = change.new
    return values


def is_secret(name: str) -> bool:
    """Return whether a variable of that name is secret."""
    settings = {setting.name: setting.secret for setting in SETTINGS}
    return settings.get(name, bool(_SECRET_NAME.search(name)) and name not in _NO_SECRETS)


def parts_of_url(value: str) -> Iterator[tuple[str, str]]:
    """Yield the password of a URL, as it is there and decoded."""
    if "://" not in value or "@" not in value:
        return
    try:
        password = urlsplit(value).password
    except ValueError:
        return
    if password:
        yield "password", password
        yield "decoded password", unquote(password)


def _variables(context: Context) -> Iterator[tuple[str, Mapping[str, str]]]:
    layout = context.layout
    yield "", _read(layout.env_file)
    yield " in .env.langfuse", _read(layout.root / ".env.langfuse")
    yield " in the environment", context.environment
    for path in _credentials(layout.credentials_dir):
        yield f" of {path.name}", _read(path)


def _read(path: Path) -> Mapping[str, str]:
    """Return the variables of a file, also of one that is damaged: what can be read of it is secret, too."""
    return parse_env(path.read_text(encoding="utf-8", errors="replace")).values() if path.is_file() else {}


def _credentials(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*.env*") if path.is_file())
