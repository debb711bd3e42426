"""Show plans: as a coloured diff by project for people, as JSON for programs."""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from .plan import ProjectPlan
from .resources import Action, Change, Difference
from .yaml_text import as_line, as_lines

_SIGNS = {
    Action.CREATE: ("+", "green"),
    Action.UPDATE: ("~", "yellow"),
    Action.REPLACE: ("~", "yellow"),
    Action.DELETE: ("-", "red"),
    Action.BLOCKED: ("!", "magenta"),
}
# Of one kind and sign more are counted instead of shown; --json has all. Deletions are all shown.
_MOST = 20
_MOST_LINES = 40
_LONGEST = 500
# What fits here is in one line as `old -> new`; the rest is compared line by line.
_WIDTH = 80
_AT_THE_BEGIN = re.compile(r"@@ -[01][ ,]")

Line = tuple[str, str]
"""Text and colour; an empty colour is the terminal's own."""


def lines(plans: Sequence[ProjectPlan]) -> Iterator[Line]:
    """Yield the plans for people, grouped by project."""
    for plan in plans:
        yield f"{plan.scope} {plan.project}", "bold"
        yield from _changes(plan.changes)
        if not plan.changes and (plan.kept or not plan.left):
            yield f"    {plan.kept} as wanted", ""
        left = Counter(one.kind for one in plan.left)
        for kind, count in left.items():
            names = [one.key for one in plan.left if one.kind == kind]
            shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
            yield f"    left alone, not in config/: {plural(count, kind)} ({shown})", "dim"


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
        if shown[group] > _MOST and change.action is not Action.DELETE:
            continue
        note = f"  ({change.note})" if change.note else ""
        yield f"  {sign} {change.kind} {change.key}{note}", colour
        for difference in change.differences:
            yield from _difference(difference)
    for (sign, kind), count in shown.items():
        if count > _MOST and sign != _SIGNS[Action.DELETE][0]:
            yield f"  {sign} ... and {plural(count - _MOST, 'more ' + kind)}", ""


def _difference(difference: Difference) -> Iterator[Line]:
    old, new = difference.old, difference.new
    line = f"      {difference.field}: {_one_line(old)} -> {_one_line(new)}"
    if len(line) <= _WIDTH and "\\n" not in line:
        yield line, ""
        return
    yield f"      {difference.field}:", ""
    compared = list(difflib.unified_diff(as_lines(old), as_lines(new), lineterm="", n=1))[2:]
    for number, text in enumerate(compared[:_MOST_LINES]):
        if number or not _AT_THE_BEGIN.match(text):
            spaced = text if text.startswith("@@") else f"{text[:1]} {text[1:]}"
            yield f"        {_cut(spaced)}", {"+": "green", "-": "red"}.get(text[:1], "dim")
    if len(compared) > _MOST_LINES:
        yield f"        ... and {plural(len(compared) - _MOST_LINES, 'more line')}", "dim"


def _one_line(value: Any) -> str:
    return "nothing" if value is None else as_line(value)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def plural(count: int, name: str) -> str:
    """Return a count with its noun."""
    return f"{count} {name}" if count == 1 else f"{count} {name}s"
