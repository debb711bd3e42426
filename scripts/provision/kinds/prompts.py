"""Prompts: a new version only where the content differs, labels moved to the version that has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.api.client import segment
from scripts.api.errors import ApiError
from scripts.provision.content import Content, Prompt, PromptVersion
from scripts.provision.prompt_tags import tags_of
from scripts.provision.resources import (
    Action,
    Body,
    Change,
    Difference,
    Found,
    Wanted,
    compact,
    differences,
)
from scripts.provision.server import Server

_PATH = "v2/prompts"
_LATEST = "latest"
# Further back nobody looks for the content of a file; reading is one request for each version.
_LOOK_BACK = 50
_CONTENT = ("prompt", "config")


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A version to create; `body` is what is sent."""

    body: Body
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class MovedLabels:
    """Labels that an existing version gets."""

    version: int
    labels: tuple[str, ...]


class Prompts:
    """See Kind. A prompt is known by its name.

    `Wanted.body` is `{type, tags, versions: [{prompt, config, labels, commitMessage}]}`, `Found.body` has
    `versions` with a `version` number each, newest first, as far as they were read.
    """

    name = "prompt"
    section = "prompts"

    def wanted(self, content: Content, secrets: Mapping[str, str]) -> list[Wanted]:
        prompts = {prompt.name: prompt for prompt in content.prompts}
        return [Wanted(name, _wanted(prompt), _level(name, prompts)) for name, prompt in prompts.items()]

    def found(self, server: Server, wanted: Sequence[Wanted]) -> list[Found]:
        """See Kind. Of each prompt the newest version, those with labels, and others where one is missing."""
        by_name = {one.key: one for one in wanted}
        rows = server.pages(_PATH)
        found = server.each(lambda row: _read_if_possible(server, row, by_name.get(row["name"])), rows)
        return [one for one in found if one is not None]

    def compare(self, wanted: Wanted, found: Found | None) -> Change | None:
        if found is None:
            return Change(Action.CREATE, self.name, wanted.key, wanted=wanted)
        if found.body["type"] != wanted.body["type"]:
            change = (Difference("type", found.body["type"], wanted.body["type"]),)
            note = "a prompt stays text or chat for good; delete it first, or choose another name"
            return Change(Action.BLOCKED, self.name, wanted.key, change, note, wanted, found)
        operations = operations_of(wanted, found)
        if not operations:
            return None
        shown: list[Difference] = []
        notes = []
        for operation in operations:
            if isinstance(operation, NewVersion):
                shown += operation.differences
                notes.append("a new version")
            else:
                for label in operation.labels:
                    shown.append(Difference(f"label {label}", _holder(found, label), operation.version))
                notes.append(f"labels move to version {operation.version}")
        note = ", ".join(dict.fromkeys(notes))
        return Change(Action.UPDATE, self.name, wanted.key, tuple(shown), note, wanted, found)

    def removal(self, found: Found) -> Change | None:
        return Change(Action.DELETE, self.name, found.key, note="with all versions", found=found)

    def write(self, server: Server, change: Change) -> None:
        if change.wanted is None:
            server.delete(f"{_PATH}/{segment(change.key)}")
            return
        for operation in operations_of(change.wanted, change.found):
            if isinstance(operation, NewVersion):
                server.post(_PATH, operation.body)
            else:
                path = f"{_PATH}/{segment(change.key)}/versions/{operation.version}"
                server.patch(path, {"newLabels": list(operation.labels)})

    def exported(self, found: Found, everything: Mapping[str, Sequence[Found]]) -> Body | None:
        """See Kind. The versions with labels and the newest one; the rest is history."""
        newest = found.body["versions"][0]
        kept = [
            one for one in reversed(found.body["versions"]) if one is newest or _own_labels(one["labels"])
        ]
        head = {"name": found.key, **({"tags": found.body["tags"]} if found.body["tags"] else {})}
        if len(kept) == 1:
            return {**head, **_file_version(found.body["type"], newest)}
        return {**head, "versions": [_file_version(found.body["type"], one) for one in kept]}


def operations_of(wanted: Wanted, found: Found | None) -> list[NewVersion | MovedLabels]:
    """Return what has to be done, in order. Pure; empty when the server has all of it.

    A version of the file is there when any version on the server has its content, so that a file that goes
    back to earlier content moves labels and makes no version. One without labels is only reachable as the
    latest and has to be that. Tags belong to all versions and change only with a new one.
    """
    body = wanted.body
    versions: list[Body] = found.body["versions"] if found else []
    operations: list[NewVersion | MovedLabels] = []
    retag = found is not None and found.body["tags"] != body["tags"]
    for number, version in enumerate(body["versions"]):
        last = number == len(body["versions"]) - 1
        candidates = versions if version["labels"] else versions[:1]
        matching = [one for one in candidates if _same(one, version)]
        labelled = [one for one in matching if set(version["labels"]) <= set(one["labels"])]
        same = next(iter((*labelled, *matching)), None)
        if same is None or (last and retag):
            operations.append(_new_version(wanted, version, found, retag=retag and same is not None))
            continue
        missing = tuple(label for label in version["labels"] if label not in same["labels"])
        if missing:
            operations.append(MovedLabels(same["version"], missing))
    return operations


def _new_version(wanted: Wanted, version: Body, found: Found | None, *, retag: bool) -> NewVersion:
    before = _predecessor(version, found)
    shown = differences(before, {key: version[key] for key in (*_CONTENT, "labels")}) if before else ()
    if found and found.body["tags"] != wanted.body["tags"]:
        shown = (*shown, Difference("tags", found.body["tags"], wanted.body["tags"]))
    given = {
        "name": wanted.key,
        "type": wanted.body["type"],
        "prompt": version["prompt"],
        "config": version["config"],
        "labels": version["labels"],
        "tags": wanted.body["tags"],
    }
    message = version["commitMessage"] or ("Change tags" if retag else None)
    return NewVersion({**given, **({"commitMessage": message} if message else {})}, shown)


def _predecessor(version: Body, found: Found | None) -> Body | None:
    """Return the version that a new one takes the labels from, for showing what changes."""
    versions = found.body["versions"] if found else []
    labelled = next((one for one in versions if set(version["labels"]) & set(one["labels"])), None)
    before = labelled or (versions[0] if versions else None)
    if before is None:
        return None
    return {**before, "labels": [label for label in version["labels"] if label in before["labels"]]}


def _holder(found: Found, label: str) -> int | None:
    return next((one["version"] for one in found.body["versions"] if label in one["labels"]), None)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one[key] == other[key] for key in _CONTENT)


def _wanted(prompt: Prompt) -> Body:
    return {
        "type": prompt.all_versions[0].type,
        "tags": list(dict.fromkeys(prompt.tags)),
        "versions": [
            {
                "prompt": _prompt(version),
                "config": version.config,
                "labels": version.labels,
                "commitMessage": version.commit_message,
            }
            for version in prompt.all_versions
        ],
    }


def _prompt(version: PromptVersion) -> Any:
    if version.messages is None:
        return version.prompt
    return [
        {"type": "placeholder", "name": one.placeholder}
        if one.placeholder
        else {"role": one.role, "content": one.content}
        for one in version.messages
    ]


def _level(name: str, prompts: Mapping[str, Prompt], above: tuple[str, ...] = ()) -> int:
    """Return 0 for a prompt that includes none, else one more than the highest that it includes."""
    if name in above or name not in prompts:
        return -1
    included = [tag.name for version in prompts[name].all_versions for tag in tags_of(version)]
    return 1 + max((_level(one, prompts, (*above, name)) for one in included), default=-1)


def _read_if_possible(server: Server, row: Body, wanted: Wanted | None) -> Found | None:
    """Return a prompt, or None when it cannot be read and no file is about it: it stops no other one.

    Raises:
        ApiError: a file is about it.
    """
    try:
        found = _read(server, row, wanted)
    except ApiError as error:
        if wanted is not None:
            raise
        server.note_unreadable("prompt", row["name"], error.message)
        return None
    if not found.body["versions"] and wanted is None:
        server.note_unreadable("prompt", row["name"], "the server lists it, and has none of its versions")
        return None
    return found


def _read(server: Server, row: Body, wanted: Wanted | None) -> Found:
    name, numbers = row["name"], sorted(row["versions"], reverse=True)
    read: dict[int, Body] = {}

    def take(**query: Any) -> None:
        one = server.get(f"{_PATH}/{segment(name)}", resolve="false", **query, also=(404,))
        if one:
            read[one["version"]] = _version(one)

    if numbers:
        take(version=numbers[0])
    for label in _own_labels(row["labels"]):
        if not any(label in one["labels"] for one in read.values()):
            take(label=label)
    if wanted and not all(any(_same(one, v) for one in read.values()) for v in wanted.body["versions"]):
        for number in numbers[:_LOOK_BACK]:
            if number not in read:
                take(version=number)
    body = {
        "type": row.get("type") or _type_of(read),
        "tags": row.get("tags") or [],
        "versions": [read[number] for number in sorted(read, reverse=True)],
    }
    return Found(name, body, name)


def _type_of(read: Mapping[int, Body]) -> str:
    return "text" if all(isinstance(one["prompt"], str) for one in read.values()) else "chat"


def _version(row: Body) -> Body:
    prompt = row["prompt"]
    if isinstance(prompt, list):
        prompt = [
            {"type": "placeholder", "name": one["name"]}
            if one.get("type") == "placeholder"
            else {"role": one["role"], "content": one["content"]}
            for one in prompt
        ]
    return {
        "version": row["version"],
        "prompt": prompt,
        "config": row.get("config") or {},
        "labels": row["labels"],
        "commitMessage": row.get("commitMessage"),
    }


def _own_labels(labels: Sequence[str]) -> list[str]:
    return [label for label in labels if label != _LATEST]


def _file_version(kind: str, version: Body) -> Body:
    labels = _own_labels(version["labels"])
    content: Body = {"prompt": version["prompt"]}
    if kind == "chat":
        content = {
            "messages": [
                {"placeholder": one["name"]} if one.get("type") == "placeholder" else one
                for one in version["prompt"]
            ]
        }
    rest = compact({"config": version["config"], "commit_message": version["commitMessage"]})
    return {**content, **rest, **({} if labels == ["production"] else {"labels": labels})}
