"""The rules for scores: data types, configs, environments, metadata. From an accepted body to a score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langfuse_embedded.javascript.values import InvalidJson, loads
from langfuse_embedded.otlp.environment import environment_named
from langfuse_embedded.otlp.metadata import metadata_texts
from langfuse_embedded.store.score_configs import ScoreConfig
from langfuse_embedded.store.score_rows import Score

NUMERIC, BOOLEAN, CATEGORICAL, TEXT, CORRECTION = "NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT", "CORRECTION"
DATA_TYPES = (NUMERIC, CATEGORICAL, BOOLEAN, CORRECTION, TEXT)
"""In the order of the server (`packages/shared/src/domain/scores.ts`), as refusals list them."""

_CORRECTION_NAME = "output"
_ERASED_BY_NULL = {
    "observationId": "observation_id",
    "sessionId": "session_id",
    "datasetRunId": "experiment_id",
    "comment": "comment",
    "configId": "config_id",
}


class ScoreDropped(Exception):
    """A score contradicts its config. The server accepts it and loses it later; the text says why."""


def lacks_config(body: Mapping[str, Any]) -> bool:
    """Tell whether a score is one of a person's, who gives scores of a config only."""
    return (
        body.get("source") == "ANNOTATION" and body.get("dataType") != CORRECTION and not body.get("configId")
    )


def score_of(body: Mapping[str, Any], config: ScoreConfig | None, *, score_id: str, timestamp: int) -> Score:
    """Return the score that a valid body describes.

    Args:
        body: a body that fits `routes.score_bodies`.
        config: the config that `configId` names, if the project has it.
        score_id, timestamp: identity and time (Unix milliseconds) of the score.

    Raises:
        ScoreDropped: the config does not exist, is archived, or does not allow the score; or the score
            corrects what has no output.
    """
    if lacks_config(body):
        raise ScoreDropped("its source is ANNOTATION, which needs a configId")
    value = body["value"]
    name = body["name"]
    data_type = body.get("dataType") or (CATEGORICAL if isinstance(value, str) else NUMERIC)
    if data_type == CORRECTION:
        for target in ("sessionId", "datasetRunId"):
            if body.get(target):
                raise ScoreDropped(f"a correction belongs to a trace or an observation, not to a {target}")
        name = _CORRECTION_NAME
    number, text = _values(data_type, value)
    if body.get("configId"):
        config = _usable(config, body)
        name, data_type = config.name, config.data_type
        number, text = _configured_values(config, value)
    return {
        "id": score_id,
        "timestamp": timestamp,
        "name": name,
        "environment": environment_named(body.get("environment")),
        "source": body.get("source") or "API",
        "data_type": data_type,
        "value": number,
        "string_value": text,
        "trace_id": body.get("traceId") or None,
        "observation_id": body.get("observationId") or None,
        "session_id": body.get("sessionId") or None,
        "experiment_id": body.get("datasetRunId") or None,
        "comment": body.get("comment"),
        "metadata": metadata_texts(body.get("metadata")),
        "config_id": body.get("configId") or None,
        "author_user_id": body.get("authorUserId"),
        "queue_id": body.get("queueId"),
        "nulls": [
            # The server stores the queue of the last event, also where that names none.
            *(column for name, column in _ERASED_BY_NULL.items() if body.get(name, "") is None),
            *([] if body.get("queueId") else ["queue_id"]),
        ],
    }


def metadata_values(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return stored metadata as it is read: every text that is JSON is parsed."""
    return {name: _parsed(text) for name, text in texts.items()}


def _parsed(text: str) -> Any:
    try:
        return loads(text)
    except InvalidJson:
        return text


def _values(data_type: str, value: Any) -> tuple[float | None, str | None]:
    if data_type == NUMERIC:
        return float(value), None
    if data_type == BOOLEAN:
        return float(value), "True" if value == 1 else "False"
    return None, value


def _usable(config: ScoreConfig | None, body: Mapping[str, Any]) -> ScoreConfig:
    if config is None:
        raise ScoreDropped(f"the project has no score config {body['configId']!r}")
    if config.is_archived:
        raise ScoreDropped(f"the score config {config.name!r} is archived")
    given = body.get("dataType")
    if given and given != config.data_type:
        raise ScoreDropped(
            f"its data type is {given}, the score config {config.name!r} has {config.data_type}"
        )
    return config


def _configured_values(config: ScoreConfig, value: Any) -> tuple[float | None, str | None]:
    """Return number and text of a value that the config allows."""
    if config.data_type in (CATEGORICAL, TEXT):
        if not isinstance(value, str):
            raise ScoreDropped(f"its value {value!r} is not text, as {config.data_type} needs")
        if config.data_type == TEXT:
            return None, value
        return _category_value(config, value), value
    if isinstance(value, str):
        raise ScoreDropped(f"its value {value!r} is not a number, as {config.data_type} needs")
    if config.data_type == BOOLEAN and value not in (0, 1):
        raise ScoreDropped(f"its value {value!r} is neither 0 nor 1")
    if config.min_value is not None and value < config.min_value:
        raise ScoreDropped(f"its value {value!r} is below the minimum {config.min_value:g}")
    if config.max_value is not None and value > config.max_value:
        raise ScoreDropped(f"its value {value!r} is above the maximum {config.max_value:g}")
    return _values(config.data_type, value)


def _category_value(config: ScoreConfig, label: str) -> float:
    for category in config.categories or ():
        if category["label"] == label:
            return float(category["value"])
    raise ScoreDropped(f"its value {label!r} is not a category of the score config {config.name!r}")
