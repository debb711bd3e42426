"""A score as the store keeps it: one row, and what happens when it is sent again."""

from __future__ import annotations

from typing import Any, TypedDict

import orjson

from langfuse_embedded.updates import merged_deeply

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
    nulls: list[str]
    """Columns that the client has set to null, not left out: an update erases them."""


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
_FIXED = ("id", "timestamp", "trace_id", "created_at", "environment")


def merged(earlier: StoredScore, later: Score, now: int) -> StoredScore:
    """Return a score that was sent again (see `updates`).

    What is set later wins, and so does a null that was sent (`nulls`); metadata is merged deeply. A score
    that is older than the stored one only fills what that has not.
    """
    result: dict[str, Any] = {**earlier, "updated_at": now}
    is_older = later["timestamp"] < earlier["timestamp"]
    for key in COLUMNS:
        if key in _FIXED or key in _VALUES or key not in later:
            continue
        value = later[key]  # type: ignore[literal-required]
        said = value is not None or key in later["nulls"]
        if key == "metadata":
            pair = (value, earlier["metadata"]) if is_older else (earlier["metadata"], value)
            result[key] = _merged_metadata(*pair)
        elif said and not (is_older and result[key] is not None):
            result[key] = value
    if not is_older:
        result |= {key: later[key] for key in _VALUES}  # type: ignore[literal-required]
    result["nulls"] = []
    return result  # type: ignore[return-value]


def _merged_metadata(earlier: dict[str, str], later: dict[str, str]) -> dict[str, str]:
    result = dict(earlier)
    for name, text in later.items():
        before, after = (_structure(one) for one in (earlier.get(name), text))
        merged = merged_deeply(before, after)
        result[name] = text if merged is after else orjson.dumps(merged).decode()
    return result


def _structure(text: str | None) -> Any:
    """Return the list or object that a text is, any other text as it is."""
    if not text or text[0] not in "[{":
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


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
    score["nulls"] = []
    for key in ("trace_id", "observation_id"):
        if score[key] is not None:
            score[key] = unpack(score[key])
    return score  # type: ignore[return-value]


def _packed(identifier: str | None) -> bytes | str | None:
    return None if identifier is None else pack(identifier)
