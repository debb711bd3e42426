"""The reverse of a plan: what a project has, as files in the format that plans read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.api.errors import ObjectRefused

from .kinds import KINDS
from .kinds.dataset_items import read_items_of
from .kinds.datasets import ITEM, Datasets
from .resources import Found
from .server import Server
from .yaml_text import as_file

# More items than this stand in a file of their own.
_INLINE_ITEMS = 20


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file of an export: its path below the target, and its text."""

    path: str
    text: str


def read_everything(server: Server) -> dict[str, Sequence[Found]]:
    """Return all objects of a project by kind, but for what cannot be read, which the server notes.

    Raises:
        ApiError: the server does not answer, or refuses more than one object.
    """
    everything: dict[str, Sequence[Found]] = {kind.name: kind.found(server, ()) for kind in KINDS}
    read: list[Found] = []
    items: list[Found] = []
    for dataset in everything[Datasets.name]:
        try:
            items += read_items_of(server, [dataset.key])
        except ObjectRefused as error:
            # Without its items it is not written either: a plan from the files would delete them.
            server.note_unreadable("dataset", dataset.key, error.message)
        else:
            read.append(dataset)
    return {**everything, Datasets.name: read, ITEM: items}


def files_of(everything: Mapping[str, Sequence[Found]]) -> list[ExportedFile]:
    """Return the objects as files. Pure."""
    files: list[ExportedFile] = []
    for kind in KINDS:
        if not kind.section:
            continue
        found = sorted(everything[kind.name], key=lambda one: one.key)
        bodies = [body for one in found if (body := kind.exported(one, everything)) is not None]
        if kind.section == "datasets":
            bodies = [_with_items_beside(body, files) for body in bodies]
        if bodies:
            files.append(ExportedFile(f"{kind.section}.yaml", as_file({kind.section: bodies})))
    return files


def write_files(files: Sequence[ExportedFile], into: Path) -> None:
    """Write the files of an export below a directory."""
    for file in files:
        path = into / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, encoding="utf-8")


def _with_items_beside(body: dict[str, Any], files: list[ExportedFile]) -> dict[str, Any]:
    items = body.get("items", [])
    if len(items) <= _INLINE_ITEMS:
        return body
    name = "".join(char if char.isalnum() or char in "-_." else "-" for char in body["name"])
    taken = {file.path for file in files}
    path, number = f"items/{name}.jsonl", 1
    while path in taken:
        number += 1
        path = f"items/{name}-{number}.jsonl"
    files.append(ExportedFile(path, "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)))
    return {**{key: value for key, value in body.items() if key != "items"}, "items_from": path}
