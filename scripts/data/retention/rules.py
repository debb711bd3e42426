"""`config/retention.yaml`: how long traces stay, and what is never deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from scripts.core.edited_file import parse_edited, read_edited
from scripts.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Trace:
    """What decides about a trace: of all its observations.

    Attributes:
        last: start of its newest observation, ISO 8601 in UTC.
    """

    id: str
    last: str
    environments: frozenset[str]
    names: frozenset[str]
    levels: frozenset[str]
    tags: frozenset[str]
    users: frozenset[str]


@dataclass(frozen=True, slots=True)
class Rule:
    """Traces that stay for `days`. Empty fields fit everything; the others must hold for the whole trace."""

    days: int
    project: str = ""
    environment: str = ""
    trace_name: str = ""
    level: str = ""

    def fits(self, project: str, trace: Trace) -> bool:
        """Return whether the rule is about a trace."""
        wanted = (
            (self.environment, trace.environments),
            (self.trace_name, trace.names),
            (self.level, trace.levels),
        )
        if self.project and self.project != project:
            return False
        return all(not value or found == {value} for value, found in wanted)


@dataclass(frozen=True, slots=True)
class Hold:
    """What must not be deleted, whatever its age: a legal hold."""

    tags: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()

    def keeps(self, trace: Trace) -> bool:
        """Return whether a trace is held."""
        return bool(self.tags & trace.tags or self.users & trace.users)


@dataclass(frozen=True, slots=True)
class Retention:
    """The rules, of which the first that fits decides, and the hold."""

    rules: tuple[Rule, ...]
    hold: Hold

    def days(self, project: str, trace: Trace) -> int | None:
        """Return how many days a trace stays; None forever."""
        if self.hold.keeps(trace):
            return None
        return next((rule.days for rule in self.rules if rule.fits(project, trace)), None)

    def shortest(self, project: str) -> int | None:
        """Return the least number of days in a rule about a project, or None."""
        return min((rule.days for rule in self.rules if rule.project in ("", project)), default=None)


def load_retention(path: Path, shown: str) -> Retention:
    """Return the rules in a file; `shown` is what messages call it.

    Raises:
        UsageError: the file cannot be used; all faults are named.
    """
    document = parse_edited(read_edited(path, shown), shown) or {}
    try:
        rules, hold = document.get("rules") or [], document.get("hold") or {}
        problems = [f"unknown key {key}" for key in document.keys() - {"rules", "hold"}]
        problems += [f"unknown key hold.{key}" for key in hold.keys() - {"tags", "users"}]
        problems += [problem for number, rule in enumerate(rules) for problem in _faults(number, rule)]
    except (AttributeError, TypeError) as error:
        raise UsageError(
            f"{shown} is not a list of rules and a hold.", fix="write it as in the repository."
        ) from error
    if problems:
        raise UsageError(
            f"{shown} cannot be used.", details=sorted(problems), fix="correct that, then repeat."
        )
    return Retention(tuple(Rule(**rule) for rule in rules), Hold(_texts(hold, "tags"), _texts(hold, "users")))


def _texts(hold: Mapping[str, Iterable[Any]], name: str) -> frozenset[str]:
    return frozenset(str(one) for one in hold.get(name) or ())


def _faults(number: int, rule: Mapping[str, Any]) -> list[str]:
    known = {field.name for field in fields(Rule)}
    found = [f"unknown key rules[{number}].{key}" for key in rule.keys() - known]
    days = rule.get("days")
    if not isinstance(days, int) or isinstance(days, bool) or days < 1:
        found.append(f"rules[{number}].days is {days!r}: a whole number from 1 on")
    found += [
        f"rules[{number}].{key} is {rule[key]!r}: a text"
        for key in rule.keys() & (known - {"days"})
        if not isinstance(rule[key], str)
    ]
    return found
