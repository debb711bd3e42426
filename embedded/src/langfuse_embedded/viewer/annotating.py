"""Forms beside an observation: score it, add it to a dataset or to an annotation queue."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from langfuse_embedded.clock import now_ms
from langfuse_embedded.http.errors import ApiError
from langfuse_embedded.routes.dataset_items import save_item
from langfuse_embedded.scoring import ScoreDropped, score_of
from langfuse_embedded.store.annotation_queues import PENDING
from langfuse_embedded.store.observation_query import StoredObservation
from langfuse_embedded.store.score_configs import ScoreConfig
from langfuse_embedded.store.score_rows import Score, StoredScore
from langfuse_embedded.store.scores import ScoreQuery, find_scores

from .forms import may_write, writing_fields
from .urls import trace_url
from .visit import Answer, Page, PageRefused, Visit, not_found

_MOST_CONFIGS = 20
_MOST_DATASETS = 200
_MOST_QUEUES = 200
_SCORE_BYTES = 64 * 1024
_ITEM_BYTES = 1024 * 1024
_MAX_COMMENT = 5000
_MOST_ANNOTATIONS = 1000
_ANNOTATIONS = uuid.UUID("7e1f7f6e-3b0e-4d0b-9a55-0c2f1f1f6a2d")
MOST_EXPECTED = 20_000
"""Characters of an output that are offered as the expected output of a dataset item."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a person scores: a trace, an observation of one, or a session."""

    environment: str
    trace_id: str | None = None
    observation_id: str | None = None
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class Forms:
    """What the forms beside an observation offer."""

    configs: list[ScoreConfig]
    datasets: list[str]
    queues: list[tuple[str, str]]
    """Ids and names."""


def forms(visit: Visit) -> Forms | None:
    """Return what a visitor may score with and add to; ``None`` for who only reads."""
    if not may_write(visit):
        return None
    configs = visit.engine.score_configs.page(visit.project_id, 100, 0)
    datasets, _ = visit.engine.datasets.page(visit.project_id, _MOST_DATASETS, 0)
    queues, _ = visit.engine.annotation_queues.page(visit.project_id, _MOST_QUEUES, 0)
    return Forms(
        [one for one in configs if not one.is_archived][:_MOST_CONFIGS],
        [one.name for one in datasets],
        [(one.id, one.name) for one in queues],
    )


async def add_score(visit: Visit) -> Answer:
    """Store a score by a person, as its config allows it; lead back to the observation."""
    fields = await writing_fields(visit, _SCORE_BYTES)
    observation = await _observation(visit, fields.get("observation", ""))
    config = visit.engine.score_configs.get(visit.project_id, fields.get("config", ""))
    if config is None:
        raise not_found("score config")
    of_trace = fields.get("of") == "trace"
    target = Target(
        environment=observation.row["environment"],
        trace_id=observation.trace_id,
        observation_id=None if of_trace else observation.id,
    )
    earlier = await annotations_of(visit, target)
    score = annotation(
        visit, target, config, fields.get("value", ""), fields.get("comment", ""), earlier.get(config.id)
    )
    await store_annotations(visit, [score])
    return _back(visit, observation)


async def annotations_of(visit: Visit, target: Target) -> dict[str, StoredScore]:
    """Return what people scored a target with, by the id of the score config."""
    column, wanted = ("session_id", target.session_id) if target.session_id else ("trace_id", target.trace_id)
    query = ScoreQuery(
        visit.project_key,
        _MOST_ANNOTATIONS,
        any_of={column: [wanted or ""], "source": ["ANNOTATION"]},
        horizon=visit.engine.events.horizon(),
    )

    def read() -> list[StoredScore]:
        with visit.engine.events.connection() as connection:
            return find_scores(connection, query)

    # Newest first: of several the last one that is set here stays.
    return {
        one["config_id"]: one
        for one in reversed(await visit.read(read))
        if one["config_id"] and one["observation_id"] == target.observation_id
    }


def annotation(
    visit: Visit,
    target: Target,
    config: ScoreConfig,
    value: str,
    comment: str,
    earlier: StoredScore | None,
    queue_id: str | None = None,
) -> Score:
    """Return the score that a person gives; it replaces the `earlier` one of this config, as on the server.

    Source: `createAnnotationScore` in web/src/server/api/routers/scores.ts at v4.16.0.

    Raises:
        PageRefused: the config does not allow the value.
    """
    assert visit.user is not None, "a page behind the login has a user"  # noqa: S101
    body = {
        "name": config.name,
        "value": _value(config, value),
        "dataType": config.data_type,
        "configId": config.id,
        "traceId": target.trace_id,
        "observationId": target.observation_id,
        "sessionId": target.session_id,
        "comment": comment[:_MAX_COMMENT] or None,
        "source": "ANNOTATION",
        "authorUserId": visit.user.id,
        "queueId": queue_id,
        "environment": target.environment,
    }
    # A form that is sent twice at once gives one score: its id follows from what is scored.
    identity = orjson.dumps(
        [visit.project_id, target.trace_id, target.observation_id, target.session_id, config.id]
    )
    score_id = earlier["id"] if earlier else str(uuid.uuid5(_ANNOTATIONS, identity.decode()))
    try:
        return score_of(body, config, score_id=score_id, timestamp=now_ms())
    except ScoreDropped as reason:
        raise PageRefused(400, "Not a score", f"{config.name} does not take this value: {reason}") from None


async def store_annotations(visit: Visit, scores: Sequence[Score]) -> None:
    """Store scores by a person, all in one commit."""
    if scores:
        await visit.engine.writer.submit(
            "store_scores", {"project": visit.project_id, "scores": list(scores)}
        )


def _value(config: ScoreConfig, text: str) -> str | float:
    if config.data_type == "CATEGORICAL":
        # Fields of forms come without the spaces around them, labels may have some.
        labels = [one["label"] for one in config.categories or ()]
        return next((label for label in labels if label.strip() == text), text)
    if config.data_type == "TEXT":
        return text
    try:
        return float(text)
    except ValueError:
        raise PageRefused(400, "Not a number", f"The value of {config.name} is to be a number.") from None


async def add_item(visit: Visit) -> Answer:
    """Make a dataset item of an observation; lead back to it."""
    fields = await writing_fields(visit, _ITEM_BYTES)
    observation = await _observation(visit, fields.get("observation", ""))
    body: dict[str, Any] = {
        "datasetName": fields.get("dataset", ""),
        "input": observation.body.input if observation.body else None,
        "expectedOutput": fields.get("expected") or None,
        "sourceTraceId": observation.trace_id,
        "sourceObservationId": observation.id,
    }
    try:
        await save_item(visit.engine, visit.project_id, body, run_in_threadpool)
    except ApiError as refusal:
        raise PageRefused(refusal.status, "Not added", str(refusal)) from None
    return _back(visit, observation)


async def add_queue_item(visit: Visit) -> Answer:
    """Put an observation or its trace into an annotation queue, unless it waits there; lead back to it."""
    fields = await writing_fields(visit, _SCORE_BYTES)
    observation = await _observation(visit, fields.get("observation", ""))
    queues = visit.engine.annotation_queues
    queue = queues.get(visit.project_id, fields.get("queue", ""))
    if queue is None:
        raise not_found("queue")
    kind, one = (
        ("TRACE", observation.trace_id) if fields.get("of") == "trace" else ("OBSERVATION", observation.id)
    )
    with visit.engine.state.transaction():
        waiting = queues.with_object(visit.project_id, {kind: one})
        if not any(found.queue_id == queue.id and found.status == PENDING for found in waiting):
            queues.add_item(queue.id, one, kind, PENDING)
    return _back(visit, observation)


async def _observation(visit: Visit, observation_id: str) -> StoredObservation:
    project, horizon = visit.project_key, visit.engine.events.horizon()

    def read() -> StoredObservation | None:
        with visit.engine.events.observations_in_thread() as reader:
            return reader.one(project, observation_id, trace_id=visit.params["traceId"], horizon=horizon)

    found = await visit.read(read)
    if found is None:
        raise not_found("observation")
    return found


def _back(visit: Visit, observation: StoredObservation) -> RedirectResponse:
    return RedirectResponse(trace_url(visit.project_id, observation.trace_id, observation.id), 303)


PAGES = (
    Page("/project/{projectId}/traces/{traceId}/scores", add_score, "POST"),
    Page("/project/{projectId}/traces/{traceId}/dataset-items", add_item, "POST"),
    Page("/project/{projectId}/traces/{traceId}/annotation-queue-items", add_queue_item, "POST"),
)
