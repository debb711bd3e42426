"""What a single object cannot know: names used twice, references to what is not there, circles of prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from pydantic import BaseModel

from .content import Content, DatasetItem, Prompt
from .items import item_id, schema_fault
from .prompt_tags import MAX_DEPTH, Tag, tags_of
from .stack import Member, Project, Stack
from .widget_fields import nearest


class PlaceOf(Protocol):
    """Knows where objects are in the files."""

    def of(self, thing: BaseModel, *loc: str | int) -> str:
        """Return `file:line:column` of an object, or of something inside it."""


def check(stack: Stack, places: PlaceOf) -> list[str]:
    """Return what is wrong with the desired state as a whole."""
    faults = [*_tenancy(stack, places)]
    for project in stack.projects:
        faults += _content(project, places)
    return faults


def _tenancy(stack: Stack, places: PlaceOf) -> Iterator[str]:
    every = [stack.organization, *stack.organizations]
    known = [one.id for one in every]
    for organization in stack.organizations:
        if known.count(organization.id) > 1:
            yield f"{places.of(organization, 'id')}: organization {organization.id!r} is used twice; keep one"
    owners: list[Project | Member] = [*stack.projects, *stack.members]
    for owner in owners:
        if _lost(owner, known):
            place, name = places.of(owner, "organization"), str(owner.organization)
            yield f"{place}: there is no organization {name!r}; {nearest(name, known)}"
    yield from _unique_projects(stack, places)
    yield from _unique_keys(stack, places)
    seen: set[tuple[str, str]] = set()
    for member in stack.members:
        key = (member.email.lower(), stack.organization_of(member).id) if not _lost(member, known) else None
        if key and key in seen:
            yield f"{places.of(member, 'email')}: {member.email} is given twice; keep one"
        if key:
            seen.add(key)
        if member.email.lower() == stack.admin.email.lower():
            yield f"{places.of(member, 'email')}: {member.email} is the admin already; remove it here"


def _lost(thing: Project | Member, known: Sequence[str]) -> bool:
    return thing.organization not in (None, *known)


def _unique_projects(stack: Stack, places: PlaceOf) -> Iterator[str]:
    for field in ("id", "name"):
        seen: set[str] = set()
        for number, project in enumerate(stack.projects):
            value = getattr(project, field)
            # The id is the name of a credentials file, and some file systems ignore case.
            known = value.lower() if field == "id" else value
            if known in seen:
                place = places.of(project, field)
                yield f"{place}: projects[{number}].{field} {value!r} is used twice; choose another"
            seen.add(known)


def _unique_keys(stack: Stack, places: PlaceOf) -> Iterator[str]:
    seen: set[str] = set()
    for project in stack.projects:
        for key in project.all_keys:
            if key.public and key.public in seen:
                place = places.of(project, "key", "public") if project.key else places.of(key, "public")
                yield f"{place}: the key {key.public!r} is used twice; choose another"
            if key.public:
                seen.add(key.public)


def _content(project: Project, places: PlaceOf) -> Iterator[str]:
    names: dict[str, Callable[[Any], object]] = {
        "score_configs": lambda one: one.name,
        "models": lambda one: (one.name, one.start_date),
        "prompts": lambda one: one.name,
        "datasets": lambda one: one.name,
        "llm_connections": lambda one: one.provider,
        "annotation_queues": lambda one: one.name,
        "dashboards": lambda one: one.name,
        "evaluators": lambda one: one.name,
        "evaluation_rules": lambda one: one.name,
    }
    for section, name_of in names.items():
        yield from _unique(getattr(project, section), name_of, section, places)
    yield from _items(project, places)
    yield from _queues(project, places)
    yield from _prompts(project, places)
    yield from _rules(project, places)


def _unique(
    things: Iterable[BaseModel], name_of: Callable[[Any], object], section: str, places: PlaceOf
) -> Iterator[str]:
    first: dict[object, BaseModel] = {}
    for thing in things:
        name = name_of(thing)
        if name in first:
            shown = name[0] if isinstance(name, tuple) else name
            field = "provider" if section == "llm_connections" else "name"
            other = places.of(first[name])
            yield f"{places.of(thing, field)}: {section} has {shown!r} twice (also at {other}); keep one"
        first.setdefault(name, thing)


def _items(project: Project, places: PlaceOf) -> Iterator[str]:
    # Item ids are unique in a project, across datasets.
    first: dict[str, DatasetItem] = {}
    for dataset in project.datasets:
        for item in dataset.items:
            name = item_id(dataset.name, item)
            if name in first:
                what = f"the item id {name!r} is" if item.id else "an item with this input and no id is"
                other = places.of(first[name])
                yield f"{places.of(item)}: {what} there twice (also at {other}); give another id"
            first.setdefault(name, item)
            if fault := schema_fault(dataset, item):
                yield f"{places.of(item)}: {fault}; correct the item or the schema"


def _queues(project: Project, places: PlaceOf) -> Iterator[str]:
    known = [config.name for config in project.score_configs]
    for queue in project.annotation_queues:
        for number, name in enumerate(queue.score_configs):
            if name not in known:
                place = places.of(queue, "score_configs", number)
                yield f"{place}: there is no score config {name!r} in this project; {nearest(name, known)}"


def _rules(project: Project, places: PlaceOf) -> Iterator[str]:
    known = {one.name: one for one in project.evaluators}
    for rule in project.evaluation_rules:
        for number, name in enumerate(rule.evaluators):
            place = places.of(rule, "evaluators", number)
            if name not in known:
                yield f"{place}: there is no evaluator {name!r} in this project; {nearest(name, list(known))}"
            elif rule.target == "observation" and known[name].needs_experiment:
                yield (
                    f"{place}: the evaluator {name!r} reads the item of an experiment, which other "
                    "observations lack; add target: experiment"
                )


def _prompts(project: Content, places: PlaceOf) -> Iterator[str]:
    prompts = {prompt.name: prompt for prompt in project.prompts}
    for prompt in project.prompts:
        for tag in _tags(prompt):
            if fault := _tag_fault(tag, prompts):
                yield f"{places.of(prompt)}: the prompt {prompt.name!r} includes {tag.name!r}: {fault}"
        way = _circle(prompt.name, prompts)
        if way:
            yield (
                f"{places.of(prompt)}: prompts include each other in a circle: {' > '.join(way)}; "
                "take one inclusion out"
            )
        elif _depth(prompt.name, prompts) > MAX_DEPTH:
            yield (
                f"{places.of(prompt)}: the prompt {prompt.name!r} includes others more than {MAX_DEPTH} "
                "deep; take a level out"
            )


def _tags(prompt: Prompt) -> list[Tag]:
    return [tag for version in prompt.all_versions for tag in tags_of(version)]


def _tag_fault(tag: Tag, prompts: dict[str, Prompt]) -> str:
    child = prompts.get(tag.name)
    if child is None:
        return f"there is no such prompt in this project; {nearest(tag.name, list(prompts))}"
    if child.all_versions[0].type != "text":
        return "it is a chat prompt; only text prompts can be included"
    labels = ["latest", *(label for version in child.all_versions for label in version.labels)]
    if tag.label is not None and tag.label not in labels:
        return f"it has no label {tag.label!r}; {nearest(tag.label, labels)}"
    return ""


def _circle(start: str, prompts: dict[str, Prompt]) -> list[str]:
    """Return the way from a prompt back to itself, or nothing."""
    waiting = [[start]]
    seen: set[str] = set()
    while waiting:
        way = waiting.pop()
        for tag in _tags(prompts[way[-1]]) if way[-1] in prompts else ():
            if tag.name == start:
                return [*way, start]
            if tag.name not in seen:
                seen.add(tag.name)
                waiting.append([*way, tag.name])
    return []


def _depth(name: str, prompts: dict[str, Prompt], seen: tuple[str, ...] = ()) -> int:
    if name not in prompts or name in seen or len(seen) > MAX_DEPTH:
        return 0
    below = [_depth(tag.name, prompts, (*seen, name)) for tag in _tags(prompts[name])]
    return 1 + max(below, default=0)
