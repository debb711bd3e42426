"""Prompts: the list, and one prompt with its versions: compared, where they are used, how they scored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from langfuse_embedded.store.prompts import PromptFilter

from .content import content_of_value, plain_text_of_value
from .diff import difference
from .paging import PAGE_SIZE, NumberedPage
from .tables import Run
from .visit import Answer, Page, View, Visit, not_found

_USES = """
select prompt_version, count(*), sum(total_cost), quantile_cont(end_time - start_time, 0.5),
    count(*) filter (where level = 'ERROR'), max(start_time)
from observations
where project = $project and prompt_name = $name and prompt_version is not null
group by prompt_version
"""
_SCORES = """
select o.prompt_version, s.name, avg(s.value), count(*), bool_and(s.data_type = 'BOOLEAN')
from observations o
join scores s on s.project = o.project and s.trace_id = o.trace_id
    and (s.observation_id = o.id or s.observation_id is null)
where o.project = $project and o.prompt_name = $name and o.prompt_version is not null
    and s.data_type in ('NUMERIC', 'BOOLEAN')
group by o.prompt_version, s.name
order by s.name
"""


@dataclass(frozen=True, slots=True)
class VersionScore:
    """The average of a score over what used a version; of booleans the share that is true (`is_rate`)."""

    name: str
    average: float
    count: int
    is_rate: bool


@dataclass(slots=True)
class VersionUse:
    """What used a version: how often, cost in USD, median latency in milliseconds, errors, last time, scores.

    Scores are those of the observations themselves, and of the traces that they are in.
    """

    count: int
    cost: float
    median: float | None
    errors: int
    last: int
    scores: list[VersionScore] = field(default_factory=list)


def uses_of(run: Run, project: int, name: str) -> dict[int, VersionUse]:
    """Return how the versions of a prompt were used; without those that were not."""
    values: dict[str, Any] = {"project": project, "name": name}
    found = {row[0]: VersionUse(*row[1:]) for row in run(_USES, values)}
    for version, score, average, count, is_rate in run(_SCORES, values):
        if average is not None:
            found[version].scores.append(VersionScore(score, average, count, is_rate))
    return found


async def prompt_list(visit: Visit) -> Answer:
    """Show prompts by name."""
    page = NumberedPage.of(visit)
    filters = {name: visit.text(name) for name in ("name", "label", "tag")}
    wanted = PromptFilter(filters["name"], label=filters["label"], tag=filters["tag"])
    found, total = visit.engine.prompts.page(visit.project_id, wanted, PAGE_SIZE, page.offset)
    paging = page.values(visit, total, "prompts", **filters)
    return View(
        "prompts.html", {"section": "prompts", "prompts": found, "filters": filters, "paging": paging}
    )


async def prompt(visit: Visit) -> Answer:
    """Show one version of a prompt, by default the newest, beside the others or against one of them."""
    name = visit.params["promptName"]
    versions = visit.engine.prompts.versions(visit.project_id, name)
    if not versions:
        raise not_found("prompt")
    number = visit.number("version", versions[-1].version)
    by_number = {one.version: one for one in versions}
    shown, against = by_number.get(number), by_number.get(visit.number("against", 0))
    if shown is None:
        raise not_found("prompt version")
    project, horizon = visit.project_key, visit.engine.events.horizon()

    def read() -> tuple[dict[int, VersionUse], dict[str, Any]]:
        def run(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
            return visit.engine.metrics.rows(sql, values, horizon=horizon)

        changes = {}
        if against is not None:
            pairs = (("Prompt", against.prompt, shown.prompt), ("Config", against.config, shown.config))
            changes = {
                title: difference(*map(plain_text_of_value, (before, after)))
                for title, before, after in pairs
                if before != after
            }
        return uses_of(run, project, name), changes

    uses, changes = await visit.read(read)
    values = {
        "section": "prompts",
        "name": name,
        "versions": versions[::-1],
        "uses": uses,
        "score_names": sorted({one.name for use in uses.values() for one in use.scores}),
        "shown": shown,
        "against": against,
        "changes": changes,
        "content": content_of_value(shown.prompt),
        "config": content_of_value(shown.config or None),
    }
    return View("prompt.html", values)


PAGES = (
    Page("/project/{projectId}/prompts", prompt_list),
    Page("/project/{projectId}/prompts/{promptName}", prompt),
)
