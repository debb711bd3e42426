"""`import FROM_URL=`: bring a project of a server that only its API reaches into one of this stack."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from scripts.api.client import Api
from scripts.core.errors import EXIT_OK, EXIT_WARNINGS, UsageError
from scripts.engines.context import Context

from . import load
from .export import begin, export_kind
from .files import Manifest
from .kinds import KINDS
from .remote import project_id, remote_of, source_of

LOST = {
    "trace objects": "observations carry name, user, session, tags and release of their trace, not its own "
    "input, output and metadata",
    "authors": "of scores and comments; scores of people keep their source where their config came along",
    "moments of creation": "of all but observations (begin and end) and scores",
    "new ids": "of score configs, datasets, prompts, comments, models and annotation queues: links to them "
    "lead nowhere",
    "marks of sessions and traces": "bookmarks, and `public` that was set in the user interface",
    "dataset items that were deleted or archived": "and versions that lived less than a second",
    "tool definitions and calls": "fields of observations that the list of observations does not have",
    "secrets of LLM connections": "and of webhooks and integrations: type them again",
    "people": "users, roles and invitations need a key of the organization, and a licence",
    "API keys": "an application needs a new key and a new address",
    "what only the user interface shows": "saved views, automations, monitors, integrations, audit logs, "
    "protected labels, places in a text that a comment is about, assignments of queues",
    "dashboards and evaluators": "their API is unstable: `make export-config` reads what it gives",
    "media that no text refers to": "the API has no list of media",
}
"""What the API of a server does not give, or does not take."""


def load_from_server(context: Context, *, project: str, base_url: str, from_url: str, dry_run: bool) -> int:
    """The command. What was read is in `.stack/import` until all has arrived: a repeat goes on there."""
    with source_of(context, from_url) as source:
        with remote_of(context, project, base_url) as target:
            ends = (source.base_url, project_id(source), target.base_url, project_id(target))
        if ends[1] == ends[3] and _place(ends[0]) == _place(ends[2]):
            raise UsageError("The project would be imported into itself.", fix="choose another PROJECT=.")
        refuse_older(source)
        context.console.note(f"From project {ends[1]} at {ends[0]} to project {ends[3]} at {ends[2]}")
        if dry_run:
            context.console.rows(amounts(source))
            show_losses(context, source)
            return EXIT_OK
        name = hashlib.sha256("\0".join(ends).encode()).hexdigest()[:16]
        work = context.layout.stack_dir / "import" / name
        manifest = read_all(context, source, work)
        code = load.load(context, project=project, base_url=base_url, source=work, dry_run=False)
        show_losses(context, source)
    for line in manifest.skipped:
        context.console.warn(f"Left out: {line}")
    shutil.rmtree(work)
    return EXIT_WARNINGS if manifest.skipped else code


def _place(url: str) -> tuple[str, int | None]:
    """Return host and port, the same for all names that this machine has for itself."""
    parts = urlsplit(url)
    host = "localhost" if parts.hostname in ("127.0.0.1", "::1") else parts.hostname or ""
    return host, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def refuse_older(source: Api) -> None:
    """Raise UsageError when the server does not have the list that observations are read from."""
    if source.get("v2/observations", limit=1, also=(404,)) is None:
        version = source.version() or "an unknown version"
        raise UsageError(
            f"{source.base_url} is {version} and has no list of observations with their traces.",
            fix="upgrade it to version 4 first; nothing was changed.",
        )


def amounts(source: Api) -> list[tuple[str, str]]:
    """Return how much there is of what the server counts."""
    names = ("score_configs", "prompts", "datasets", "dataset_items", "annotation_queues", "comments")
    pages = {name: source.get(KINDS[name].path, limit=1, page=1, also=(404,)) for name in names}
    found = [(name, page["meta"]["totalItems"]) for name, page in pages.items() if page]
    return [(name.replace("_", " "), f"{count:,}") for name, count in found]


def read_all(context: Context, source: Api, work: Path) -> Manifest:
    """Read everything into files; goes on where an earlier run has stopped."""
    work.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    manifest = begin(source, work, "jsonl", {}, list(KINDS))
    place = context.layout.shown(work)
    context.console.note(f"What was there at {manifest.query['to']}, by way of {place}")
    for kind in KINDS.values():
        with context.console.working(f"Reading {kind.name.replace('_', ' ')}"):
            export_kind(source, kind, manifest, work)
    return manifest


def show_losses(context: Context, source: Api) -> None:
    """Say what does not come along."""
    context.console.print("What the API does not give or take, so that it is not here:")
    context.console.rows(list(LOST.items()))
    connections = source.get("llm-connections", limit=100, also=(403, 404))
    names = [row["provider"] for row in connections["data"]] if connections else []
    if names:
        context.console.warn(f"LLM connections to set up anew, with their secret: {', '.join(names)}")
