"""Which calls go through the proxy of the environment: all but those to this machine and to other containers.

httpx then reads HTTPS_PROXY, HTTP_PROXY and NO_PROXY by itself.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def uses_proxy(url: str) -> bool:
    """Return whether a proxy of the environment counts for a URL; one must not see calls to this machine."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        # A name without a dot is that of a service of the same network.
        return "." in host and not host.endswith(".localhost")
