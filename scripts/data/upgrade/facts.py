"""Gather what the rules of an upgrade of the compose engine decide on. Changes nothing."""

from __future__ import annotations

import re
from importlib import metadata

from scripts.api.client import Api
from scripts.core import host
from scripts.core.errors import StackError
from scripts.data.backup.drivers.compose import ComposeDriver
from scripts.docker.availability import find_images
from scripts.docker.compose import WEB, Compose
from scripts.docker.images_lock import read_lock
from scripts.engines.compose import VERSION, ComposeEngine
from scripts.engines.context import Context
from scripts.settings.kinds import VERSION as VERSION_KIND
from scripts.settings.table import SETTINGS
from scripts.stores.clickhouse import ClickHouse
from scripts.stores.opening import clickhouse_of, postgres_of
from scripts.stores.postgres import Postgres

from .compose import with_version
from .levels import levels_of_stack
from .rules import Facts, Levels

_TAG = re.compile(r":([^:@/]+)(?:@|$)")
_STAND_IN = "rehearsal"
"""Rehearsals run on other stores; the stand-ins say so in the names of their images."""


def target_version(wanted: str) -> str:
    """Return the version to go to: the wanted one, or that of this repository."""
    return wanted or next(str(one.default) for one in SETTINGS if one.name == VERSION)


def gather_facts(context: Context, new: str) -> Facts:
    """Return the facts. What cannot be told is left empty, and the rules say what that means.

    External stores have to be within reach.
    """
    settings = context.settings()
    services = context.compose(settings)
    engine = ComposeEngine(context.layout, settings, context.environment, context.runner, context.console)
    driver = ComposeDriver(engine, services)
    images = services.images()
    sick = tuple(driver.obstacles())
    postgres, clickhouse = postgres_of(services), clickhouse_of(services)
    return Facts(
        old=running_version(images, engine.local_url) or settings[VERSION],
        new=new,
        levels=_levels(services),
        clickhouse="" if _STAND_IN in images.get("clickhouse", "") else _clickhouse_version(clickhouse),
        postgres=_postgres_major(postgres),
        sdk=_sdk(),
        write_mode=settings["LANGFUSE_MIGRATION_V4_WRITE_MODE"],
        free_bytes=host.free_bytes(context.layout.stack_dir),
        data_bytes=0 if sick else driver.size(),
        images=_images(context, new),
        sick=sick,
        locked=bool(read_lock(context.layout.images_lock)),
    )


def running_version(images: dict[str, str], base_url: str) -> str:
    """Return the version that runs: the tag of web's image where that is one, else what the server says."""
    tag = _TAG.search(images.get(WEB, "").rpartition("@")[0])
    if tag and VERSION_KIND.check(tag[1]) is None:
        return tag[1]
    with Api(base_url) as api:
        return api.version().removeprefix("v")


def _levels(services: Compose) -> Levels | None:
    try:
        return levels_of_stack(services)
    except StackError:
        return None


def _clickhouse_version(clickhouse: ClickHouse) -> str:
    try:
        return str(clickhouse.rows("SELECT version() AS version")[0]["version"])
    except StackError:
        return ""


def _postgres_major(postgres: Postgres) -> int:
    try:
        return int(postgres.query("SHOW server_version_num;")) // 10_000
    except StackError:
        return 0


def _sdk() -> str:
    try:
        return metadata.version("langfuse")
    except metadata.PackageNotFoundError:
        return ""


def _images(context: Context, new: str) -> str:
    """Return why the images of a version cannot be had, or an empty string."""
    target = with_version(context, new)
    found = find_images(target.compose(target.settings()))
    return "" if found.usable else found.reason
