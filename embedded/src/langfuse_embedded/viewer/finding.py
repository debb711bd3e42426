"""Find a text in what a page shows of an observation: mark it, and open what is folded around it."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import replace

from markupsafe import Markup, escape

from .content import Content, Part

MOST_CHARACTERS = 200
_MOST_HITS = 1000
_TAG = re.compile(r"(<[^>]*>)")
_FOLDED, _UNFOLDED = '<details class="fold"', '<details class="fold" open'


class Finder:
    """Marks a text, in any case, wherever it is given something to mark, and counts.

    Marks are numbered from 1 in the order of the calls: `id="hit-1"`. There are at most a thousand.
    """

    def __init__(self, text: str) -> None:
        self.text = text[:MOST_CHARACTERS]
        self.hits = 0
        self.is_cut = False
        """Whether something was longer than what a page shows, and was not searched to its end."""
        self._pattern = re.compile(re.escape(self.text), re.IGNORECASE) if self.text else None

    def content(self, content: Content | None) -> Content | None:
        """Return a content with its marks."""
        if content is None or self._pattern is None:
            return content
        self.is_cut = self.is_cut or content.cut
        messages = [replace(one, parts=[self._part(part) for part in one.parts]) for one in content.messages]
        return replace(content, messages=messages, part=content.part and self._part(content.part))

    def named(self, contents: Mapping[str, Content | None]) -> dict[str, Content | None]:
        """Return contents with their marks, and their names with theirs."""
        return {self._marked(escape(name)): self.content(one) for name, one in contents.items()}

    def _part(self, part: Part) -> Part:
        before = self.hits
        return replace(part, html=self._marked(part.html), hits=self.hits - before)

    def _marked(self, markup: Markup) -> Markup:
        """Return HTML with the text marked where it is text: every `<` that was sent is escaped in it."""
        if self._pattern is None:
            return markup
        found: list[str] = []
        around: list[int] = []
        in_summary = False
        for piece in _TAG.split(str(markup)):
            if not piece.startswith("<"):
                before = self.hits
                found.append(piece if in_summary else self._in_text(html.unescape(piece)))
                if self.hits > before:
                    for place in around:
                        found[place] = found[place].replace(f"{_FOLDED}>", f"{_UNFOLDED}>")
                continue
            if piece.startswith("<details"):
                around.append(len(found))
            elif piece == "</details>":
                around.pop()
            elif piece.endswith("summary>"):
                in_summary = not piece.startswith("</")
            found.append(piece)
        return Markup("".join(found))  # noqa: S704  tags are those of the page, texts are escaped again

    def _in_text(self, text: str) -> str:
        assert self._pattern is not None  # noqa: S101
        parts: list[str] = []
        after = 0
        for match in self._pattern.finditer(text):
            if self.hits >= _MOST_HITS:
                break
            self.hits += 1
            parts += (
                escape(text[after : match.start()]),
                f'<mark id="hit-{self.hits}">{escape(match[0])}</mark>',
            )
            after = match.end()
        return "".join([*parts, escape(text[after:])])
