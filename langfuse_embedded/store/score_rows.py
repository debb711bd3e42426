"""A score as the store keeps it: one row, and what happens when it is sent again."""

from __future__ import annotations

from typing import Any, TypedDict

import orjson

from .hexid import pack, unpack


class Score(TypedDict):
    """A score on its way to the store, after its config was applied. Times are Unix milliseconds.

    `metadata` holds raw texts by name; what was not text is JSON. Exactly one of `trace_id`, `session_id` and
    `experiment_id` is set, `observation_id` only beside `trace_id`.
    """

    id: str
    timestamp: int
    name: str
    environment: str
    source: str
    data_type: str
    value: float | None
    string_value: str | None
    trace_id: str | None
    observation_id: str | None
    session_id: str | None
    experiment_id: str | None
    comment: str | None
    metadata: dict[str, str]
    config_id: str | None
    author_user_id: str | None
    queue_id: str | None


class StoredScore(Score):
    """A score that is in the store."""

    created_at: int
    updated_at: int


COLUMNS = (
    "id",
    "timestamp",
    "created_at",
    "updated_at",
    "name",
    "environment",
    "source",
    "data_type",
    "value",
    "string_value",
    "trace_id",
    "observation_id",
    "session_id",
    "experiment_id",
    "comment",
    "metadata",
    "config_id",
    "author_user_id",
    "queue_id",
)
SELECT = f"select {', '.join(COLUMNS)} from scores"
INSERT = (
    f"insert into scores (seq, project, {', '.join(COLUMNS)}) values (?, ?, {', '.join('?' * len(COLUMNS))})"
)

# A score's type and its two values belong together; when and where it was made stays as it was.
_VALUES = ("data_type", "value", "string_value")
_FIXED = ("id", "timestamp", "trace_id", "created_at")


def merged(earlier: StoredScore, later: StoredScore) -> StoredScore:
    """Return a score that was sent again: what is set later wins, metadata is merged name by name."""
    changes: dict[str, Any] = {
        key: value for key, value in later.items() if value is not None and key not in _FIXED
    }
    changes |= {key: later[key] for key in _VALUES}  # type: ignore[literal-required]
    changes["metadata"] = earlier["metadata"] | later["metadata"]
    return {**earlier, **changes}  # type: ignore[typeddict-item]


def row_of(score: StoredScore) -> tuple[Any, ...]:
    """Return the row in the order of `COLUMNS`."""
    packed: dict[str, Any] = {
        **score,
        "trace_id": _packed(score["trace_id"]),
        "observation_id": _packed(score["observation_id"]),
        "metadata": orjson.dumps(score["metadata"]).decode() if score["metadata"] else None,
    }
    return tuple(packed[column] for column in COLUMNS)


def score_of(row: Any) -> StoredScore:
    """Return the score in a row that has `COLUMNS`."""
    score: dict[str, Any] = dict(zip(COLUMNS, row, strict=True))
    score["metadata"] = orjson.loads(score["metadata"]) if score["metadata"] else {}
    for key in ("trace_id", "observation_id"):
        if score[key] is not None:
            score[key] = unpack(score[key])
    return score  # type: ignore[return-value]


def _packed(identifier: str | None) -> bytes | str | None:
    return None if identifier is None else pack(identifier)
