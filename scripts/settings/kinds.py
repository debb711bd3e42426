"""Kinds of values: what a setting may hold, how a wrong value is explained, and random secrets."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

# From compose files and guides on the web, langfuse's own among them.
WELL_KNOWN = frozenset(
    {
        "mysecret", "mysalt", "myredissecret", "miniosecret", "minio", "minioadmin", "postgres", "clickhouse",
        "password", "password1", "passw0rd", "changeme", "change-me", "secret", "admin", "admin123",
        "langfuse", "letmein", "12345678", "123456789", "qwertyui", "test-password", "changemeplease",
    }
)  # fmt: skip
# A secret is random when this many different characters are in it; 24 random hex digits have 12 on average.
FEWEST_CHARACTERS = 5


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a value, and what to write instead."""

    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of value.

    Attributes:
        name: as the reference page shows it, such as `port`.
        check: returns the flaw of a non-empty value, or None.
    """

    name: str
    check: Callable[[str], Flaw | None]


def random_hex(size: int) -> Callable[[], str]:
    """Return a generator of secrets: `size` random bytes as hex.

    Hex only, because ClickHouse and PostgreSQL URLs take passwords unescaped during the migrations.
    """

    def generate() -> str:
        return secrets.token_hex(size)

    return generate


def _matching(name: str, pattern: str, reason: str, fix: str) -> Kind:
    def check(value: str) -> Flaw | None:
        return None if re.fullmatch(pattern, value) else Flaw(reason, fix)  # compiled where it is needed

    return Kind(name, check)


def text(name: str = "text", *, min_length: int = 1) -> Kind:
    """Any text of at least `min_length` characters."""

    def check(value: str) -> Flaw | None:
        if len(value) < min_length:
            return Flaw(f"has {len(value)} characters", f"use at least {min_length} characters")
        return None

    return Kind(name, check)


def integer(low: int, high: int, name: str = "integer") -> Kind:
    """A whole number from `low` to `high`."""

    def check(value: str) -> Flaw | None:
        if not re.fullmatch(r"[+-]?[0-9]+", value):
            return Flaw(f"{value!r} is not a whole number", f"use a number from {low} to {high}")
        if not low <= int(value) <= high:
            return Flaw(f"{value} is out of range", f"use a number from {low} to {high}")
        return None

    return Kind(name, check)


def choice(*options: str) -> Kind:
    """One of `options`."""

    def check(value: str) -> Flaw | None:
        if value in options:
            return None
        return Flaw(f"{value!r} is not known", f"use one of {', '.join(options)}")

    return Kind(" \\| ".join(options), check)


def choices(*options: str) -> Kind:
    """Any of `options`, separated by commas."""

    def check(value: str) -> Flaw | None:
        unknown = [word for word in value.split(",") if word.strip() not in options]
        if not unknown:
            return None
        return Flaw(f"{', '.join(map(repr, unknown))} is not known", f"use any of {', '.join(options)}")

    return Kind(f"any of {', '.join(options)}", check)


def url(*schemes: str) -> Kind:
    """An absolute URL with one of `schemes` and a host. What is wrong is said without the value: it may hold
    a password."""
    example = f"{schemes[0]}://host:port"

    def check(value: str) -> Flaw | None:
        if any(character.isspace() for character in value):
            return Flaw("contains white space", f"write a URL such as {example}")
        if _has_raw_password(value, web={"http", "https"}.issuperset(schemes)):
            reason = "its user or password has characters that end or split a URL (@ : / ? # [ ] %)"
            return Flaw(reason, "percent-encode them: %40 is @, %3A :, %2F /, %3F ?, %23 #, %25 %")
        try:
            parts = urlsplit(value)
            port = parts.port
        except ValueError:
            return Flaw("is not a URL", f"write a URL such as {example}")
        if parts.scheme not in schemes:
            shown = f"begins with {parts.scheme}:" if parts.scheme else "has no scheme"
            return Flaw(shown, f"begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        if not parts.hostname or port == 0:
            return Flaw("names no host or port 0", f"write a URL such as {example}")
        return None

    return Kind("URL", check)


_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")


def _has_raw_password(value: str, *, web: bool) -> bool:
    """Return whether the credentials of a URL hold characters that programs take for its other parts.

    Programs disagree about which @ ends the credentials; a / ? or # ends them for all.
    """
    rest = value.partition("://")[2]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" not in authority:
        # Then the @ of the credentials stands behind what ended them; a web page may have one in its path.
        return "@" in rest and not (web and re.fullmatch(r"[^:]*(:[0-9]*)?", authority))
    user, _, password = authority.rpartition("@")[0].partition(":")
    return any(re.search(r"[@:/?#\[\]%]", _ENCODED.sub("", part)) for part in (user, password))


def hex_secret(size: int, *, exact: bool = False) -> Kind:
    """A secret of `size` bytes (at least, or exactly) as hexadecimal digits."""
    digits = 2 * size
    amount = f"exactly {digits}" if exact else f"at least {digits}"

    def check(value: str) -> Flaw | None:
        fix = f"use {amount} hexadecimal digits: openssl rand -hex {size}"
        if not re.fullmatch(r"[0-9a-fA-F]+", value):
            return Flaw("contains characters other than 0-9 and a-f", fix)
        if len(value) < digits or (exact and len(value) > digits):
            return Flaw(f"has {len(value)} characters", fix)
        return None

    return Kind(f"hex, {'' if exact else '>= '}{digits} digits", check)


def _own_secret(value: str) -> Flaw | None:
    if any(not character.isprintable() for character in value):
        return Flaw("contains a character that cannot be printed", "write one line of text")
    return None


def is_weak(value: str) -> bool:
    """Return whether a secret is a well-known one, or made of very few different characters."""
    plain = value.lower()
    return plain in WELL_KNOWN or len(set(plain)) < FEWEST_CHARACTERS or plain == "0123456789abcdef" * 4


def _ip_address(value: str) -> Flaw | None:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return Flaw(f"{value!r} is not an IP address", "use 127.0.0.1, or 0.0.0.0 for every interface")
    return None


TEXT = text()
# The server takes any text for SALT and NEXTAUTH_SECRET (web/src/env.mjs:49-52, :99-104 at v4.16.0).
OWN_SECRET = Kind("text, best 32 random bytes", _own_secret)
PASSWORD = text("password, >= 8 characters", min_length=8)
SECRET = text("secret, >= 8 characters", min_length=8)
PORT = integer(1, 65535, "port")
BOOLEAN = choice("true", "false")
IP_ADDRESS = Kind("IP address", _ip_address)
EMAIL = _matching(
    "e-mail", r"[^@\s]+@[^@\s]+\.[^@\s]+", "is not an e-mail address", "write it as name@example.com"
)
VERSION = _matching(
    "version",
    r"v?[0-9]+\.[0-9]+\.[0-9]+([-.][0-9A-Za-z.-]+)?",
    "is not an exact version",
    "write all three numbers, such as 4.59.0 (a floating tag changes under a running stack)",
)
MEMORY = _matching(
    "memory", r"[1-9][0-9]*([kmg]b?|[KMG]B)", "is not an amount of memory", "write it as 512m or 2g"
)
CPUS = _matching(
    "CPUs", r"[0-9]*[1-9](\.[0-9]+)?|0\.[0-9]+", "is not a number of CPUs", "write it as 2 or 0.5"
)
AMOUNT = _matching("amount", r"[0-9]{1,9}(\.[0-9]{1,9})?", "is not an amount", "write it as 2.50")
DURATION = _matching("duration", r"[1-9][0-9]*[smhd]", "is not a duration", "write it as 90s, 15m or 30d")
DOMAIN = _matching(
    "host name",
    r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+",
    "is not a full host name",
    "write it as langfuse.acme.example, in lower case, without scheme and port",
)
HOST_AND_PORT = _matching(
    "host or host:port",
    r"[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?",
    "is not a host name with an optional port",
    "write it as time.acme.example or 192.0.2.1:123",
)
BUCKET = _matching(
    "bucket",
    r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    "is not a name that S3 takes",
    "use 3 to 63 lower-case letters, digits, - and .",
)
# Of an external store; the ones that we make are hex. The migrations put it into a URL as it is.
URL_SAFE_SECRET = _matching(
    "letters and digits, >= 8",
    r"[A-Za-z0-9._~-]{8,}",
    "is shorter than 8 characters or contains some not allowed in a URL",
    "use letters, digits, - . _ and ~ only: openssl rand -hex 24",
)
ACCESS_KEY = _matching(
    "key, >= 16 characters",
    r"[A-Za-z0-9/+=._~-]{16,}",
    "is shorter than 16 characters or contains some that no access key has",
    "copy it once more, or: openssl rand -hex 20",
)
USER_AND_GROUP = _matching(
    "uid:gid", r"[1-9][0-9]*:[1-9][0-9]*", "is not a user and group, or is root", "write it as 1000:1000"
)
PROJECT_NAME = _matching(
    "name",
    r"[a-z0-9][a-z0-9_-]{0,62}",
    "is not a name that Docker Compose takes",
    "use lower-case letters, digits, - and _, beginning with a letter or digit",
)
IDENTIFIER = _matching(
    "identifier",
    r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}",
    "contains characters not allowed in an id",
    "use letters, digits, -, _ and .",
)


def of(given: str | dict[str, Any]) -> Kind:
    """Return the kind that `settings.toml` names: `"port"`, or with arguments `{ integer = [1, 32] }`.

    Raises ValueError where there is no such kind.
    """
    if isinstance(given, str):
        kind = globals().get(given.upper()) if given.islower() else None
        if not isinstance(kind, Kind):
            raise ValueError(f"{given!r} is not a kind")
        return kind
    match given:
        case {"integer": [int(low), int(high)], **further} if not further:
            return integer(low, high)
        case {"choice": [str(), *_] as options, **further} if not further:
            return choice(*options)
        case {"choices": [str(), *_] as options, **further} if not further:
            return choices(*options)
        case {"url": [str(), *_] as schemes, **further} if not further:
            return url(*schemes)
        case {"text": int(least), **further} if not further:
            return text(min_length=least)
        case {"hex": int(size), **further} if further in ({}, {"exact": True}):
            return hex_secret(size, exact=bool(further))
    raise ValueError(f"{given!r} is not a kind")
