"""Which addresses a client may name for the server to call: none inside the network, as on the server.

The engine itself calls nobody. It refuses what a server would refuse, short of names that only DNS knows,
so that a connection that is accepted here is not a surprise there.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

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
    """Return why a URL is refused, in the server's words, or ``None``."""
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname or ""
    except ValueError:
        return "Invalid URL syntax"
    if not host:
        return "Invalid URL syntax"
    if parts.username or parts.password:
        return "URL credentials are not allowed. Use authentication headers instead."
    if parts.scheme not in ("http", "https"):
        return "Only HTTP and HTTPS protocols are allowed"
    if host in allowed.names:
        return None
    if any(host == name or host.endswith(f".{name}") for name in _BLOCKED_NAMES):
        return "Blocked hostname detected"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if host in allowed.addresses or _inside(
        address, [ipaddress.ip_network(network, strict=False) for network in allowed.networks]
    ):
        return None
    return "Blocked IP address detected" if _inside(address, _BLOCKED_NETWORKS) else None


def _inside(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network],
) -> bool:
    return any(address.version == network.version and address in network for network in networks)
