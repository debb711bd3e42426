"""Authenticate requests: Basic and Bearer keys as the server reads them, with its error messages."""

from __future__ import annotations

import base64
import hmac
import re
import time
from typing import TYPE_CHECKING

from langfuse_embedded.store.tenancy import NOBODY, Principal

from .access import Access, ErrorStyle
from .errors import ApiError, Forbidden, InvalidRequest, NotFound, Unauthorized

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from langfuse_embedded.config import EngineConfig
    from langfuse_embedded.store.state import StateStore

_BASE64 = re.compile(r"[A-Za-z0-9+/]*")
_WHITESPACE = dict.fromkeys(map(ord, "\t\n\f\r "))
_HINT = "Confirm that you've configured the correct host."
_WRONG_KEY = f"Invalid credentials. {_HINT}"
_NO_PUBLIC_KEY = f"Invalid public key. {_HINT}"
_SCORES_ONLY = "Access denied - insufficient permissions for this endpoint"
_ORGANIZATION_NEEDED = "Organization-scoped API key required for this operation."
_NOT_ORGANIZATION = f"Invalid API key. {_ORGANIZATION_NEEDED}"
_MAX_REMEMBERED = 10_000
# How long what another process changes may go unnoticed: less than that process needs to end. To ask for each
# request took a fifth of one.
_FRESH_SECONDS = 0.005


class Authenticator:
    """Turns an `Authorization` header into a principal, and remembers the answer.

    A key is hashed once; afterwards it is looked up. What is remembered is the key, not the header: one
    secret fits any number of headers, because the public key beside it does not count. Everything is
    forgotten when another process (provisioning) changes the database.
    """

    def __init__(self, state: StateStore, config: EngineConfig) -> None:
        self._state = state
        self._config = config
        self._known: dict[tuple[str, str], Principal] = {}
        self._version = state.version()
        self._asked = 0.0

    def forget(self) -> int:
        """Drop remembered keys, after keys were changed in this process; return how many there were."""
        count = len(self._known)
        self._known.clear()
        return count

    def principal(self, access: Access, errors: ErrorStyle, headers: Headers) -> Principal:
        """Return who may call an operation of that access with these headers.

        Raises:
            Unauthorized, Forbidden: with the text and status that the server uses for this case.
        """
        if access is Access.PUBLIC:
            return NOBODY
        header = headers.get("authorization")
        if access is Access.ADMIN:
            self._require_admin(header)
            return NOBODY
        named = errors in (ErrorStyle.NAMED, ErrorStyle.CLASS_FIRST)
        if not header:
            raise Unauthorized("No authorization header", named=named)
        attempted = header.startswith("Bearer ") and headers.get("x-langfuse-admin-api-key")
        if access is Access.PROJECT_OR_ADMIN and attempted:
            return self._admin_for_project(header, headers)
        principal = self._resolve(header, named=named)
        if access is Access.ORGANIZATION:
            raise Forbidden(_ORGANIZATION_NEEDED if named else _NOT_ORGANIZATION, named=named)
        if principal.scores_only and access not in (Access.SCORES, Access.OWN_PROJECT):
            raise Forbidden(_SCORES_ONLY, named=named)
        return principal

    def _resolve(self, header: str, *, named: bool) -> Principal:
        now = time.monotonic()
        if now - self._asked > _FRESH_SECONDS:
            self._asked = now
            version = self._state.version()
            if version != self._version:
                self._known.clear()
                self._version = version
        scheme, space, value = header.partition(" ")
        if scheme not in ("Basic", "Bearer") or not space:
            raise Unauthorized("Invalid authorization header", named=named)
        public_key, secret = _pair(value, named=named) if scheme == "Basic" else ("", value)
        key = scheme, secret
        known = self._known.get(key)
        if known is not None and not known.has_expired:
            return known
        principal = self._look_up(scheme, secret, public_key, named=named)
        if len(self._known) >= _MAX_REMEMBERED:
            self._known.clear()
        self._known[key] = principal
        return principal

    def _look_up(self, scheme: str, key: str, public_key: str, *, named: bool) -> Principal:
        tenancy = self._state.tenancy
        basic = scheme == "Basic"
        principal = tenancy.key_by_secret(key, public_key) if basic else tenancy.key_by_public(key)
        if principal is None:
            raise Unauthorized(_WRONG_KEY if scheme == "Basic" else _NO_PUBLIC_KEY, named=named)
        return principal

    def _require_admin(self, header: str | None) -> None:
        expected = self._config.admin_api_key
        if not expected:
            raise Unauthorized("Admin API key is not configured on this instance", named=False)
        if header is None:
            raise Unauthorized("Unauthorized: No authorization header", named=False)
        given = header.removeprefix("Bearer ").encode()
        if not header.startswith("Bearer ") or not hmac.compare_digest(given, expected.encode()):
            raise Unauthorized("Unauthorized: Invalid token", named=False)

    def _admin_for_project(self, header: str, headers: Headers) -> Principal:
        expected = self._config.admin_api_key
        if not expected:
            raise ApiError("Admin API key is not configured on this instance", named=False)
        for given in (header.removeprefix("Bearer "), headers["x-langfuse-admin-api-key"]):
            if not hmac.compare_digest(given.encode(), expected.encode()):
                raise Unauthorized("Invalid admin API key", named=False)
        project_id = headers.get("x-langfuse-project-id")
        if not project_id:
            raise InvalidRequest(
                "x-langfuse-project-id header is required for admin API key authentication", named=False
            )
        if self._state.tenancy.project(project_id) is None:
            raise NotFound("Project not found", named=False)
        return Principal(project_id)


def _pair(value: str, *, named: bool) -> tuple[str, str]:
    """Return public and secret key as the server splits them: up to a further space, and a further colon."""
    encoded = value.partition(" ")[0]
    try:
        decoded = _atob(encoded)
    except ValueError as error:
        raise Unauthorized(f"{error}. {_HINT}", named=named) from None
    public_key, _, rest = decoded.partition(":")
    secret = rest.partition(":")[0]
    if not public_key or not secret:
        raise Unauthorized(f"Invalid authorization header. {_HINT}", named=named)
    return public_key, secret


def _atob(encoded: str) -> str:
    """Return what JavaScript's `atob` does, which needs no padding.

    Raises:
        ValueError: with the text of Node.js.
    """
    text = encoded.translate(_WHITESPACE)
    if len(text) % 4 == 0:
        text = text.removesuffix("=").removesuffix("=")
    if not _BASE64.fullmatch(text):
        raise ValueError("Invalid character")
    if len(text) % 4 == 1:
        raise ValueError("The string to be decoded is not correctly encoded.")
    return base64.b64decode(text + "=" * (-len(text) % 4)).decode("latin-1")
