"""Prompts: the list, and one prompt with its versions."""

from __future__ import annotations

from langfuse_embedded.store.prompts import PromptFilter

from .content import content_of_value
from .paging import PAGE_SIZE, NumberedPage
from .visit import Answer, Page, View, Visit, not_found


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
    """Show one version of a prompt, by default the newest, beside the others."""
    name = visit.params["promptName"]
    versions = visit.engine.prompts.versions(visit.project_id, name)
    if not versions:
        raise not_found("prompt")
    number = visit.number("version", versions[-1].version)
    shown = next((one for one in versions if one.version == number), None)
    if shown is None:
        raise not_found("prompt version")
    values = {
        "section": "prompts",
        "name": name,
        "versions": versions[::-1],
        "shown": shown,
        "content": content_of_value(shown.prompt),
        "config": content_of_value(shown.config or None),
    }
    return View("prompt.html", values)


PAGES = (
    Page("/project/{projectId}/prompts", prompt_list),
    Page("/project/{projectId}/prompts/{promptName}", prompt),
)
