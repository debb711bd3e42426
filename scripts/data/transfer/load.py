"""`import`: load an export into a project of any server. Ids stay, and what is there is not sent again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from scripts.api.client import Row
from scripts.core.errors import EXIT_OK, EXIT_WARNINGS, UsageError
from scripts.core.waiting import Look, wait_until
from scripts.engines.context import Context

from . import load_datasets as datasets
from . import load_definitions as definitions
from . import load_traces as traces
from .files import damaged_parts, load_manifest
from .importing import Import, batches
from .journal import Journal
from .kinds import KINDS
from .remote import TransferError, project_id, remote_of

_READABLE_S = 300.0
"""For how long an import waits until what it sent can be read. A worker takes seconds."""


def load(context: Context, *, project: str, base_url: str, source: Path, dry_run: bool) -> int:
    """The command. Checks all files before it writes anything."""
    manifest = load_manifest(source)
    if manifest is None:
        raise UsageError(f"{source} is not an export: it has no manifest.json.", fix="make export INTO=...")
    begun = {*manifest.kinds, *(part.path.split("/")[0] for part in manifest.parts)}
    unfinished = begun - set(manifest.complete)
    problems = [*damaged_parts(source, manifest), *(f"{kind} is not complete" for kind in sorted(unfinished))]
    if problems:
        raise TransferError(
            f"{source} cannot be imported; nothing was written.",
            details=problems[:20],
            fix="export again into a new directory.",
        )
    with remote_of(context, project, base_url) as remote:
        target = project_id(remote)
        context.console.note(f"From project {manifest.project} into project {target} at {remote.base_url}")
        rows = {kind: manifest.rows(kind) for kind in KINDS}
        one = Import(remote, source, manifest, Journal.of(source, remote.base_url, target))
        if not dry_run:
            if one.journal.unsettled_s():
                with context.console.working("Waiting for what an interrupted import has sent"):
                    one.journal.settle()
            for kind in filter(rows.get, KINDS):
                with context.console.working(f"Importing {rows[kind]:,} {kind.replace('_', ' ')}"):
                    _LOADERS[kind](one, one.rows(kind))
                if kind == "observations" and one.sent.get(kind):
                    # Comments are refused before.
                    with context.console.working("Waiting until all observations can be read"):
                        wait_until_readable(one)
            definitions.archive_configs(one)
            one.journal.close()
    context.console.rows(
        [
            (
                kind.replace("_", " "),
                f"{count:,}" if dry_run else f"{count:,}, of which {one.sent.get(kind, 0):,} were not there",
            )
            for kind, count in rows.items()
        ]
    )
    if one.refused:
        raise TransferError(
            f"{len(one.refused)} objects were refused; all others are there.",
            details=one.refused[:20],
            fix="correct them on the server or leave them: a repeated import sends only what is missing.",
        )
    for line in one.left_out:
        context.console.warn(f"Left out: {line}")
    return EXIT_WARNINGS if one.left_out else EXIT_OK


def wait_until_readable(one: Import) -> None:
    """Return when every observation of the export can be read: from then on a repeated import sends none.

    Raises:
        StackError: some cannot be read in time.
    """
    keys = ("id", "traceId", "startTime")
    waiting = list(
        batches(({key: row[key] for key in keys} for row in one.rows("observations")), traces.SPANS)
    )

    def look() -> Look:
        while waiting and not one.missing(waiting[-1]):
            waiting.pop()
        return Look(
            done=not waiting, state=f"about {len(waiting) * traces.SPANS:,} observations are not there yet"
        )

    wait_until(
        look,
        what="Not all observations can be read",
        timeout_s=_READABLE_S,
        last_lines=list,
        fix="look at the worker of that server, wait, then repeat: only what is missing is sent.",
        interval_s=1,
    )


_LOADERS: dict[str, Callable[[Import, Iterator[Row]], None]] = {
    "score_configs": definitions.score_configs,
    "prompts": definitions.prompts,
    "datasets": datasets.datasets,
    "dataset_item_versions": datasets.dataset_item_versions,
    "dataset_items": datasets.dataset_items,
    "experiment_items": lambda *_: None,  # they come with the observations
    "observations": traces.observations,
    "models": definitions.models,
    "annotation_queues": definitions.annotation_queues,
    "scores": traces.scores,
    "annotation_items": definitions.annotation_items,
    "comments": traces.comments,
    "media": traces.media,
}
