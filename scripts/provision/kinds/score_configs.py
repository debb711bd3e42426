"""Score configs: changed in place where the API can, else archived and made anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scripts.api.client import segment
from scripts.provision.content import Content
from scripts.provision.resources import Action, Body, Change, Found, Wanted, compact, differences
from scripts.provision.server import Server

QUEUE = "annotation queue"
_PATH = "score-configs"
_FILE_NAMES = {
    "name": "name",
    "dataType": "data_type",
    "description": "description",
    "minValue": "min_value",
    "maxValue": "max_value",
    "categories": "categories",
    "isArchived": "archived",
}


class ScoreConfigs:
    """See Kind. A config is known by its name; of several with one name, one in use counts."""

    name = "score config"
    section = "score_configs"

    def wanted(self, content: Content, secrets: Mapping[str, str]) -> list[Wanted]:
        return [
            Wanted(
                config.name,
                {
                    "name": config.name,
                    "dataType": config.data_type,
                    "description": config.description,
                    "minValue": config.min_value,
                    "maxValue": config.max_value,
                    "categories": [one.model_dump() for one in config.categories],
                    "isArchived": config.archived,
                },
            )
            for config in content.score_configs
        ]

    def found(self, server: Server, wanted: Sequence[Wanted]) -> list[Found]:
        chosen: dict[str, Found] = {}
        for row in server.pages(_PATH):
            one = Found(row["name"], _body(row), row["id"])
            # A queue may still refer to one that has been replaced.
            server.note_id(self.name, f"{one.key} (archived, {one.id})", one.id)
            other = chosen.get(one.key)
            # The newest comes first. One in use wins, so that an archived namesake does not count.
            if other is None or (other.body["isArchived"] and not one.body["isArchived"]):
                chosen[one.key] = one
        for one in chosen.values():
            server.note_id(self.name, one.key, one.id)
        return list(chosen.values())

    def compare(self, wanted: Wanted, found: Found | None) -> Change | None:
        if found is None:
            return Change(Action.CREATE, self.name, wanted.key, wanted=wanted)
        changed = differences(found.body, wanted.body)
        if not changed:
            return None
        cleared = [one for one in changed if one.field in {"minValue", "maxValue"} and one.new is None]
        if cleared or any(one.field == "dataType" for one in changed):
            why = "a limit cannot be taken away" if cleared else "the data type cannot change"
            note = f"{why}: the old config is archived, a new one made"
            return Change(Action.REPLACE, self.name, wanted.key, changed, note, wanted, found)
        note = ""
        if found.body["isArchived"] != wanted.body["isArchived"]:
            note = "it gets archived" if wanted.body["isArchived"] else "it was archived, and comes back"
        return Change(Action.UPDATE, self.name, wanted.key, changed, note, wanted, found)

    def removal(self, found: Found) -> Change | None:
        if found.body["isArchived"]:
            return None
        note = "archived: a score config cannot be deleted"
        return Change(Action.DELETE, self.name, found.key, note=note, found=found)

    def write(self, server: Server, change: Change) -> None:
        if change.found and change.action in {Action.REPLACE, Action.DELETE}:
            server.patch(_one(change.found), {"isArchived": True})
        if change.wanted is None:
            return
        if change.action is Action.UPDATE and change.found:
            fields = {one.field.partition(".")[0] for one in change.differences}
            server.patch(
                _one(change.found), {key: value for key, value in change.wanted.body.items() if key in fields}
            )
            return
        body = compact(change.wanted.body)
        archived = body.pop("isArchived", False)
        row = server.post(_PATH, body)
        if archived:
            # No config is created archived: the server passes the field over (score-configs.ts, 4.16.0).
            server.patch(f"{_PATH}/{row['id']}", {"isArchived": True})
        server.note_id(self.name, change.key, row["id"])

    def exported(self, found: Found, everything: Mapping[str, Sequence[Found]]) -> Body | None:
        """See Kind. Archived ones stay out unless a queue needs them."""
        queues = everything.get(QUEUE, ())
        if found.body["isArchived"] and not any(found.key in queue.body["scoreConfigs"] for queue in queues):
            return None
        return {_FILE_NAMES[key]: value for key, value in compact(found.body).items() if value is not False}


def _body(row: Body) -> Body:
    kind = row["dataType"]
    return {
        "name": row["name"],
        "dataType": kind,
        "description": row.get("description") or "",
        "minValue": row.get("minValue"),
        "maxValue": row.get("maxValue"),
        # A boolean config has categories that nobody chose.
        "categories": (row.get("categories") or []) if kind == "CATEGORICAL" else [],
        "isArchived": bool(row.get("isArchived")),
    }


def _one(found: Found) -> str:
    return f"{_PATH}/{segment(found.id)}"
