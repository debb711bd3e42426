"""Which addresses a client may name for the server to call: none inside the network, as on the server.

The engine calls models only where a rule asks for it. It refuses what a server would refuse, so that a
connection that is accepted here is not a surprise there. A host is read as the server and browsers read it (https://url.spec.whatwg.org):
`2130706433`, `0x7f.1` and `127.1` are 127.0.0.1. Names are looked up; one that is not known here is accepted,
unlike there, because the engine also works without a network.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

_LOOK_UP_SECONDS = 1.0
_CONTROLS = "".join(map(chr, range(0x21)))
_FORBIDDEN = frozenset(map(chr, range(0x21))) | frozenset("#/:<>?@[\\]^|%\x7f")
_BLOCKED_NAMES = ("localhost", "internal", "intranet")
_BLOCKED_NETWORKS = [
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/29",
        "192.0.2.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",
        "::ffff:0:0/96",
        "fc00::/7",
        "fe80::/10",
        "ff00::/8",
        "100::/64",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/32",
        "2001:db8::/32",
        "2002::/16",
    )
]


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """What `LANGFUSE_LLM_CONNECTION_WHITELISTED_*` opens: host names, addresses, networks (CIDR)."""

    names: Sequence[str] = ()
    addresses: Sequence[str] = ()
    networks: Sequence[str] = ()


def refusal(url: str, allowed: AllowedHosts) -> str | None:
    """Return why a URL is refused as it is written, in the server's words, or ``None``."""
    try:
        parts = urlsplit(_as_browsers_read(url))
        host = host_of(url)
    except ValueError:
        return "Invalid URL syntax"
    if parts.username or parts.password:
        return "URL credentials are not allowed. Use authentication headers instead."
    if parts.scheme not in ("http", "https"):
        return "Only HTTP and HTTPS protocols are allowed"
    if host in allowed.names:
        return None
    name = host.rstrip(".")
    if any(name == blocked or name.endswith(f".{blocked}") for blocked in _BLOCKED_NAMES):
        return "Blocked hostname detected"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return refusal_of_address(address, allowed)


async def refusal_of_host(url: str, allowed: AllowedHosts) -> str | None:
    """Return why the addresses that a URL's host has now are refused, or ``None``."""
    host = host_of(url)
    if host in allowed.names:
        return None
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_LOOK_UP_SECONDS):
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return None
    addresses = {ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found}
    return next(filter(None, (refusal_of_address(one, allowed) for one in addresses)), None)


def host_of(url: str) -> str:
    """Return the host of a URL as browsers read it: an address in its usual spelling, or a name.

    Raises:
        ValueError: there is none, or it cannot be read.
    """
    host = urlsplit(_as_browsers_read(url)).hostname or ""
    if ":" in host:
        if "%" in host:
            raise ValueError(url)  # a zone: of this machine, not of the address
        return str(ipaddress.IPv6Address(host))
    host = unicodedata.normalize("NFKC", unquote(host, errors="strict")).lower().replace("\u3002", ".")
    if not host or any(character in _FORBIDDEN for character in host):
        raise ValueError(url)
    labels = host.removesuffix(".").split(".")
    if _number(labels[-1]) is None and not labels[-1].isascii():
        return host
    if not (labels[-1].isdigit() or _number(labels[-1]) is not None):
        return host
    return str(_ipv4(labels))


def _as_browsers_read(url: str) -> str:
    """Return a URL with the slashes that it should have: `http:\\host` and `http:host` are `http://host`."""
    text = "".join(character for character in url.strip(_CONTROLS) if character not in "\t\n\r")
    scheme, colon, rest = text.partition(":")
    if not colon or scheme.lower() not in ("http", "https"):
        return text
    before_query, mark, query = rest.partition("?")
    return f"{scheme}://{before_query.replace(chr(92), '/').lstrip('/')}{mark}{query}"


def _ipv4(labels: Sequence[str]) -> ipaddress.IPv4Address:
    numbers = [_number(label) for label in labels]
    *first, last = numbers
    if len(numbers) > 4 or last is None or any(one is None or one > 255 for one in first):
        raise ValueError(labels)
    if last >= 256 ** (5 - len(numbers)):
        raise ValueError(labels)
    high = sum((one or 0) << 8 * (3 - place) for place, one in enumerate(first))
    return ipaddress.IPv4Address(high + last)


def _number(label: str) -> int | None:
    """Return the number that a part of an IPv4 address is, in any of its bases; ``None`` for other texts."""
    base, digits = 10, label
    if label.startswith("0x"):
        base, digits = 16, label[2:]
    elif len(label) > 1 and label.startswith("0"):
        base, digits = 8, label[1:]
    if not digits:
        return 0 if base == 16 else None
    if len(digits) > 64 or not digits.isascii() or not digits.isalnum():
        return None
    try:
        return int(digits, base)
    except ValueError:
        return None


def refusal_of_address(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, allowed: AllowedHosts
) -> str | None:
    """Return why an address is refused, or ``None``."""
    if str(address) in allowed.addresses or _inside(
        address, [ipaddress.ip_network(network, strict=False) for network in allowed.networks]
    ):
        return None
    return "Blocked IP address detected" if _inside(address, _BLOCKED_NETWORKS) else None


def _inside(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network],
) -> bool:
    return any(address.version == network.version and address in network for network in networks)
