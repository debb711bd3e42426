"""Annotation queues: the list, one queue, and its items worked off one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import RedirectResponse

from langfuse_embedded.clock import now_ms
from langfuse_embedded.store.annotation_queues import (
    COMPLETED,
    PENDING,
    AnnotationQueue,
    AnnotationQueueItem,
)
from langfuse_embedded.store.score_configs import ScoreConfig
from langfuse_embedded.store.score_rows import Score, StoredScore

from .annotating import Target, annotation, annotations_of, store_annotations
from .forms import may_write, writing_fields
from .paging import PAGE_SIZE, NumberedPage
from .sessions import session_part
from .trace import comments_on, detail_of, read_trace
from .urls import project_url, trace_url
from .visit import Answer, Page, PageRefused, View, Visit, not_found

_SECTION = "annotation-queues"
_FORM_BYTES = 512 * 1024
_MOST_OBSERVATIONS = 200
_MOST_RADIOS = 9
"""Categories beyond this are a menu: a key of one digit chooses a button."""


@dataclass(frozen=True, slots=True)
class _Subject:
    """What an item is about: what a score of it belongs to, and what a page shows of it."""

    target: Target
    title: str
    url: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScoreField:
    """A score config in the form, with what a person scored before."""

    config: ScoreConfig
    value: str
    comment: str

    @property
    def choices(self) -> Sequence[tuple[str, str]]:
        """Values and labels to choose from; none where a value is typed."""
        if self.config.data_type == "BOOLEAN":
            return (("1", "true"), ("0", "false"))
        return [(one["label"], one["label"]) for one in self.config.categories or ()]

    @property
    def is_menu(self) -> bool:
        """Whether there are too many choices for buttons."""
        return len(self.choices) > _MOST_RADIOS


async def queue_list(visit: Visit) -> Answer:
    """Show queues with how far they are, newest first."""
    page = NumberedPage.of(visit)
    queues = visit.engine.annotation_queues
    found, total = queues.page(visit.project_id, PAGE_SIZE, page.offset)
    values = {
        "section": _SECTION,
        "queues": [(one, queues.progress(one.id, _user_id(visit))) for one in found],
        "may_write": may_write(visit),
        "paging": page.values(visit, total, _SECTION),
    }
    return View("annotation_queues.html", values)


async def queue(visit: Visit) -> Answer:
    """Show the items of a queue, newest first; `?status=` leaves one status."""
    one, page = _queue(visit), NumberedPage.of(visit)
    queues, status = visit.engine.annotation_queues, visit.text("status")
    if status not in ("", PENDING, COMPLETED):
        raise PageRefused(400, "Not a status", f"“status” is {PENDING} or {COMPLETED}.")
    items, total = queues.items(one.id, status or None, PAGE_SIZE, page.offset)
    values = {
        "section": _SECTION,
        "queue": one,
        "progress": queues.progress(one.id, _user_id(visit)),
        "configs": _configs(visit, one),
        "status": status,
        "items": [(item, _name(visit, item.annotator_user_id), _holder(visit, item)) for item in items],
        "may_write": may_write(visit),
        "paging": page.values(visit, total, _SECTION, one.id, status=status),
    }
    return View("annotation_queue.html", values)


async def next_item(visit: Visit) -> Answer:
    """Lead on to the oldest pending item that nobody else has open, behind `?after=`."""
    one, queues = _queue(visit), visit.engine.annotation_queues
    after = queues.item(one.id, visit.text("after"))
    found = queues.next_pending(one.id, _user_id(visit), after)
    if found is None:
        values = {"section": _SECTION, "queue": one, "progress": queues.progress(one.id, _user_id(visit))}
        return View("annotation_queue_end.html", values)
    if may_write(visit):
        with visit.engine.state.transaction():
            queues.lock(found, _user_id(visit))
    return RedirectResponse(_item_url(visit, found), 303)


async def item(visit: Visit) -> Answer:
    """Show what an item is about beside the form of its scores; `?observation=` selects one of a trace."""
    one = _queue(visit)
    found = _item(visit, one)
    subject = await _subject(visit, found)
    earlier = await annotations_of(visit, subject.target) if subject else {}
    queues = visit.engine.annotation_queues
    before = queues.before(found)
    values = {
        "section": _SECTION,
        "queue": one,
        "item": found,
        "progress": queues.progress(one.id, _user_id(visit)),
        "subject": subject,
        "fields": [_field(config, earlier.get(config.id)) for config in _configs(visit, one)],
        "annotator": _name(visit, found.annotator_user_id),
        "holder": _holder(visit, found),
        "may_write": may_write(visit),
        "forms": None,
        "previous_url": project_url(visit.project_id, _SECTION, one.id, "items", before) if before else None,
        "skip_url": _next_url(visit, found),
        **(subject.values if subject else {}),
    }
    return View("annotation_item.html", values)


async def annotate(visit: Visit) -> Answer:
    """Store the scores of an item, complete it, and lead on to the next one."""
    one = _queue(visit)
    configs = _configs(visit, one)
    # A value and a comment for each config, and what the visitor saw.
    fields = await writing_fields(visit, _FORM_BYTES, 2 * len(configs) + 1)
    found = _item(visit, one)
    if fields.get("status") == PENDING and found.status == COMPLETED:
        who = _name(visit, found.annotator_user_id) or "the API"
        raise PageRefused(
            409, "Completed already", f"Meanwhile {who} completed this item. Your scores are not stored."
        )
    given = [config for config in configs if fields.get(f"value-{config.id}", "") != ""]
    for config in configs:
        if config not in given and fields.get(f"comment-{config.id}"):
            raise PageRefused(
                400, "A comment without a score", f"Your comment on {config.name} needs a score beside it."
            )
    if given:
        subject = await _subject(visit, found)
        if subject is None:
            raise not_found(found.object_type.lower())
        earlier = await annotations_of(visit, subject.target)
        scores: list[Score] = [
            annotation(
                visit,
                subject.target,
                config,
                fields[f"value-{config.id}"],
                fields.get(f"comment-{config.id}", ""),
                earlier.get(config.id),
                one.id,
            )
            for config in given
        ]
        await store_annotations(visit, scores)
    # Scores first: an item that is completed has its scores, also when the engine is killed in between.
    with visit.engine.state.transaction():
        visit.engine.annotation_queues.complete(found, _user_id(visit))
    return RedirectResponse(_next_url(visit, found), 303)


def _queue(visit: Visit) -> AnnotationQueue:
    found = visit.engine.annotation_queues.get(visit.project_id, visit.params["queueId"])
    if found is None:
        raise not_found("queue")
    return found


def _item(visit: Visit, one: AnnotationQueue) -> AnnotationQueueItem:
    found = visit.engine.annotation_queues.item(one.id, visit.params["itemId"])
    if found is None:
        raise not_found("item")
    return found


def _configs(visit: Visit, one: AnnotationQueue) -> list[ScoreConfig]:
    """Return the configs of a queue that can be scored, in the order that the queue names them."""
    store = visit.engine.score_configs
    found = [store.get(visit.project_id, config_id) for config_id in dict.fromkeys(one.score_config_ids)]
    return [config for config in found if config is not None and not config.is_archived]


def _field(config: ScoreConfig, earlier: StoredScore | None) -> ScoreField:
    if earlier is None:
        return ScoreField(config, "", "")
    value: str = earlier["string_value"] or ""
    if config.data_type in ("NUMERIC", "BOOLEAN") and earlier["value"] is not None:
        value = f"{earlier['value']:.15g}"
    return ScoreField(config, value, earlier["comment"] or "")


async def _subject(visit: Visit, of: AnnotationQueueItem) -> _Subject | None:
    """Return what an item is about, ``None`` when that was deleted or never came."""
    if of.object_type == "SESSION":
        return await _session(visit, of.object_id)
    project, horizon = visit.project_key, visit.engine.events.horizon()
    trace_id, wanted = of.object_id, visit.text("observation")
    is_observation = of.object_type == "OBSERVATION"
    if is_observation:
        found = await visit.engine.subjects.trace_of_observation(visit.project_id, of.object_id)
        if found is None:
            return None
        trace_id, wanted = found, wanted or of.object_id
    contents = await visit.read(lambda: read_trace(visit, project, horizon, trace_id, wanted))
    if contents is None:
        return None
    selected, rows = contents.selected, contents.tree.rows
    row = next(
        one
        for one in rows
        if one.observation.id == (of.object_id if is_observation else rows[0].observation.id)
    )
    target = Target(
        environment=row.observation.row["environment"] if is_observation else contents.row["environment"],
        trace_id=trace_id,
        observation_id=of.object_id if is_observation else None,
    )
    name = (
        row.observation.row["name"]
        if is_observation
        else contents.row["name"] or rows[0].observation.row["name"]
    )
    values = {
        "trace_id": trace_id,
        "selected": selected,
        "rows": rows[:_MOST_OBSERVATIONS],
        "more": max(len(rows) - _MOST_OBSERVATIONS, 0),
        # Who scores is not to be led by what a judge says.
        "detail": detail_of(selected, ())
        | {
            "comments": comments_on(visit, "OBSERVATION", selected.id),
            "own_time": None,
            "gap": None,
            "is_critical": False,
        },
    }
    url = trace_url(visit.project_id, trace_id, of.object_id if is_observation else None)
    return _Subject(target, name or trace_id, url, values)


async def _session(visit: Visit, session_id: str) -> _Subject | None:
    part = await session_part(visit, session_id, None)
    if part is None or not part.turns:
        return None
    target = Target(environment=part.turns[0].trace.row["environment"], session_id=session_id)
    url = project_url(visit.project_id, "sessions", session_id)
    return _Subject(target, session_id, url, {"turns": part.turns, "has_more": part.following is not None})


def _user_id(visit: Visit) -> str:
    assert visit.user is not None, "a page behind the login has a user"  # noqa: S101
    return visit.user.id


def _name(visit: Visit, user_id: str | None) -> str:
    found = visit.engine.state.tenancy.user(user_id) if user_id else None
    return found.name or found.email if found else ""


def _holder(visit: Visit, of: AnnotationQueueItem) -> str:
    """Return who else has a pending item open."""
    held_by = of.holder(now_ms()) if of.status == PENDING else None
    return "" if held_by == _user_id(visit) else _name(visit, held_by)


def _item_url(visit: Visit, one: AnnotationQueueItem) -> str:
    return project_url(visit.project_id, _SECTION, one.queue_id, "items", one.id)


def _next_url(visit: Visit, after: AnnotationQueueItem) -> str:
    return project_url(visit.project_id, _SECTION, after.queue_id, "items", after=after.id)


_QUEUE = "/project/{projectId}/annotation-queues/{queueId}"
PAGES = (
    Page("/project/{projectId}/annotation-queues", queue_list),
    Page(_QUEUE, queue),
    Page(f"{_QUEUE}/items", next_item),
    Page(f"{_QUEUE}/items/{{itemId}}", item),
    Page(f"{_QUEUE}/items/{{itemId}}", annotate, "POST"),
)
