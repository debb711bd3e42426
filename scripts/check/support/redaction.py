"""Take secrets out of texts: known values in every way of writing them, and what looks like one."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

# A shorter value would be found in ordinary words. Settings of this stack have 8 characters at least.
SHORTEST = 6
# Of the middle of a base64 text: as many characters as six bytes make.
_SHORTEST_BASE64 = 8

# What looks like a secret though nobody named it: (pattern, what stays).
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(://[^/\s:@\"']*:)[^/\s@\"']+@"), r"\1<redacted>@"),
    (re.compile(r"\b(sk-lf-)[A-Za-z0-9-]{6,}"), r"\1<redacted>"),
    (re.compile(r"\b((?:Basic|Bearer)\s+)[A-Za-z0-9+/=._~-]{8,}", re.IGNORECASE), r"\1<redacted>"),
    (
        re.compile(r"\b(X-(?:Amz-)?(?:Signature|Credential|Security-Token)=)[^&\s\"']+", re.IGNORECASE),
        r"\1<redacted>",
    ),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), "<redacted token>"),
    (
        re.compile(
            r"(?i)\b([\w.-]*(?:password|passwd|secret|api[_-]?key|token|credential)[\w.-]*[\"']?\s*[=:]\s*[\"']?)"
            r"(?!<redacted)[^\s\"',;&}{]{6,}"
        ),
        r"\1<redacted>",
    ),
    (re.compile(r"[A-Za-z0-9._%+-]+@(?=[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)"), "<somebody>@"),
)


@dataclass(frozen=True, slots=True)
class Redactor:
    """Knows every way to write some secrets.

    Attributes:
        forms: what is looked for -> name of the secret, longest first.
    """

    forms: Mapping[str, str]

    @classmethod
    def of(cls, secrets: Mapping[str, str]) -> Redactor:
        """Return one that knows these secrets, name -> value."""
        known: dict[str, str] = {}
        for name, value in secrets.items():
            for form in forms_of(value):
                known.setdefault(form, name)
        return cls(dict(sorted(known.items(), key=lambda one: -len(one[0]))))

    def redact(self, text: str) -> str:
        """Return the text without secrets; a known one leaves its name."""
        for form, name in self.forms.items():
            if form in text:
                text = text.replace(form, f"<redacted {name}>")
        for pattern, kept in _PATTERNS:
            text = pattern.sub(kept, text)
        return text

    def leaks(self, text: str) -> list[str]:
        """Return the names of secrets that are in a text in any known way."""
        return sorted({name for form, name in self.forms.items() if form in text})


def forms_of(value: str) -> Iterator[str]:
    """Yield the ways in which programs write a value: as it is, in URLs, JSON, HTML, base64, hexadecimal."""
    if len(value) < SHORTEST:
        return
    plain = {value, value.replace("'", "\\'"), html.escape(value)}  # the second in single quotes of .env
    plain |= {json.dumps(value, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    plain |= {json.dumps(form)[1:-1] for form in set(plain)}  # JSON within JSON, as logs have it
    for encoded in (
        quote(value, safe=""),
        quote(value),
        quote_plus(value),
        quote(quote(value, safe=""), safe=""),
    ):
        plain |= {encoded, re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), encoded)}
    yield from plain
    content = value.encode()
    yield from (content.hex(), content.hex().upper())
    yield from base64_forms(content)


def base64_forms(content: bytes) -> Iterator[str]:
    """Yield what stays the same of a base64 text, whatever is before and behind the content in it.

    Three bytes become four characters: the content begins at one of three places within such a group.
    """
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + content + b"\0" * 3).decode()
        begin, end = -(-8 * before // 6), 8 * (before + len(content)) // 6
        middle = whole[begin:end]
        if len(middle) >= _SHORTEST_BASE64:
            yield middle
            yield middle.replace("+", "-").replace("/", "_")
