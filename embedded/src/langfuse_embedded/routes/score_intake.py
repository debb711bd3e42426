"""How scores come in: the shapes of their bodies, their configs, and the way to the store."""

from __future__ import annotations

import logging
from typing import Any

from langfuse_embedded.http.errors import InvalidData
from langfuse_embedded.http.schema import (
    MISSING,
    Anything,
    Both,
    Datetime,
    Enum,
    Literal,
    Missing,
    Number,
    Object,
    Schema,
    String,
    Tagged,
    Undefined,
    Union,
)
from langfuse_embedded.scoring import ScoreDropped, lacks_config, score_of
from langfuse_embedded.store.score_rows import Score

from .call import Call

log = logging.getLogger(__name__)

_SLICE = 100
ID = String(min=1, max=800).refine(
    lambda text: "\r" not in text, "ID cannot contain carriage return characters"
)
"""The id of an event of the legacy batch, and of what it speaks of."""

_TARGETS = ("traceId", "sessionId", "datasetRunId", "observationId")
_ONE_TARGET = (
    "Provide exactly one of the following: traceId (with optional observationId), sessionId or datasetRunId."
    " ObservationId requires traceId."
)
_CONFIG_NEEDED = "configId is required when source is ANNOTATION (except for CORRECTION scores)."

_text = String().nullish


def _has_one_target(body: dict[str, Any]) -> bool:
    trace, session, run, observation = (bool(body.get(key)) for key in _TARGETS)
    return trace + session + run == 1 and (trace or not observation)


def _has_needed_config(body: dict[str, Any]) -> bool:
    return not lacks_config(body)


def _typed(data_type: str, value: Schema, config: Schema | None = None) -> Object:
    return Object({"value": value, "dataType": Literal(data_type), "configId": config or _text()})


_VALUES: dict[str | Missing, Object] = {
    "NUMERIC": _typed("NUMERIC", Number()),
    "CATEGORICAL": _typed("CATEGORICAL", String()),
    "BOOLEAN": _typed(
        "BOOLEAN",
        Number().refine(
            lambda value: value in (0, 1),
            "Value must be a number equal to either 0 or 1 for data type BOOLEAN",
        ),
    ),
    "TEXT": _typed("TEXT", String(min=1, max=500)),
    "CORRECTION": _typed("CORRECTION", String(), Undefined().nullish()),
    MISSING: Object({"value": Union(String(), Number()), "configId": _text()}),
}


def _common(sources: tuple[str, ...], **more: Schema) -> Object:
    return Object(
        {
            "id": String().nullish(),
            "name": String(min=1),
            **{key: _text() for key in _TARGETS},
            "comment": _text(),
            "metadata": Anything(),
            "environment": String().optional(),
            "queueId": _text(),
            "source": Enum(*sources).optional(),
            **more,
        }
    )


def _of_request(common: Object) -> Schema:
    return (
        Both(common, Tagged("dataType", _VALUES))
        .refine(_has_one_target, _ONE_TARGET, path=_TARGETS)
        .refine(_has_needed_config, _CONFIG_NEEDED, path=("configId",))
    )


def _of_event(common: Object) -> Schema:
    # The server judges an event by its data type alone, and drops it later for the rules of its source.
    shapes = {data_type: common.extend(value.shape) for data_type, value in _VALUES.items()}
    return Tagged("dataType", shapes).refine(_has_one_target, _ONE_TARGET, path=_TARGETS)


SCORE = _of_request(_common(("API", "ANNOTATION")))
"""One score in `POST scores`. Its time is the time of the request; its id must fit `EVENT_ID`, too."""

EVENT_ID = Object({"body": Object({"id": ID})})
"""What the server asks of a score when it makes an event of it."""

TIMED_SCORE = _of_request(_common(("API", "ANNOTATION"), timestamp=Datetime().nullish(), id=ID.nullish()))
"""One score in a list that is sent to `POST scores`, as SDK 5 does: it may carry its own time."""

BATCH_SCORE = _of_event(
    _common(("API", "EVAL", "ANNOTATION"), environment=Anything(), id=ID.nullish(), executionTraceId=_text())
)
"""The body of a `score-create` event; its time is the time of the event."""


def configured(call: Call, body: dict[str, Any], *, score_id: str, timestamp: int) -> Score | None:
    """Return the score of a valid body, or ``None`` when its config does not allow it.

    The server answers success and drops such a score later, without a word to the client; so does the engine,
    but it says so in its log.
    """
    config_id = body.get("configId")
    config = call.engine.score_configs.get(call.project_id, config_id) if config_id else None
    try:
        return score_of(body, config, score_id=score_id, timestamp=timestamp)
    except ScoreDropped as reason:
        log.warning(
            "score %r (%s) of project %s was accepted but is not stored, as on the server: %s",
            body["name"],
            score_id,
            call.project_id,
            reason,
        )
        return None


async def store(call: Call, scores: list[Score | None]) -> None:
    """Store what configs left of some scores; return when they are on disk and readable."""
    kept = [score for score in scores if score is not None]
    for begin in range(0, len(kept), _SLICE):
        # In slices: what others send is stored between them.
        arguments = {"project": call.project_id, "scores": kept[begin : begin + _SLICE]}
        await call.engine.writer.submit("store_scores", arguments)


def summary_of(error: InvalidData) -> str:
    """Return the issues of an error in one line."""
    return "; ".join(
        f"{'.'.join(map(str, issue['path'])) or 'body'}: {issue['message']}" for issue in error.issues
    )
