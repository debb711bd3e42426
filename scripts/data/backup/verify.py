"""`backup-verify`: restore a backup into a throw-away engine, compare it, read known data back, clean up."""

from __future__ import annotations

import re
import secrets
import shutil
import socket
import tempfile
from dataclasses import replace
from pathlib import Path

from scripts.core.errors import EXIT_OK
from scripts.core.heartbeats import record_success
from scripts.core.layout import write_private
from scripts.docker.images_lock import compose_files_variables
from scripts.engines.base import EngineName
from scripts.engines.context import Context
from scripts.settings.envfile import parse_env
from scripts.settings.profiles import REPLACED_BY
from scripts.settings.table import GROUP

from .drivers import driver_for
from .manifest import Manifest
from .restoring import fetch, make_plan, prove, refuse_newer, settings_after, show
from .sets import CREDENTIALS, SETTINGS, STORES, require_space, size_text

_MADE_ANEW = ("CLICKHOUSE_PASSWORD", "REDIS_AUTH", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")
_OF_EXTERNAL = frozenset(
    {
        *_MADE_ANEW,
        *("S3_ENDPOINT", "S3_PUBLIC_ENDPOINT", "S3_FORCE_PATH_STYLE"),
        *("CLICKHOUSE_READER_USER", "CLICKHOUSE_READER_PASSWORD"),
    }
)
"""What of `.env` belongs to external stores, beside what the table of settings groups with them."""


def backup_verify(context: Context, *, backup: str, read_all: bool) -> int:
    """The command. Touches neither the stack nor its data; exit code 1 when the backup is unusable."""
    plan = make_plan(context, context.lenient_settings(), backup)
    show(context, plan)
    refuse_newer(plan)
    require_space(context.layout.stack_dir, 2 * plan.manifest.bytes)
    if read_all:
        with context.console.working("Reading the whole repository"):
            plan.repository.check()
    context.layout.stack_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix="verify-", dir=context.layout.stack_dir) as name:
        directory = Path(name)
        with context.console.working(f"Fetching {size_text(plan.manifest.bytes)}"):
            capture = fetch(plan, directory / "download")
        read = start_and_prove(context, plan.manifest, capture, directory)
    record_success(context.layout, "backup-verify")
    counts = plan.manifest.contents.counts
    rows = sum(map(plan.manifest.contents.total, counts))
    context.console.rows(
        [
            ("Verified", f"{plan.snapshot.short_id} of {plan.manifest.ended}"),
            ("Files", f"{len(plan.manifest.files)}, all with the checksums of the manifest"),
            (
                "Rows",
                f"{rows:,} in {len(counts)} tables, as counted",
            ),
            ("Read back", f"{read} samples through the API"),
        ]
    )
    return EXIT_OK


def start_and_prove(context: Context, manifest: Manifest, capture: Path, directory: Path) -> int:
    """Start an engine on a capture and read back what the manifest knows; return how many things."""
    stack = throw_away(context, directory)
    stored = capture / SETTINGS
    if stored.exists():
        write_private(directory / "env-of-backup", bundled_only(stored.read_text(encoding="utf-8")))
        stored = directory / "env-of-backup"
    settings = settings_after(stack, stored if stored.exists() else None)
    driver = driver_for(stack, settings, manifest.engine)
    for source, place in driver.replacements(capture / STORES, ()):
        shutil.move(source, place)
    stores = driver.exchange(capture / STORES, directory, ())
    try:
        if stores:
            with context.console.working("Filling the stores of a throw-away stack"):
                stores.begin()
        driver.start_to_read()
        with context.console.working("Spot-checking the data through the API"):
            engine = stack.engine(EngineName(manifest.engine), settings)
            return prove(engine, capture / CREDENTIALS, manifest.contents, live=False)
    finally:
        driver.discard()


def throw_away(context: Context, directory: Path) -> Context:
    """Return a context for a stack of its own: other data, another port."""
    layout = replace(context.layout, env_file=directory / ".env", stack_dir=directory / "stack")
    layout.stack_dir.mkdir(mode=0o700)
    port, s3_port = free_ports()
    environment = {
        **context.environment,
        # That of `.env` is not read with another `.env`.
        **compose_files_variables(context.layout, context.environment),
        "COMPOSE_PROJECT_NAME": f"langfuse-verify-{secrets.token_hex(4)}",
        "LANGFUSE_BIND_ADDRESS": "127.0.0.1",
        "LANGFUSE_PORT": str(port),
        "S3_PORT": str(s3_port),
        "S3_PUBLIC_ENDPOINT": f"http://127.0.0.1:{s3_port}",
        "NEXTAUTH_URL": f"http://127.0.0.1:{port}",
        "STACK_PROFILES": "",
        "STACK_SIZE": "ci",
    }
    return replace(context, layout=layout, environment=environment)


def bundled_only(text: str) -> str:
    """Return the text of an `.env` without its external stores: a copy must touch nothing but its own."""
    env_file = parse_env(text)
    values = env_file.values()
    if not any(values.get(name) for names in REPLACED_BY.values() for name in names):
        return text
    names = {setting.name for setting in GROUP["external_stores"].settings} | _OF_EXTERNAL
    gone = {one.line for one in env_file.assignments if one.name in names}
    lines = enumerate(re.split(r"\r\n|\r|\n", text), start=1)
    kept = [line for number, line in lines if number not in gone]
    # What opens the bundled ones is made anew, as `make up` makes it.
    made = [f"{name}={secrets.token_hex(20)}" for name in _MADE_ANEW]
    return "\n".join([*kept, *made]) + "\n"


def free_ports() -> tuple[int, int]:
    """Return two ports of this machine that nothing listens on."""
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]
