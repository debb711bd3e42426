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
    Number,
    Object,
    Schema,
    String,
    Tagged,
    Union,
)
from langfuse_embedded.scoring import ScoreDropped, score_of
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
    return (
        body.get("source") != "ANNOTATION"
        or body.get("dataType") == "CORRECTION"
        or bool(body.get("configId"))
    )


def _correction_is_plain(body: dict[str, Any]) -> bool:
    return body.get("dataType") != "CORRECTION" or not (body.get("configId") or not body.get("traceId"))


def _typed(data_type: str, value: Schema) -> Object:
    return Object({"value": value, "dataType": Literal(data_type), "configId": _text()})


_VALUE = Tagged(
    "dataType",
    {
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
        "CORRECTION": _typed("CORRECTION", String()),
        MISSING: Object({"value": Union(String(), Number()), "configId": _text()}),
    },
)


def _body(sources: tuple[str, ...], more: dict[str, Schema]) -> Schema:
    common = Object(
        {
            "id": String(max=800, patterns=((r"^[^\r]*$", "ID cannot contain carriage returns"),)).nullish(),
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
    return (
        Both(common, _VALUE)
        .refine(_has_one_target, _ONE_TARGET, path=_TARGETS)
        .refine(_has_needed_config, _CONFIG_NEEDED, path=("configId",))
        .refine(
            _correction_is_plain,
            "CORRECTION scores belong to a trace or an observation and take no configId",
            path=("dataType",),
        )
    )


SCORE = _body(("API", "ANNOTATION"), {})
"""One score in `POST scores`. Its time is the time of the request."""

TIMED_SCORE = _body(("API", "ANNOTATION"), {"timestamp": Datetime().nullish()})
"""One score in a list that is sent to `POST scores`, as SDK 5 does: it may carry its own time."""

BATCH_SCORE = _body(
    ("API", "ANNOTATION", "EVAL"), {"authorUserId": _text(), "environment": Anything(), "id": ID.nullish()}
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
