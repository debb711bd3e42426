"""HTTPS as clients meet it: chain, names, end, protocol, headers, and the way there from plain HTTP."""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from scripts.check.doctor.facts import Facts, NotGathered, Surroundings
from scripts.engines.embedded import local_url
from scripts.settings.profiles import compose_profiles
from scripts.settings.values import Settings
from scripts.watch.exporter.certificate import host_of

from .containers import Containers, run_inside

TIMEOUT_S = 3.0
# Where Caddy keeps the root of an authority of its own.
CADDY_ROOT = "/data/caddy/pki/authorities/local/root.crt"


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate of one host name.

    Attributes:
        host: the name that clients ask for.
        problem: why there is no certificate to look at, or empty.
        refused: why clients refuse it, as OpenSSL words it, or empty.
        begins, ends: its validity; None where it could not be read.
        old_protocol: whether the server still takes TLS 1.1.
        hsts: the header Strict-Transport-Security; empty when there is none.
    """

    host: str
    problem: str = ""
    refused: str = ""
    begins: datetime | None = None
    ends: datetime | None = None
    old_protocol: bool = False
    hsts: str = ""


@dataclass(frozen=True, slots=True)
class Certificates:
    """The certificates of all host names.

    Attributes:
        redirect: HTTP status and target of plain HTTP; empty where no port for it is known.
    """

    of_hosts: tuple[Certificate, ...]
    redirect: str


def gather_certificates(surroundings: Surroundings, facts: Facts) -> Certificates:
    """Return what clients meet. Raises NotGathered for a stack without HTTPS."""
    settings = surroundings.settings
    places = https_places(settings, with_caddy=surroundings.is_compose)
    if not places:
        raise NotGathered("NEXTAUTH_URL is plain HTTP and the profile tls is off")
    trust = _trust(surroundings, facts)
    return Certificates(
        tuple(_look(host, address, trust) for host, address in places.items()),
        _redirect(surroundings, next(iter(places))) if _has_caddy(surroundings) else "",
    )


def https_places(settings: Settings, *, with_caddy: bool) -> Mapping[str, tuple[str, int]]:
    """Return the host names that answer HTTPS, each with the address to connect to."""
    if with_caddy and "tls" in compose_profiles(settings.values):
        address = "127.0.0.1" if settings["TLS_BIND_ADDRESS"] == "0.0.0.0" else settings["TLS_BIND_ADDRESS"]  # noqa: S104
        port = settings.integer("HTTPS_PORT")
        names = [
            "TLS_DOMAIN",
            "S3_DOMAIN",
            *(["STATUS_DOMAIN"] if settings.get("STATUS_PAGES") == "on" else []),
        ]
        return {settings[name]: (address, port) for name in names}
    place = host_of(settings.get("NEXTAUTH_URL"))
    return {place[0]: place} if place else {}


def _has_caddy(surroundings: Surroundings) -> bool:
    return surroundings.is_compose and "tls" in compose_profiles(surroundings.settings.values)


def _trust(surroundings: Surroundings, facts: Facts) -> ssl.SSLContext:
    """Return what this machine trusts, and what applications of this stack are told to trust."""
    context = ssl.create_default_context(cafile=surroundings.context.environment.get("SSL_CERT_FILE"))
    if _has_caddy(surroundings) and surroundings.settings["TLS_ISSUER"] == "internal":
        caddy = facts.of(Containers).running("caddy")
        context.load_verify_locations(cadata=run_inside(surroundings, caddy, ["cat", CADDY_ROOT]))
    config = surroundings.context.layout.root / "config"
    private = [config / "caddy/certificates/acme-root.crt"] if _has_caddy(surroundings) else []
    for path in (*private, config / "private-ca" / surroundings.settings["PRIVATE_CA"]):
        if path.is_file() and "BEGIN CERTIFICATE" in path.read_text(encoding="utf-8", errors="replace"):
            context.load_verify_locations(cafile=path)
    return context


def _look(host: str, address: tuple[str, int], trust: ssl.SSLContext) -> Certificate:
    try:
        with socket.create_connection(address, TIMEOUT_S) as plain:
            try:
                with trust.wrap_socket(plain, server_hostname=host) as secured:
                    found = secured.getpeercert() or {}
                    hsts = _header(secured, host, "strict-transport-security")
            except ssl.SSLCertVerificationError as error:
                return Certificate(host, refused=error.verify_message)
    except OSError as error:
        return Certificate(host, problem=f"{address[0]}:{address[1]}: {error.strerror or error}")
    return Certificate(
        host,
        begins=_moment(found["notBefore"]),
        ends=_moment(found["notAfter"]),
        old_protocol=_takes_old_protocol(host, address),
        hsts=hsts,
    )


def _header(link: ssl.SSLSocket, host: str, name: str) -> str:
    link.settimeout(TIMEOUT_S)
    link.sendall(f"HEAD /api/public/health HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
    answer = b""
    try:
        while b"\r\n\r\n" not in answer and (chunk := link.recv(65_536)):
            answer += chunk
    except OSError:
        return ""
    for line in answer.decode("latin-1").splitlines():
        key, _, value = line.partition(":")
        if key.lower() == name:
            return value.strip()
    return ""


def _takes_old_protocol(host: str, address: tuple[str, int]) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # OpenSSL refuses to speak it itself at its usual level of security.
    context.set_ciphers("ALL:@SECLEVEL=0")
    try:
        with warnings.catch_warnings():
            # Python warns of the old version; that a server refuses it is what is looked for.
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        with (
            socket.create_connection(address, TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return True
    except (OSError, ValueError):
        return False


def _redirect(surroundings: Surroundings, host: str) -> str:
    import httpx

    settings = surroundings.settings
    base = local_url(settings["TLS_BIND_ADDRESS"], settings.integer("HTTP_PORT"))
    try:
        answer = httpx.get(base, headers={"host": host}, timeout=TIMEOUT_S, trust_env=False)
    except httpx.HTTPError as error:
        return f"no answer ({type(error).__name__})"
    return f"{answer.status_code} {answer.headers.get('location', '')}".strip()


def _moment(text: object) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(text)), UTC)
