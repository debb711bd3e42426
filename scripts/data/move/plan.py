"""What a move does, and what stands in its way. Pure: facts in, refusals and steps out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scripts.data.backup.sets import size_text

SPACE_FACTOR = 1.2
"""The copy on its way, in sizes of the old stores: dumps are larger than what is compressed there."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a stack is not moved, and what to do about it."""

    reason: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What both sides say. Without a new stack at hand its part stays empty.

    Attributes:
        compose: whether the old stack runs on the compose engine.
        obstacles: why the old stack is not fit to be moved.
        two_users: whether its PostgreSQL is used by another user than commands log in as.
        size: of its stores, in bytes.
        free: bytes where the copy goes.
        copied: bytes of an earlier pass, which are there already.
        version, new_version: of Langfuse.
        same_stack: whether both have one directory or one name.
        places, new_places: the external stores of each.
        same_key: whether both have the same ENCRYPTION_KEY, or the new one has none yet.
        has_data: whether the new stack holds something that no earlier pass has brought.
    """

    compose: bool = True
    obstacles: Sequence[str] = ()
    two_users: bool = False
    size: int = 0
    free: int = 0
    copied: int = 0
    version: str = ""
    new_version: str = ""
    same_stack: bool = False
    places: Sequence[str] = ()
    new_places: Sequence[str] = ()
    same_key: bool = True
    has_data: bool = False

    @property
    def needed(self) -> int:
        """How many bytes the copy still needs."""
        return max(0, int(SPACE_FACTOR * self.size) - self.copied)


def refusals(facts: Facts) -> Iterator[Refusal]:
    """Yield what must be put right first."""
    if not facts.compose:
        yield Refusal(
            "This stack does not run on the compose engine.",
            "make promote first; or make backup and restore.",
        )
    for obstacle in facts.obstacles:
        yield Refusal(f"{obstacle}.", "make up, then repeat.")
    if facts.two_users:
        yield Refusal(
            "DIRECT_URL and DATABASE_URL name two users: changes of the second one could not be refused.",
            "give both the user of DATABASE_URL.",
        )
    if facts.same_stack:
        yield Refusal(
            "Both stacks are one: they have the same directory or the same name.",
            "give the new one another checkout, and COMPOSE_PROJECT_NAME in its .env.",
        )
    for place in sorted(set(facts.places) & set(facts.new_places)):
        yield Refusal(f"Both stacks use {place}.", "give the new one stores that are empty.")
    if facts.new_version and facts.new_version != facts.version:
        yield Refusal(
            f"The new stack is Langfuse {facts.new_version}, this one {facts.version}.",
            "make upgrade on the older one first, or set LANGFUSE_VERSION in the new .env.",
        )
    if not facts.same_key:
        yield Refusal(
            "ENCRYPTION_KEY of the new stack is another one: secrets in the data could not be read.",
            "remove it from the .env of the new stack: the move brings it.",
        )
    if facts.has_data:
        yield Refusal("The new stack has data already.", "REPLACE=1 replaces them; or use an empty one.")
    if facts.free < facts.needed:
        yield Refusal(
            f"The copy needs {size_text(facts.needed)}; {size_text(facts.free)} are free.",
            "free some space; or name a larger disk: STACK_DIR, or INTO= with FROM= on the other side.",
        )


def rows(facts: Facts, source: str, target: str) -> list[tuple[str, str]]:
    """Return the plan for people."""
    return [
        ("From", f"{source}: Langfuse {facts.version}, {size_text(facts.size)}"),
        ("To", target),
        *(("External", place) for place in facts.new_places),
        ("Copy", f"{size_text(facts.needed)} on disk, not encrypted, removed at the end"),
    ]
