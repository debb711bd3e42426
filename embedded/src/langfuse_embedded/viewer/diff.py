"""Two texts as one: what was taken out and what was put in, word by word."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from markupsafe import Markup, escape

_WORD = re.compile(r"\s+|\w+|[^\w\s]")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_MOST_WORDS = 2_000
_MOST_LINES = 3_000


def difference(before: str, after: str) -> Markup | None:
    """Return `after` as HTML with `<ins>` around what is new and `<del>` around what is gone.

    Longer texts are compared line by line; ``None`` is for those that are too long for that, too.
    """
    for pattern, most in ((_WORD, _MOST_WORDS), (_LINE, _MOST_LINES)):
        old, new = pattern.findall(before), pattern.findall(after)
        if max(len(old), len(new)) <= most:
            return _marked(old, new)
    return None


def _marked(old: list[str], new: list[str]) -> Markup:
    parts: list[str] = []
    for kind, old_from, old_to, new_from, new_to in SequenceMatcher(
        None, old, new, autojunk=False
    ).get_opcodes():
        if kind == "equal":
            parts.append(str(escape("".join(new[new_from:new_to]))))
            continue
        for tag, words in (("del", old[old_from:old_to]), ("ins", new[new_from:new_to])):
            if words:
                parts.append(f"<{tag}>{escape(''.join(words))}</{tag}>")
    return Markup("".join(parts))  # noqa: S704  each text was escaped above
