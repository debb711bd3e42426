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


def certificate_end(host: str, port: int, *, known_authority: bool = True) -> float | None:
    """Return when the certificate ends, in seconds since 1970; 0 when clients refuse it or nobody answers.

    Args:
        known_authority: whether it must be signed by an authority that this machine knows. One of a private
            authority is taken for its own: names and dates are checked all the same.

    Returns:
        None when the name means nothing here, such as a public name in a network without a way out.
    """
    try:
        socket.getaddrinfo(host, port)
    except socket.gaierror:
        return None
    try:
        context = ssl.create_default_context() if known_authority else _trusting(host, port)
        with (
            socket.create_connection((host, port), timeout=TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            certificate = secured.getpeercert() or {}
    except OSError:
        return 0.0
    return float(ssl.cert_time_to_seconds(str(certificate["notAfter"])))


def _trusting(host: str, port: int) -> ssl.SSLContext:
    """Return a context that knows no authority but the very certificate that is shown there."""
    shown = ssl.get_server_certificate((host, port), timeout=TIMEOUT_S)
    context = ssl.create_default_context(cadata=shown)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
