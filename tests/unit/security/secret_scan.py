"""What a secret looks like, and which of them are made up for tests and examples."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

# One group each: the secret part.
PATTERNS = {
    "private key": r"(-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----)",
    "age key": r"(AGE-SECRET-KEY-1[A-Z0-9]{58})",
    "AWS key": r"\b((?:AKIA|ASIA)[A-Z0-9]{16})\b",
    "GitHub token": r"\b(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})",
    "Slack token": r"\b(xox[abeprs]-[A-Za-z0-9-]{10,})",
    "Slack webhook": r"hooks\.slack\.com/services/(T[A-Z0-9]{8,}/B[A-Z0-9]{8,}/[A-Za-z0-9]{20,})",
    "model provider key": r"\b(sk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{24,})",
    "Google key": r"\b(AIza[A-Za-z0-9_-]{35})",
    "Langfuse key": r"\b([ps]k-lf-[A-Za-z0-9][A-Za-z0-9_-]{7,})",
    "JSON web token": r"\b(eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})",
    "password in a URL": r"://[A-Za-z0-9._-]+:([A-Za-z0-9+/_~-]{12,})@",
    "secret in an assignment": (
        r"(?i)[a-z0-9_]*(?:password|secret|token(?!s|iz)|salt|encryption_key|internal_key|api_key|redis_auth|access_key"
        r"|key_id)[a-z_]*"
        r"[\"']?\s*[:=]\s*[\"']?([A-Za-z0-9+/_=-]{16,})"
    ),
}
_COMPILED = {kind: re.compile(pattern) for kind, pattern in PATTERNS.items()}

# How a made-up value shows that it is: it says so, or it counts.
_MADE_UP = re.compile(
    r"(?i)test|example|fake|dummy|placeholder|0123456|1234567|not-in-a-file|reference"
    # In words, in tests of what hides passwords; they stay in the history.
    r"|secret-value|secret-of-|mail-secret|unknown-word|0d1c2b3a"
    # The whole key: zeros after the mark of its kind are nobody's key, zeros within one are chance.
    r"|^[sp]k-lf-of-nobody$|^AKIA0{16}$"
    # Base64 of words, for tests of values that are not hex.
    r"|^Zm9v\+/b4ckZ2FyeQ==$|^T2JzZXJ2ZSBtZSwgYnV0IG5ldmVyIGd1ZXNzIG1lIQ==$"
)
# Random letters and digits have about 4 bits a character; names in words repeat themselves.
_BITS_PER_CHARACTER = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that looks like a real secret. The secret itself is not repeated."""

    kind: str
    place: str

    def __str__(self) -> str:
        return f"{self.place}: {self.kind}"


def scan(text: str, name: str) -> Iterator[Finding]:
    """Yield what looks like a real secret in a text."""
    for number, line in enumerate(text.splitlines(), start=1):
        for kind, pattern in _COMPILED.items():
            for match in pattern.finditer(line):
                if _is_real(kind, match[1]):
                    yield Finding(kind, f"{name}:{number}")


def _is_real(kind: str, value: str) -> bool:
    if kind == "private key":
        return True
    if _MADE_UP.search(value):
        return False
    return kind != "secret in an assignment" or _is_random(value)


def _is_random(value: str) -> bool:
    """Whether a value is hex, or mixes digits and letters as chance does it; a `VARIABLE_NAME` does not."""
    if re.fullmatch(r"[0-9a-f]+", value):
        return len(set(value)) > 4
    if re.fullmatch(r"[A-Z0-9]+(_[A-Z0-9]+)+", value):
        return False
    counts = Counter(value)
    bits = -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values())
    return bits >= _BITS_PER_CHARACTER and sum(character.isdigit() for character in value) >= 3
