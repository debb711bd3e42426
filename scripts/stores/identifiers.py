"""Ids in the stores: which of them chance has made, and how a text is found wherever it is written."""

from __future__ import annotations

import hashlib
import hmac
import json
import mmap
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Trace and span ids, UUIDs, and the cuid that Prisma makes: they occur in no other text by chance.
_RANDOM = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|c[0-9a-z]{24}|[0-9a-f]{32}|[0-9a-f]{16}"
_MACHINE = re.compile(_RANDOM)
_TOKEN = re.compile(_RANDOM.encode())
WHOLE_BELOW = 6
"""A shorter text counts as a whole word only: as a part of other words it is everywhere."""


def made_by_machine(identifier: str) -> bool:
    """Return whether an id is random. One that a person chose may also be the name of something else."""
    return _MACHINE.fullmatch(identifier) is not None


def keyed_hash(salt: str, *parts: str) -> str:
    """Return what is written in the place of a text: it can be compared, and does not say what it was."""
    return hmac.new(salt.encode(), "\0".join(parts).encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Needles:
    """What is searched for.

    Attributes:
        random: ids that chance has made.
        chosen: all other texts.
    """

    random: Sequence[str]
    chosen: Sequence[str]

    @staticmethod
    def of(texts: Iterable[str]) -> Needles:
        """Return the needles for these texts."""
        distinct = sorted(set(texts) - {""})
        return Needles(
            [text for text in distinct if made_by_machine(text)],
            [text for text in distinct if not made_by_machine(text)],
        )

    def pattern(self) -> str:
        """Return a regular expression for the chosen texts: for PostgreSQL, ClickHouse and Python alike."""
        whole: set[str] = set()
        within: set[str] = set()
        for text in self.chosen:
            (whole if len(text) < WHOLE_BELOW else within).update(map(_escaped, spellings(text)))
        parts = sorted(within)
        if whole:
            parts.append(f"(^|[^0-9A-Za-z_-])({'|'.join(sorted(whole))})([^0-9A-Za-z_-]|$)")
        return "|".join(parts)

    def occur_in(self, body: bytes | mmap.mmap) -> bool:
        """Return whether any of them is in the bytes of a file or object."""
        wanted = {text.encode() for text in self.random}
        if wanted and not wanted.isdisjoint(_TOKEN.findall(body)):
            return True
        return bool(self.chosen) and re.search(self.pattern().encode(), body) is not None


def spellings(text: str) -> list[str]:
    """Return how a store may hold a text: as it is, and within one or two levels of JSON."""
    found = [text]
    for _ in range(2):
        found += [json.dumps(one, ensure_ascii=plain)[1:-1] for one in found for plain in (True, False)]
    return list(dict.fromkeys(found))


def _escaped(text: str) -> str:
    """Return a text with a backslash before each character that means something in one of the dialects."""
    return re.sub(r"([\\^$.|?*+()\[\]{}])", r"\\\1", text)
