"""What is in the way of taking a stack over. Pure: facts in, refusals and notes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from scripts.core.compatibility import MINIMUM_SERVER, clickhouse_refusal, numbers_of, version_of
from scripts.data.backup.sets import size_text
from scripts.settings.kinds import is_weak

from .proposal import Organization
from .source import SECRETS, Refusal, Source

POSTGRES_MAJORS = (15, 17)
"""From, to: a dump of a newer one is not loaded by the bundled PostgreSQL."""
BUNDLED_CLICKHOUSE = (26, 4)
SPACE_FACTOR = 3
"""The set on the way, its copy in the repository, and the new stores, in sizes of the old ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the running stack says.

    Attributes:
        version: of Langfuse; empty where web does not answer.
        postgres: major version.
        clickhouse: version.
        unfinished: migrations of PostgreSQL that were begun only.
        dirty: whether that of ClickHouse was.
        background: migrations of the worker that are not finished, or have failed.
        waiting: jobs by queue that no worker has done yet.
        failed: jobs by queue that were given up.
        rows: how much there is, in words that people use.
        organizations: each with its projects.
        sizes: of the stores, in bytes.
        free_bytes: of the disk of this stack.
        has_data: whether this stack has data already.
    """

    version: str = ""
    postgres: int = 0
    clickhouse: str = ""
    unfinished: tuple[str, ...] = ()
    dirty: bool = False
    background: tuple[str, ...] = ()
    waiting: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    organizations: tuple[Organization, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    free_bytes: int = 0
    has_data: bool = False


def refusals(facts: Facts, newest: str) -> Iterator[Refusal]:
    """Yield what must be put right first; `newest` is the version of Langfuse that this repository knows."""
    yield from _version(facts, newest)
    low, high = POSTGRES_MAJORS
    if not low <= facts.postgres <= high:
        yield Refusal(
            f"PostgreSQL is {facts.postgres}; {low} to {high} are taken over.",
            "export what you need: make import FROM_URL= (docs/how-to/move-in.md)."
            if facts.postgres > high
            else "upgrade it there first: https://langfuse.com/self-hosting/upgrade.",
        )
    if reason := clickhouse_refusal(facts.clickhouse, facts.version):
        yield Refusal(reason, "change the image of clickhouse in its compose file, start it, then repeat.")
    if facts.unfinished:
        yield Refusal(
            f"Migrations of PostgreSQL are unfinished: {', '.join(facts.unfinished)}.",
            "finish them there: https://langfuse.com/self-hosting/upgrade.",
        )
    if facts.dirty:
        yield Refusal(
            "The last migration of ClickHouse is unfinished (dirty).",
            "finish it there: https://langfuse.com/self-hosting/upgrade.",
        )
    if facts.background:
        yield Refusal(
            f"Background migrations are not finished: {', '.join(facts.background)}.",
            "let the old worker finish them; its user interface shows them at /background-migrations.",
        )
    needed = SPACE_FACTOR * sum(facts.sizes.values())
    if facts.free_bytes < needed:
        yield Refusal(
            f"{size_text(needed)} of disk are needed and {size_text(facts.free_bytes)} are free.",
            "free some, or move STACK_DIR and BACKUP_REPOSITORY to a larger disk.",
        )
    if facts.has_data:
        yield Refusal(
            "This stack has data already.",
            "use another checkout, or delete what is here: make destroy.",
        )


def _version(facts: Facts, newest: str) -> Iterator[Refusal]:
    version = version_of(facts.version)
    if not version:
        yield Refusal(
            "Its web does not say which version it is.", "start it: docker compose up -d, then repeat."
        )
    elif version[0] < 4:
        yield Refusal(
            f"It is version {facts.version}: its data has another form.",
            "upgrade it to version 4 where it is, and let the backfill finish "
            "(https://langfuse.com/self-hosting/upgrade), then repeat.",
        )
    elif version < MINIMUM_SERVER["python-4"]:
        least = ".".join(map(str, MINIMUM_SERVER["python-4"]))
        yield Refusal(
            f"It is version {facts.version}; {least} or newer is taken over.",
            "docker compose pull && docker compose up -d there, then repeat.",
        )
    elif version > version_of(newest):
        yield Refusal(
            f"It is version {facts.version}, newer than {newest}, which this repository knows.",
            "update this repository, then repeat.",
        )


def notes(source: Source, facts: Facts) -> Iterator[str]:
    """Yield what is to be known, and does not stand in the way."""
    weak = [name for name in SECRETS if is_weak(source.secrets[name])]
    if weak:
        yield (
            f"Well known, and taken over as the data needs them: {', '.join(weak)}. Afterwards: "
            "make rotate SECRET=NEXTAUTH_SECRET."
        )
    if source.changed:
        yield (
            "The containers were started with other values than the file has now, and theirs count: "
            f"{', '.join(source.changed)}."
        )
    if facts.failed:
        yield f"Jobs that were given up do not come along: {_listed(facts.failed)}."
    if facts.waiting:
        yield f"Jobs that wait are let finish first: {_listed(facts.waiting)}."
    if len(facts.organizations) > 1:
        yield (
            f"It has {len(facts.organizations)} organizations: all come along, with their projects, people "
            "and keys."
        )
    if numbers_of(facts.clickhouse)[:2] > BUNDLED_CLICKHOUSE:
        yield f"ClickHouse is {facts.clickhouse}, newer than the bundled one, which may not read its copy."


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{queue} {count}" for queue, count in sorted(counts.items()))
