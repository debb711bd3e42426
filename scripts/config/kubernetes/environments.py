"""The environments of `config/kubernetes.yaml`: what each one sets, and how they differ."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scripts.core.edited_file import parse_edited, read_edited
from scripts.core.errors import SettingsError, UsageError
from scripts.settings.table import SETTINGS

from .model import DISKS_GIB, REPLICAS

FILE = "kubernetes.yaml"
"""In `config/`."""

Name = Literal["dev", "staging", "production"]
_ADDRESSES = ("DATABASE_URL", "CLICKHOUSE_URL", "REDIS_HOST", "REDIS_CONNECTION_STRING", "S3_ENDPOINT")
_Count = Annotated[int, Field(ge=1)]
_Address = Annotated[str, Field(pattern=r"^https?://[^/\s]+/?$")]


class Environment(BaseModel):
    """One environment; what is None is that of the size, or of `.env`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: Literal["small", "medium", "large"]
    retention_days: _Count
    web: _Count | None = None
    worker: _Count | None = None
    clickhouse: _Count | None = None
    clickhouse_gib: _Count | None = None
    objects_gib: _Count | None = None
    web_url: _Address | None = None
    media_url: _Address | None = None

    @property
    def replicas(self) -> tuple[int, int, int]:
        """Of web, worker and ClickHouse."""
        web, worker, clickhouse = REPLICAS[self.size]
        return self.web or web, self.worker or worker, self.clickhouse or clickhouse

    @property
    def disks_gib(self) -> tuple[int, int]:
        """Of one ClickHouse, and of the object store."""
        rows, objects = DISKS_GIB[self.size]
        return self.clickhouse_gib or rows, self.objects_gib or objects


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    environments: dict[Name, Environment] = Field(min_length=1)


def load_environments(path: Path, shown: str) -> Mapping[str, Environment]:
    """Return the environments of the file; `shown` is what messages call it.

    Raises:
        UsageError: it cannot be read, or says what is not understood.
    """
    try:
        found = _File.model_validate(parse_edited(read_edited(path, shown), shown)).environments
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        fix = "the head of the file says what it takes."
        raise UsageError(f"{shown}: {place}: {first['msg']}.", fix=fix) from error
    return {str(name): environment for name, environment in found.items()}


def own_settings(values: Mapping[str, str], name: str, environment: Environment) -> dict[str, str]:
    """Return the settings of an environment: its hosts, and secrets that the others do not know.

    Production has those of `.env`. The others' secrets are made of them and of the name, so that rendering
    again gives the same; nobody gets back from them to production's.

    Raises:
        SettingsError: an external store of `.env` is production's.
    """
    if name != "production":
        shared = [store for store in _ADDRESSES if values.get(store)]
        if shared:
            raise SettingsError(
                f"{', '.join(shared)} of .env: an external store is production's alone.",
                fix=f"render {name} in a checkout whose .env has the addresses of its own stores.",
            )
    web, media = hosts(name, environment, values)
    own = {**values, "NEXTAUTH_URL": web, "S3_PUBLIC_ENDPOINT": media}
    if name != "production":
        own |= {one.name: _secret(values[one.name], f"{name} {one.name}") for one in SETTINGS if one.generate}
    return own


def differences(environments: Mapping[str, Environment]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return heads and a row for each environment: the properties that are not the same everywhere."""
    found = {
        name: {
            "size": one.size,
            "web": str(one.replicas[0]),
            "worker": str(one.replicas[1]),
            "ClickHouse": str(one.replicas[2]),
            "its GiB": str(one.disks_gib[0]),
            "S3 GiB": str(one.disks_gib[1]),
            "days": str(one.retention_days),
        }
        for name, one in environments.items()
    }
    first = next(iter(found.values()))
    heads = [head for head in first if len({row[head] for row in found.values()}) > 1]
    return heads, [(name, *(row[head] for head in heads)) for name, row in found.items()]


def hosts(name: str, environment: Environment, values: Mapping[str, str]) -> tuple[str, str]:
    """Return the addresses of web and of the object store."""
    web = environment.web_url or _host(values["NEXTAUTH_URL"], name)
    return web, environment.media_url or _host(values["S3_PUBLIC_ENDPOINT"], name)


def suffix(name: str) -> str:
    """Return what names of an environment end with."""
    return "" if name in ("", "production") else f"-{name}"


def _host(url: str, name: str) -> str:
    parts = urlsplit(url)
    first, dot, rest = parts.netloc.partition(".")
    return parts._replace(netloc=f"{first}{suffix(name)}{dot}{rest}").geturl()


def _secret(value: str, purpose: str) -> str:
    """Return hex of the same length: secrets stand in URLs, and ENCRYPTION_KEY has to have 64 digits."""
    digits = hmac.new(value.encode(), purpose.encode(), hashlib.sha512).hexdigest()
    return digits[: len(value)]
