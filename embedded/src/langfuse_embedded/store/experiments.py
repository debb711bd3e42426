"""Read experiments and their items: views over the observations that carry `langfuse.experiment.*`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from .bodies import BlockReader, Body
from .hexid import pack, unpack
from .observation_columns import ALL_COLUMNS
from .observation_filters import Condition, Where, compile_conditions
from .score_rows import SELECT, StoredScore, score_of

_SPAN_ID = "iif(typeof(o.span_id) = 'blob', lower(hex(o.span_id)), o.span_id)"
_IS_ITEM_ROOT = f"(o.experiment_item_root_span_id = {_SPAN_ID})"
_DAY_MS = 86_400_000


class ExperimentPlace(NamedTuple):
    """The last row of a page: for experiments their latest observation, for items their root."""

    time: int
    trace_id: str
    span_id: str
    experiment_id: str


@dataclass(frozen=True, slots=True)
class ExperimentQuery:
    """What to read of a project.

    Attributes:
        project: the project's key in the rows.
        since, before: bounds of the start time, Unix milliseconds; the second one is exclusive.
        conditions: all must hold.
        limit: how many rows at most.
        after: the last row of the page before.
        horizon: rows beyond this number of the sequence are not visible yet.
    """

    project: int
    since: int
    before: int | None
    conditions: Sequence[Condition]
    limit: int
    after: ExperimentPlace | None = None
    horizon: int | None = None


@dataclass(frozen=True, slots=True)
class ExperimentSummary:
    """An experiment as far as it is in the asked range of time. Times are Unix milliseconds.

    `body` is that of its first item: all items carry the texts of the experiment.
    """

    id: str
    name: str
    dataset_id: str | None
    start_time: int
    end_time: int
    item_count: int
    place: ExperimentPlace
    body: Body


@dataclass(frozen=True, slots=True)
class ExperimentItem:
    """The root observation of one item of an experiment."""

    row: sqlite3.Row
    body: Body

    @property
    def place(self) -> ExperimentPlace:
        """Where it is in a list."""
        row = self.row
        return ExperimentPlace(
            row["start_time"], unpack(row["trace_id"]), unpack(row["span_id"]), row["experiment_id"]
        )


def find_experiments(connection: sqlite3.Connection, query: ExperimentQuery) -> list[ExperimentSummary]:
    """Return experiments, those with the latest activity first.

    Raises:
        FilterError: the conditions cannot be served.
    """
    # What one span of an experiment fulfils finds all of the experiment.
    where, found_by = _where(replace(query, conditions=())), _where(query)
    if query.conditions:
        ids = f"select o.experiment_id from observations o where {found_by.sql}"
        where.add(f"o.experiment_id in ({ids})", *found_by.values)
    page, values = "", list[Any]()
    if query.after is not None:
        page = "having (max(o.start_time), o.experiment_id) < (?, ?)"
        values = [query.after.time, query.after.experiment_id]
    rows = connection.execute(
        "select o.experiment_id as id, max(o.experiment_name) as name,"
        " nullif(max(o.experiment_dataset_id), '') as dataset_id, min(o.start_time) as start_time,"
        " max(max(o.start_time, coalesce(o.end_time, o.start_time))) as end_time,"
        f" count(distinct iif({_IS_ITEM_ROOT}, o.span_id, null)) as item_count,"
        f" max(o.start_time) as latest from observations o where {where.sql}"
        f" group by o.experiment_id {page} order by latest desc, id desc limit ?",
        (*where.values, *values, query.limit),
    ).fetchall()
    return [found for row in rows if (found := _summary(connection, query, row))]


def _summary(
    connection: sqlite3.Connection, query: ExperimentQuery, row: sqlite3.Row
) -> ExperimentSummary | None:
    observations = "from observations o where o.project = ? and o.experiment_id = ? and o.start_time"
    latest = connection.execute(
        f"select o.trace_id, o.span_id {observations} = ? order by o.span_id desc limit 1",
        (query.project, row["id"], row["latest"]),
    ).fetchone()
    first = connection.execute(
        f"select o.block, o.position {observations} >= ? order by {_IS_ITEM_ROOT} desc, o.start_time limit 1",
        (query.project, row["id"], row["start_time"]),
    ).fetchone()
    if latest is None or first is None:
        return None  # deleted in between
    try:
        body = BlockReader(connection).body(first["block"], first["position"])
    except LookupError:
        return None
    place = ExperimentPlace(row["latest"], unpack(latest["trace_id"]), unpack(latest["span_id"]), row["id"])
    return ExperimentSummary(
        row["id"],
        row["name"] or "",
        row["dataset_id"],
        row["start_time"],
        row["end_time"],
        row["item_count"],
        place,
        body,
    )


def find_items(connection: sqlite3.Connection, query: ExperimentQuery) -> list[ExperimentItem]:
    """Return items of experiments, newest first.

    Raises:
        FilterError: the conditions cannot be served.
    """
    where = _where(query)
    where.add(f"o.experiment_item_id <> '' and {_IS_ITEM_ROOT}")
    if query.after is not None:
        where.add("o.start_time <= ?", query.after.time)
        where.add(
            "(o.start_time, o.trace_id, o.span_id, o.experiment_id) < (?, ?, ?, ?)",
            query.after.time,
            pack(query.after.trace_id),
            pack(query.after.span_id),
            query.after.experiment_id,
        )
    rows = connection.execute(
        f"select o.* from observations o where {where.sql}"
        " order by o.start_time desc, o.trace_id desc, o.span_id desc, o.experiment_id desc limit ?",
        (*where.values, query.limit),
    ).fetchall()
    blocks = BlockReader(connection)
    found = []
    for row in rows:
        try:
            found.append(ExperimentItem(row, blocks.body(row["block"], row["position"])))
        except LookupError:
            continue  # deleted in between
    return found


def _where(query: ExperimentQuery) -> Where:
    where = Where()
    # The text beside "is not null" lets SQLite use the index, which leaves out what is not an experiment.
    where.add("o.project = ? and o.experiment_id is not null and o.experiment_id <> ''", query.project)
    where.add("o.start_time >= ?", query.since)
    if query.before is not None:
        where.add("o.start_time < ?", query.before)
    if query.horizon is not None:
        where.add("o.seq <= ?", query.horizon)
    compile_conditions(list(query.conditions), where, ALL_COLUMNS)
    return where


def scores_of_experiments(
    connection: sqlite3.Connection, project: int, places: Sequence[ExperimentPlace], limit: int
) -> dict[str, list[StoredScore]]:
    """Return up to `limit` scores of each experiment itself, newest first, by experiment id.

    As on the server, scores count from a day before the oldest row of the page to a day after the newest.
    """
    found = {}
    since, until = places[-1].time - _DAY_MS, places[0].time + _DAY_MS
    for place in places:
        rows = connection.execute(
            f"{SELECT} where project = ? and experiment_id = ? and timestamp >= ? and timestamp <= ?"
            " order by timestamp desc, id desc limit ?",
            (project, place.experiment_id, since, until, limit),
        )
        found[place.experiment_id] = [score_of(row) for row in rows]
    return found


def scores_of_items(
    connection: sqlite3.Connection, project: int, places: Sequence[ExperimentPlace], limit: int
) -> dict[str, list[StoredScore]]:
    """Return up to `limit` scores of each item, on its trace or on its root, newest first, by trace id."""
    found = {}
    since, until = places[-1].time - _DAY_MS, places[0].time + _DAY_MS
    for place in places:
        rows = connection.execute(
            f"{SELECT} where project = ? and trace_id = ? and timestamp >= ? and timestamp <= ?"
            " and (observation_id is null or observation_id = ?) order by timestamp desc, id desc limit ?",
            (project, pack(place.trace_id), since, until, pack(place.span_id), limit),
        )
        found[place.trace_id] = [score_of(row) for row in rows]
    return found
