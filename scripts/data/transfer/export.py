"""`export`: write a project's data to files by day, with constant memory; a repeated call goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby, islice
from pathlib import Path

import orjson

from scripts.api.client import Api, Row
from scripts.api.errors import ObjectRefused
from scripts.core.errors import EXIT_OK, EXIT_WARNINGS, UsageError
from scripts.engines.context import Context

from .expansion import expanded
from .files import FORMATS, Manifest, load_manifest, write_part
from .kinds import KINDS, MEDIA, OBSERVATIONS, Kind
from .media import download
from .remote import project_id, remote_of

NEEDED = (OBSERVATIONS, MEDIA)
"""What every server has that this can read from."""
PART_ROWS = 10_000
PART_BYTES = 64 << 20
"""Rows and bytes after which a file ends: what is in memory at a time, and what an interruption costs."""


def export(
    context: Context,
    *,
    project: str,
    base_url: str,
    into: Path,
    file_format: str,
    kinds: Sequence[str],
    where: Sequence[str],
) -> int:
    """The command. No kinds are all of them; `where` are filters such as `environment=production`."""
    kinds = kinds or list(KINDS)
    filters = read_filters(where)
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or file_format not in FORMATS:
        raise UsageError(
            f"{', '.join(unknown) or file_format} cannot be exported.",
            fix=f"kinds: {', '.join(KINDS)}; formats: {', '.join(FORMATS)}.",
        )
    with remote_of(context, project, base_url) as remote:
        manifest = begin(remote, into, file_format, filters, kinds)
        for kind in kinds:
            with context.console.working(f"Exporting {kind.replace('_', ' ')}"):
                export_kind(remote, KINDS[kind], manifest, into)
    for line in manifest.skipped:
        context.console.warn(f"Left out: {line}")
    context.console.rows(
        [
            *((kind.replace("_", " "), f"{manifest.rows(kind):,}") for kind in kinds),
            ("Files", f"{len(manifest.parts)} below {into}, listed with checksums in manifest.json"),
        ]
    )
    return EXIT_WARNINGS if manifest.skipped else EXIT_OK


def read_filters(where: Sequence[str]) -> dict[str, str]:
    """Return the filters in `name=value` by name.

    Raises:
        UsageError: one is none of those that a kind knows; it would be dropped, and too much exported.
    """
    known = sorted({name for kind in KINDS.values() for name in kind.filters})
    filters = {}
    for pair in where:
        name, equals, value = pair.partition("=")
        if name not in known or not equals or not value:
            raise UsageError(
                f"{pair} is not a filter.", fix=f"write NAME=VALUE with one of the names {', '.join(known)}."
            )
        filters[name] = value
    return filters


def begin(
    remote: Api, into: Path, file_format: str, filters: Mapping[str, str], kinds: Sequence[str]
) -> Manifest:
    """Return the manifest to go on with, or a new one. What arrives from now on is not exported.

    Raises:
        UsageError: the directory holds something else.
    """
    project = project_id(remote)
    manifest = load_manifest(into)
    if manifest is None:
        if into.exists() and any(into.iterdir()):
            raise UsageError(f"{into} is not empty.", fix="export into a new directory.")
        query = {"to": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"), **filters}
        manifest = Manifest(file_format, project, query, kinds=list(kinds))
        into.mkdir(parents=True, exist_ok=True, mode=0o700)
        manifest.save(into)
        return manifest
    same = manifest.format == file_format and manifest.project == project
    if not same or {**manifest.query, **filters} != manifest.query:
        raise UsageError(
            f"{into} holds an export of {manifest.project} as {manifest.format} with other filters.",
            fix="export into a new directory.",
        )
    manifest.kinds += [kind for kind in kinds if kind not in manifest.kinds]
    return manifest


def export_kind(remote: Api, kind: Kind, manifest: Manifest, into: Path) -> None:
    """Export what is left of a kind, part by part; each complete part is in the manifest at once."""
    if kind.name in manifest.complete:
        return
    number = sum(part.path.startswith(f"{kind.name}/") for part in manifest.parts)
    found = media_rows(remote, manifest, into) if kind is MEDIA else batches(remote, kind, manifest)
    for rows, cursor in found if kind in NEEDED else _where_there(found, kind, manifest):
        for day, group in groupby(rows, key=lambda row: _day(row, kind)):
            folder = f"{kind.name}/day={day}" if day else kind.name
            path = f"{folder}/part-{number:06d}.{manifest.format}"
            manifest.parts.append(write_part(into, path, list(group), kind.columns))
            number += 1
        manifest.cursors[kind.name] = cursor
        manifest.save(into)
    manifest.complete.append(kind.name)
    manifest.save(into)


def batches(remote: Api, kind: Kind, manifest: Manifest) -> Iterator[tuple[list[Row], str]]:
    """Yield rows in bounded lists, newest first, and the cursor behind each list."""
    query = dict(kind.query)
    for name, value in manifest.query.items():
        if name in kind.filters:
            query[kind.filters[name]] = value
    rows: list[Row] = []
    size = 0
    if kind.paged_by_number:
        for page in remote.by_number(kind.path, query):
            rows += [one for row in page for one in expanded(remote, kind, row, manifest)]
        if rows:
            yield rows, ""
        return
    cursor = ""
    for page, cursor in remote.by_cursor(kind.path, query, manifest.cursors.get(kind.name, "")):
        rows += [one for row in page for one in expanded(remote, kind, row, manifest)]
        size += len(orjson.dumps(page))
        if len(rows) >= PART_ROWS or size >= PART_BYTES:
            yield rows, cursor
            rows, size = [], 0
    if rows:
        yield rows, cursor


def _where_there(
    found: Iterator[tuple[list[Row], str]], kind: Kind, manifest: Manifest
) -> Iterator[tuple[list[Row], str]]:
    """Yield the rows, none of a kind that a server does not know."""
    try:
        yield from found
    except ObjectRefused as error:
        if error.status != 404:
            raise
        manifest.skip(kind.name.replace("_", " "), error.message)


def media_rows(remote: Api, manifest: Manifest, into: Path) -> Iterator[tuple[list[Row], str]]:
    """Yield the rows of media in bounded lists; they begin anew after an interruption."""
    manifest.parts = [part for part in manifest.parts if not part.path.startswith("media/")]
    rows = download(remote, into, manifest)
    while some := list(islice(rows, PART_ROWS)):
        yield some, ""


def _day(row: Row, kind: Kind) -> str:
    return str(row[kind.time])[:10] if kind.time else ""
