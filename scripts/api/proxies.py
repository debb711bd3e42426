"""Which calls go through the proxy of the environment: all but those to this machine and to other containers.

httpx then reads HTTPS_PROXY, HTTP_PROXY and NO_PROXY by itself.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any
from urllib.parse import urlsplit


def client_options(url: str, *, any_certificate: bool = False) -> dict[str, Any]:
    """Return what a client of httpx is given for a URL. SSL_CERT_FILE counts also where no proxy does."""
    import httpx

    verify = False if any_certificate else httpx.create_ssl_context()
    return {"trust_env": uses_proxy(url), "verify": verify}


def uses_proxy(url: str) -> bool:
    """Return whether a proxy of the environment counts for a URL; one must not see calls to this machine."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # A name without a dot is that of a service of the same network.
        return "." in host and not host.endswith(".localhost")
    return not address.is_loopback and not _is_of_this_machine(address)


def _is_of_this_machine(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Return whether this machine has an address: LANGFUSE_BIND_ADDRESS may be one of a network."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
