"""Show plans: as a coloured diff by project for people, as JSON for programs."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from .plan import ProjectPlan
from .resources import Action, Change, Difference

_SIGNS = {
    Action.CREATE: ("+", "green"),
    Action.UPDATE: ("~", "yellow"),
    Action.REPLACE: ("~", "yellow"),
    Action.DELETE: ("-", "red"),
    Action.BLOCKED: ("!", "magenta"),
}
# Of one kind and sign more are counted instead of shown; --json has all.
_MOST = 20
_LONGEST = 100

Line = tuple[str, str]
"""Text and colour; an empty colour is the terminal's own."""


def lines(plans: Sequence[ProjectPlan]) -> Iterator[Line]:
    """Yield the plans for people, grouped by project."""
    for plan in plans:
        yield f"{plan.scope} {plan.project}", "bold"
        yield from _changes(plan.changes)
        if not plan.changes:
            yield f"    {plan.kept} as wanted", ""
        left = Counter(one.kind for one in plan.left)
        for kind, count in left.items():
            names = [one.key for one in plan.left if one.kind == kind]
            shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            yield f"    left alone, not in config/: {_plural(count, kind)} ({shown})", "dim"


def summary(plans: Sequence[ProjectPlan]) -> str:
    """Return the plans in one line."""
    every = [change for plan in plans for change in plan.changes]
    counts = Counter(_SIGNS[change.action][0] for change in every)
    if not every:
        return "Nothing to change."
    parts = [
        f"{counts[sign]} to {verb}"
        for sign, verb in (("+", "create"), ("~", "change"), ("-", "delete"))
        if counts[sign]
    ]
    if counts["!"]:
        parts.append(f"{counts['!']} that the API cannot make")
    return ", ".join(parts) + "."


def as_json(plans: Sequence[ProjectPlan]) -> str:
    """Return the plans for programs: `{"changes": n, "plans": [...]}`."""
    return json.dumps(
        {
            "changes": sum(len(plan.changes) for plan in plans),
            "plans": [
                {
                    plan.scope: plan.project,
                    "kept": plan.kept,
                    "changes": [
                        {
                            "action": str(change.action),
                            "kind": change.kind,
                            "key": change.key,
                            "note": change.note,
                            "differences": [
                                {"field": one.field, "old": one.old, "new": one.new}
                                for one in change.differences
                            ],
                        }
                        for change in plan.changes
                    ],
                    "left": [{"kind": one.kind, "key": one.key} for one in plan.left],
                }
                for plan in plans
            ],
        },
        indent=2,
        ensure_ascii=False,
    )


def _changes(changes: Sequence[Change]) -> Iterator[Line]:
    shown: Counter[tuple[str, str]] = Counter()
    for change in changes:
        sign, colour = _SIGNS[change.action]
        group = sign, change.kind
        shown[group] += 1
        if shown[group] > _MOST:
            continue
        note = f"  ({change.note})" if change.note else ""
        yield f"  {sign} {change.kind} {change.key}{note}", colour
        for difference in change.differences:
            yield from _difference(difference)
    for (sign, kind), count in shown.items():
        if count > _MOST:
            yield f"  {sign} ... and {_plural(count - _MOST, 'more ' + kind)}", ""


def _difference(difference: Difference) -> Iterator[Line]:
    old, new = difference.old, difference.new
    if isinstance(old, str) and isinstance(new, str) and ("\n" in old or "\n" in new):
        yield f"      {difference.field}:", ""
        for line in list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1))[2:]:
            yield f"        {line}", {"+": "green", "-": "red"}.get(line[:1], "dim")
        return
    yield f"      {difference.field}: {_short(old)} -> {_short(new)}", ""


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _plural(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"
