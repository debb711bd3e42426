"""Run the smoke tests against this stack, or against any server that the environment names."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from scripts.api.client import Api
from scripts.api.errors import NoAnswer
from scripts.core.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE

from .base import EngineName
from .context import Context

PYTEST_WRONG_USE = (2, 4)
PROBE_TIMEOUT_S = 5.0
# Whoever is given one of them is tested there, and nowhere else.
GIVEN_URLS = ("BASE_URL", "LANGFUSE_BASE_URL")
# The issuer is not known here: X509_V_ERR_* of openssl/x509_vfy.h.
UNKNOWN_ISSUER = frozenset({18, 19, 20, 21})


def smoke_command(python: str, arguments: Sequence[str]) -> list[str]:
    """Return how the suite is run; its settings are in `smoke_tests/pytest.ini`."""
    return [python, "-m", "pytest", "-p", "no:cacheprovider", "smoke_tests", *arguments]


def smoke_environment(context: Context) -> Mapping[str, str]:
    """Return the environment in which the suite finds the credentials of this stack."""
    return {**context.environment, "STACK_DIR": str(context.layout.stack_dir), **_direct_url(context)}


def run_smoke_tests(context: Context, *, arguments: Sequence[str], python: str = sys.executable) -> int:
    """Return the exit code: 0 passed, 1 failed, 2 wrong arguments."""
    code = context.runner.stream(smoke_command(python, arguments), env=smoke_environment(context))
    if code in PYTEST_WRONG_USE:
        return EXIT_USAGE
    return EXIT_OK if code == 0 else EXIT_FAILED


def _direct_url(context: Context) -> Mapping[str, str]:
    """Return the plain address of this stack where this machine cannot use that of HTTPS; else nothing."""
    settings = context.lenient_settings()
    url = settings["NEXTAUTH_URL"]
    engine = settings.get("ENGINE") or context.remembered_engine()
    over_tls = engine == EngineName.COMPOSE and "tls" in settings.get("STACK_PROFILES").split(",")
    if not over_tls or any(context.environment.get(name) for name in GIVEN_URLS):
        return {}
    reason = unusable_here(url, public_authority=settings.get("TLS_ISSUER") == "acme")
    if not reason:
        return {}
    direct = f"http://127.0.0.1:{settings['LANGFUSE_PORT']}"
    context.console.note(
        f"{url} cannot be used on this machine ({reason}): testing {direct} instead. "
        "docs/reference/tls.md says how clients trust and find it."
    )
    return {"STACK_DIRECT_URL": direct}


def unusable_here(url: str, *, public_authority: bool = False) -> str:
    """Return why this machine cannot use an address though the server may be well; empty where it can.

    That is a name below .localhost, which not every resolver knows (RFC 6761, 6.3), and a certificate of an
    authority that this machine does not trust. Whatever else fails is for the tests to find.
    """
    try:
        with Api(url, timeout_s=PROBE_TIMEOUT_S) as api:
            api.request("GET", "health")
    except NoAnswer as error:
        cause: BaseException | None = error
        while cause is not None:
            untrusted = (
                isinstance(cause, ssl.SSLCertVerificationError) and cause.verify_code in UNKNOWN_ISSUER
            )
            if untrusted and not public_authority:
                return "its certificate is not trusted here"
            if isinstance(cause, socket.gaierror) and (urlsplit(url).hostname or "").endswith(".localhost"):
                return "its name leads nowhere here"
            cause = cause.__cause__ or cause.__context__
    return ""
