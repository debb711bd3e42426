"""Which prompts a prompt includes: `@@@langfusePrompt:name=<name>|label=<label>@@@` or `|version=<n>@@@`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .content import PromptVersion

MAX_DEPTH = 5
_TAG = re.compile(r"@@@langfusePrompt:name=([^|@]+)\|(version|label)=([^|@]+)@@@")


@dataclass(frozen=True, slots=True)
class Tag:
    """An inclusion: by label, or else by version."""

    name: str
    label: str | None


def tags_of(version: PromptVersion) -> Iterator[Tag]:
    """Yield what a version includes, in the order of its text."""
    texts = [version.prompt or ""]
    texts += [message.content for message in version.messages or () if message.content]
    for text in texts:
        for name, by, value in _TAG.findall(text):
            yield Tag(name, value if by == "label" else None)
