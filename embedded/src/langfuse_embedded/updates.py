"""What an update may change: what is sent later of one id, on top of what was sent before.

The rules are the server's (`worker/src/services/IngestionService`, `overwriteObject`): a few fields stay as
they were first said, a field that is left out stays as it is, null erases some fields, metadata is merged
deeply, tags are united. Which fields null erases is a matter of the kind: the server drops the null of others
before it merges.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Rules:
    """How the fields of one kind change.

    Attributes:
        fixed: the first word on these counts, also where it was null.
        erased_by_null: null is a value of these, to others it says nothing.
        only_true: of these the last that is neither empty nor zero counts.
    """

    fixed: Collection[str]
    erased_by_null: Collection[str]
    only_true: Collection[str] = ()


TRACE = Rules(
    fixed=("id", "timestamp", "environment", "eventTime"),
    erased_by_null=("name", "userId", "release", "version", "sessionId"),
    only_true=("input", "output"),
)
OBSERVATION = Rules(
    fixed=("id", "traceId", "startTime", "environment", "eventTime"),
    erased_by_null=("name", "model", "level"),
    only_true=("input", "output"),
)


def said(body: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    """Return what a body says: its fields without the nulls that say nothing."""
    return {
        key: value
        for key, value in body.items()
        if (value is not None or key in rules.erased_by_null)
        and not (key in rules.only_true and _is_empty(value))
    }


def overlaid(earlier: Mapping[str, Any], later: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    """Return what two bodies say together (see `said`)."""
    result = dict(earlier)
    for key, value in later.items():
        if key in rules.fixed and key in earlier:
            continue
        if key == "metadata":
            result[key] = merged_deeply(result.get(key), value)
        elif key == "tags":
            result[key] = sorted({*(result.get(key) or ()), *(value or ())})
        elif not (isinstance(value, dict | list) and not value):
            result[key] = value
    return result


def merged_deeply(earlier: Any, later: Any) -> Any:
    """Return `later` on top of `earlier`: objects by name, lists by place, all else is replaced."""
    if isinstance(earlier, dict) and isinstance(later, dict):
        return {
            **earlier,
            **{key: merged_deeply(earlier.get(key), value) for key, value in later.items()},
        }
    if isinstance(earlier, list) and isinstance(later, list):
        merged = [merged_deeply(one, other) for one, other in zip(earlier, later, strict=False)]
        return merged + earlier[len(merged) :] + later[len(merged) :]
    return later


def _is_empty(value: Any) -> bool:
    """Tell whether JavaScript takes a value for false."""
    return value is None or (not value and not isinstance(value, dict | list))
