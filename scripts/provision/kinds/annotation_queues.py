"""Annotation queues: made for score configs of the project; the API can neither change nor delete them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scripts.core.errors import ProvisioningError
from scripts.provision.content import Content
from scripts.provision.resources import Action, Body, Change, Found, Wanted, compact, simple_change
from scripts.provision.server import Server

from .score_configs import QUEUE, ScoreConfigs

_PATH = "annotation-queues"


class AnnotationQueues:
    """See Kind. A queue is known by its name."""

    name = QUEUE
    section = "annotation_queues"

    def wanted(self, content: Content, secrets: Mapping[str, str]) -> list[Wanted]:
        return [
            Wanted(
                queue.name, {"description": queue.description, "scoreConfigs": sorted(queue.score_configs)}
            )
            for queue in content.annotation_queues
        ]

    def found(self, server: Server, wanted: Sequence[Wanted]) -> list[Found]:
        names = {value: key for (kind, key), value in server.ids.items() if kind == ScoreConfigs.name}
        return [
            Found(
                row["name"],
                {
                    "description": row.get("description") or "",
                    "scoreConfigs": sorted(names.get(one, one) for one in row["scoreConfigIds"]),
                },
                row["id"],
            )
            for row in server.pages(_PATH)
        ]

    def compare(self, wanted: Wanted, found: Found | None) -> Change | None:
        change = simple_change(self.name, wanted, found)
        if change is None or found is None:
            return change
        note = "the API cannot change a queue; change it in the user interface, or give it another name"
        return Change(Action.BLOCKED, self.name, wanted.key, change.differences, note, wanted, found)

    def removal(self, found: Found) -> Change | None:
        note = "the API cannot delete a queue; delete it in the user interface"
        return Change(Action.BLOCKED, self.name, found.key, note=note, found=found)

    def write(self, server: Server, change: Change) -> None:
        if change.wanted is None:
            return
        names = change.wanted.body["scoreConfigs"]
        missing = [name for name in names if (ScoreConfigs.name, name) not in server.ids]
        if missing:
            raise ProvisioningError(
                f"The annotation queue {change.key} needs the score configs {', '.join(missing)}, "
                "which the server does not have.",
                fix="run make bootstrap again.",
            )
        server.post(
            _PATH,
            {
                "name": change.key,
                "description": change.wanted.body["description"],
                "scoreConfigIds": [server.ids[ScoreConfigs.name, name] for name in names],
            },
        )

    def exported(self, found: Found, everything: Mapping[str, Sequence[Found]]) -> Body | None:
        """See Kind. A replaced config has no name by which a file could call it."""
        known = {one.key for one in everything[ScoreConfigs.name]}
        names = [name for name in found.body["scoreConfigs"] if name in known]
        if not names:
            return None
        return compact({"name": found.key, "description": found.body["description"], "score_configs": names})
