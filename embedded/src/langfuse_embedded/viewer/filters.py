"""What a list is asked for, from its address and back into addresses: filters, range of time, noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langfuse_embedded.clock import now_ms

from .noise import NOISE
from .visit import PageRefused, Visit

_DAY_MS = 86_400_000
RANGES = {
    "1h": "1 hour",
    "24h": "24 hours",
    "today": "Today",
    "yesterday": "Yesterday",
    "7d": "7 days",
    "30d": "30 days",
}
"""Ranges of time by their name in addresses. Days are those of UTC."""
_BACK_MS = {"1h": 3_600_000, "24h": _DAY_MS, "7d": 7 * _DAY_MS, "30d": 30 * _DAY_MS}

_SCORED = "select s.trace_id, {} from scores s where s.project = $project and "


@dataclass(frozen=True, slots=True)
class Filter:
    """Something to filter by: the query parameter, its label, and the SQL of a value of `observations o`.

    `is_list` tells that the value is a list.
    """

    name: str
    label: str
    sql: str
    is_list: bool = False


FILTERS = {
    one.name: one
    for one in (
        Filter("type", "Type", "o.type"),
        Filter("level", "Level", "o.level"),
        Filter("called", "Name", "o.name"),
        Filter("trace", "Trace name", "o.trace_name"),
        Filter("model", "Model", "o.model"),
        Filter("environment", "Environment", "o.environment"),
        Filter("tag", "Tag", "o.tags", is_list=True),
        Filter("score", "Score", ""),
        Filter("prompt", "Prompt", "o.prompt_name || coalesce(' v' || o.prompt_version, '')"),
        Filter("tool", "Tool called", "o.called_tool_names", is_list=True),
        Filter("user", "User", "o.user_id"),
        Filter("session", "Session", "o.session_id"),
    )
}
_TEXTS = {
    "text": "Text",
    "name": "Name contains",
    "from": "From",
    "to": "To",
    "range": "Time",
    "min": "Score from",
    "max": "Score to",
}


@dataclass(slots=True)
class Values:
    """Values that are bound to a statement of DuckDB: `$v0`, `$v1` and so on."""

    bound: dict[str, Any] = field(default_factory=dict)

    def bind(self, value: Any) -> str:
        """Return the mark that stands for a value."""
        name = f"v{len(self.bound)}"
        self.bound[name] = value
        return f"${name}"


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked for. Times are Unix milliseconds, `before` is exclusive; `shown_noise` is of `NOISE`."""

    chosen: Mapping[str, Sequence[str]]
    texts: Mapping[str, str]
    shown_noise: Sequence[str]
    since: int | None
    before: int | None
    score_min: float | None
    score_max: float | None

    @classmethod
    def of(cls, visit: Visit, default_range: str = "") -> Filters:
        """Return what the address of a visit asks for, with a range of time where it names none.

        Raises:
            PageRefused: a time or a bound cannot be read; a list that ignores it looks filtered, and is not.
        """
        given = visit.request.query_params
        chosen = {name: list(dict.fromkeys(filter(None, given.getlist(name)))) for name in FILTERS}
        texts = {name: visit.text(name) for name in _TEXTS}
        since, before = visit.moment("from"), visit.moment("to")
        if since is None and not texts["range"]:
            texts["range"] = default_range
        if texts["range"]:
            texts |= {"from": "", "to": ""}
            since, before = _range(texts["range"], now_ms())
        return cls(
            {name: values for name, values in chosen.items() if values},
            texts,
            [kind for kind in NOISE if kind in given.getlist("with")],
            since,
            before,
            _bound(texts["min"], "min"),
            _bound(texts["max"], "max"),
        )

    @property
    def is_active(self) -> bool:
        """Whether anything is asked for beside leaving out the noise."""
        return bool(self.chosen) or any(self.texts.values())

    @property
    def hidden_environments(self) -> list[str]:
        """The environments that are left out. Nothing is where environments are named."""
        if "environment" in self.chosen:
            return []
        return [name for kind, names in NOISE.items() if kind not in self.shown_noise for name in names]

    def query(self) -> dict[str, Sequence[str]]:
        """Return the query parameters that ask for the same."""
        found: dict[str, Sequence[str]] = {name: list(values) for name, values in self.chosen.items()}
        found |= {name: [text] for name, text in self.texts.items() if text}
        return found | ({"with": list(self.shown_noise)} if self.shown_noise else {})

    def toggled(self, name: str, value: str) -> dict[str, Sequence[str]]:
        """Return the query parameters with a value of a filter chosen, or not if it was."""
        query = self.query()
        values = query.get(name, ())
        query[name] = [one for one in values if one != value] if value in values else [*values, value]
        return query

    def chips(self) -> list[tuple[str, str, dict[str, Sequence[str]]]]:
        """Return label, value and the query parameters without it, for everything that is asked for."""
        found = [
            (FILTERS[name].label, value, self.toggled(name, value))
            for name, values in self.chosen.items()
            for value in values
        ]
        for name, text in self.texts.items():
            if text:
                value = RANGES.get(text, text) if name == "range" else text
                found.append((_TEXTS[name], value, {**self.query(), name: []}))
        return found

    def conditions(self, values: Values, *, name: str, but: str = "") -> list[str]:
        """Return SQL conditions on `observations o` for all filters but one, without range of time and noise.

        `name` is the column that "name contains" looks at.
        """
        found = [
            self._condition(FILTERS[parameter], chosen, values)
            for parameter, chosen in self.chosen.items()
            if parameter not in (but, "score")
        ]
        if but != "score" and (
            "score" in self.chosen or self.score_min is not None or self.score_max is not None
        ):
            found.append(self._scored(values))
        if self.texts["name"]:
            found.append(f"contains(lower({name}), {values.bind(self.texts['name'].lower())})")
        return found

    def without_noise(self, values: Values) -> list[str]:
        """Return the condition on `observations o` that leaves out the noise, if any is to be left out."""
        hidden = ", ".join(values.bind(one) for one in self.hidden_environments)
        return [f"o.environment not in ({hidden})"] if hidden else []

    def _condition(self, one: Filter, chosen: Sequence[str], values: Values) -> str:
        mark = values.bind(list(chosen))
        return f"list_has_any({one.sql}, {mark})" if one.is_list else f"{one.sql} in (select unnest({mark}))"

    def _scored(self, values: Values) -> str:
        terms = ["true"]
        if "score" in self.chosen:
            terms.append(f"s.name in (select unnest({values.bind(list(self.chosen['score']))}))")
        if self.score_min is not None:
            terms.append(f"s.value >= {values.bind(self.score_min)}")
        if self.score_max is not None:
            terms.append(f"s.value <= {values.bind(self.score_max)}")
        return scored(" and ".join(terms))


def scored(condition: str) -> str:
    """Return the SQL of whether an observation, or its trace if it is a root, has such a score `s`."""
    own, of_trace = _SCORED.format("s.observation_id"), _SCORED.format("''")
    return (
        f"((o.trace_id, o.id) in ({own}{condition} and s.observation_id is not null)"
        f" or (o.trace_id, o.parent_id) in ({of_trace}{condition} and s.observation_id is null"
        " and s.trace_id is not null))"
    )


def _range(name: str, now: int) -> tuple[int, int | None]:
    if name in _BACK_MS:
        return now - _BACK_MS[name], None
    today = now // _DAY_MS * _DAY_MS
    if name == "today":
        return today, None
    if name == "yesterday":
        return today - _DAY_MS, today
    raise PageRefused(400, "Not a range of time", f"“range” is to be one of {', '.join(RANGES)}.")


def _bound(text: str, name: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise PageRefused(400, "Not a number", f"“{name}” is to be a number like 0.5.") from None
