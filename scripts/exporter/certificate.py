"""When the certificate of a host ends."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

TIMEOUT_S = 5.0
HTTPS_PORT = 443


def host_of(url: str) -> tuple[str, int] | None:
    """Return host and port of an `https` URL, else None."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        return None
    return parts.hostname, parts.port or HTTPS_PORT


def certificate_end(host: str, port: int, context: ssl.SSLContext | None = None) -> float:
    """Return when the certificate ends, in seconds since 1970; 0 when clients refuse it or nobody answers."""
    context = context or ssl.create_default_context()
    try:
        with (
            socket.create_connection((host, port), timeout=TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            certificate = secured.getpeercert() or {}
    except OSError:
        return 0.0
    return float(ssl.cert_time_to_seconds(str(certificate["notAfter"])))
