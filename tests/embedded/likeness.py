"""Compare a recorded answer with a received one, but for what is volatile by nature.

Ids that the server makes up are mapped as they come up: the first time such an id is seen beside a received
one they belong together, from then on they must. Not compared are times of creation and update, cursors,
presigned URLs, ids of built-in models, order among equal times, and the issues of validation errors beyond
`message`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

_VOLATILE = frozenset({"uploadUrl", "url", "cursor", "internalModelId", "modelId", "usagePricingTierId"})
_TIMES = frozenset({"createdAt", "updatedAt", "lastUpdatedAt", "completedAt", "urlExpiry"})
# Times that are those of processing where a request gave none.
_MAYBE_NOW = frozenset({"startTime", "endTime", "timestamp"})
_ORDERED_BY = ("startTime", "timestamp", "createdAt", "updatedAt")
# UUIDs and the server's own 25 characters; ids of traces and spans come from the client. The id of a run is
# derived from the id of its dataset.
_MADE_UP = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|c[0-9a-z]{24}")
_DERIVED = frozenset({"datasetRunId", "experimentId"})
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_RELATIVE_ERROR = 1e-9


@dataclass(slots=True)
class Likeness:
    """What is known while answers are compared.

    `started` is the time at which the replay began (ISO): a received time after it is one of processing.
    `unordered` names lists whose entries are compared by their ids, whatever their order.
    """

    started: str
    unordered: frozenset[str] = frozenset()
    ids: dict[str, str] = field(default_factory=dict)
    times: dict[str, str] = field(default_factory=dict)

    def moment(self, text: str) -> str:
        """Return the received time of what had happened last at a recorded time, else that itself."""
        known = [time for time in self.times if time <= text] if _TIME.match(text) else []
        return self.times[max(known)] if known and text not in self.times else self.times.get(text, text)

    def translated(self, text: str) -> str:
        """Return a recorded text with the received ids in place of the recorded ones."""
        for recorded, received in self.ids.items():
            if recorded in text:
                text = text.replace(recorded, received)
        return text

    def differences(self, recorded: Any, received: Any, where: str = "", key: str = "") -> Iterator[str]:
        """Yield what differs, each with its place in the answer."""
        if isinstance(recorded, dict) and isinstance(received, dict):
            yield from self._objects(recorded, received, where)
        elif isinstance(recorded, list) and isinstance(received, list):
            if key in self.unordered:
                received = self._in_order_of(recorded, received)
            yield from self._lists(recorded, received, where)
        elif not self._same(recorded, received, key):
            yield f"{where or 'the body'}: {_shown(recorded)} became {_shown(received)}"

    def _objects(self, recorded: dict[str, Any], received: dict[str, Any], where: str) -> Iterator[str]:
        new = dict.fromkeys(received)
        for (name, value), counterpart in zip(recorded.items(), [*received, *recorded], strict=False):
            # A key can be an id itself: the graph of a composed prompt.
            other = name
            if name not in received and _MADE_UP.fullmatch(name):
                other = self.ids.setdefault(name, counterpart)
            if other not in received:
                yield f"{where}.{name} is missing"
                continue
            new.pop(other, None)
            yield from self.differences(value, received[other], f"{where}.{name}", name)
        for name in new:
            yield f"{where}.{name} is new"

    def _in_order_of(self, recorded: list[Any], received: list[Any]) -> list[Any]:
        places = {self.translated(_identity(entry)): place for place, entry in enumerate(recorded)}
        return sorted(received, key=lambda entry: places.get(_identity(entry), len(places)))

    def _lists(self, recorded: list[Any], received: list[Any], where: str) -> Iterator[str]:
        if len(recorded) != len(received):
            yield f"{where} has {len(received)} entries instead of {len(recorded)}"
            return
        left = list(range(len(received)))
        for index, entry in enumerate(recorded):
            places = [place for place in left if place == index or _same_moment(entry, recorded[place])]
            found = ["taken by an earlier entry"]
            for place in sorted(places, key=lambda place: abs(place - index)):
                attempt = replace(self, ids=dict(self.ids))
                differences = list(attempt.differences(entry, received[place], f"{where}[{index}]"))
                if place == index or not differences:
                    found = differences
                if not differences:
                    self.ids.update(attempt.ids)
                    left.remove(place)
                    break
            yield from found

    def _same(self, recorded: Any, received: Any, key: str) -> bool:
        if key in _VOLATILE:
            return (recorded is None) == (received is None)
        if isinstance(recorded, str) and isinstance(received, str):
            return self._same_text(recorded, received, key)
        if isinstance(recorded, bool) or isinstance(received, bool):
            return recorded is received
        if isinstance(recorded, int | float) and isinstance(received, int | float):
            return abs(recorded - received) <= _RELATIVE_ERROR * max(1.0, abs(recorded))
        return bool(recorded == received)

    def _same_text(self, recorded: str, received: str, key: str) -> bool:
        if key in _TIMES:
            self.times.setdefault(recorded, received)
            return bool(_TIME.match(received))
        if key in _MAYBE_NOW and received >= self.started:
            return bool(_TIME.match(recorded))
        if self.ids.get(recorded, recorded) == received:
            return True
        is_id = key == "id" or key.endswith(("Id", "Ids"))
        made_up = _MADE_UP.fullmatch(recorded) or key in _DERIVED
        if is_id and made_up and recorded not in self.ids:
            self.ids[recorded] = received
            return True
        return self.translated(recorded) == received


def without_issues(error: Any) -> Any:
    """Return what counts of an error's body: the message, and the class where it is a text."""
    if not isinstance(error, dict):
        return error
    return {
        name: value
        for name, value in error.items()
        if not (name in ("error", "errors", "details") and isinstance(value, list | dict))
    }


def _same_moment(one: Any, other: Any) -> bool:
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return False
    key = next((name for name in _ORDERED_BY if name in one and name in other), None)
    return key is None or bool(one[key] == other[key])


def _identity(entry: Any) -> str:
    return str(entry["id"] if isinstance(entry, dict) else entry)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:160]
