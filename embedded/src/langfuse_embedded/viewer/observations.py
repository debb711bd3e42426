"""Observations: the table of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langfuse_embedded.clock import iso
from langfuse_embedded.store.observation_query import StoredObservation
from langfuse_embedded.store.score_rows import StoredScore

from .list_page import ListPage
from .score_values import ScoresByPlace, score_text, scores_of_traces
from .tables import OBSERVATIONS
from .visit import Answer, Page, View, Visit

_CSV = (
    "id", "trace_id", "start_time", "type", "name", "level", "status_message", "model", "prompt",
    "latency_ms", "first_token_ms", "input_tokens", "output_tokens", "total_tokens", "cost_usd",
    "environment", "user", "session", "scores",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ObservationRow:
    """An observation in the table. Durations are in milliseconds, ``None`` where there is no end."""

    observation: StoredObservation
    latency: int | None
    first_token: int | None
    prompt: str
    scores: Sequence[StoredScore]


async def observation_list(visit: Visit) -> Answer:
    """Show observations, newest first or in the order asked for; or give them as a file."""
    page = ListPage(visit, OBSERVATIONS)

    def read() -> tuple[list[ObservationRow], dict[str, Any]]:
        query = page.query()
        part = page.slice(query)
        with visit.engine.events.observations_in_thread() as reader:
            found = reader.numbered(page.project, part.rows)
            scores = scores_of_traces(
                reader.connection, page.project, {one.trace_id for one in found}, page.horizon
            )
        rows = [_row(one, scores) for one in found]
        return rows, {} if page.is_csv else page.values(part, query)

    rows, values = await visit.read(read)
    if page.is_csv:
        return page.csv(_CSV, [_cells(one) for one in rows])
    return View("observations.html", values | {"rows": rows})


def _row(observation: StoredObservation, scores: ScoresByPlace) -> ObservationRow:
    row = observation.row
    first, end, start = row["completion_start_time"], row["end_time"], row["start_time"]
    version = row["prompt_version"]
    of_trace = scores.get((observation.trace_id, None), ()) if observation.parent_id is None else ()
    return ObservationRow(
        observation,
        None if end is None else end - start,
        None if first is None else first - start,
        row["prompt_name"] + (f" v{version}" if version is not None else ""),
        [*scores.get((observation.trace_id, observation.id), ()), *of_trace],
    )


def _cells(one: ObservationRow) -> list[Any]:
    row = one.observation.row
    scores = "; ".join(f"{score['name']}={score_text(score)}" for score in one.scores)
    return [
        one.observation.id, one.observation.trace_id, iso(row["start_time"]), row["type"], row["name"],
        row["level"], row["status_message"], row["model"], one.prompt, one.latency, one.first_token,
        row["input_tokens"], row["output_tokens"], row["total_tokens"], row["total_cost"], row["environment"],
        row["user_id"], row["session_id"], scores,
    ]  # fmt: skip


PAGES = (Page("/project/{projectId}/observations", observation_list),)
