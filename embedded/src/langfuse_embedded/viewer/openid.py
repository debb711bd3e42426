"""The relying party of OpenID Connect: authorization code flow with PKCE, state and nonce.

OpenID Connect Core 1.0 section 3.1, Discovery 1.0, RFC 7636. Tokens are checked by joserfc.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from langfuse_embedded.login_settings import LoginProvider

_TIMEOUT_S = 10.0
_LEEWAY_S = 60
# What the server takes, too, unless AUTH_CUSTOM_ID_TOKEN_SIGNED_RESPONSE_ALG tells it otherwise.
_ALGORITHMS = ["RS256"]
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class ProviderFailed(Exception):
    """The provider does not answer as it should. The text is for the log: people cannot fix it."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to sign in: three secrets that bind browser, code and token to each other."""

    state: str = field(default_factory=secrets.token_urlsafe)
    nonce: str = field(default_factory=secrets.token_urlsafe)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def challenge(self) -> str:
        """What the provider is told of the verifier."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the provider has seen."""

    subject: str
    email: str
    name: str


@dataclass(frozen=True, slots=True)
class OpenIdClient:
    """Talks to one provider, and takes its word for nothing that is not signed.

    Attributes:
        transport: stands in for the network in tests.
    """

    provider: LoginProvider
    clock: Callable[[], float] = time.time
    transport: httpx.AsyncBaseTransport | None = None

    async def authorization_url(self, attempt: Attempt, redirect_uri: str) -> str:
        """Return where the browser has to go. Raises ProviderFailed."""
        async with self._http() as http:
            endpoint = (await self._discover(http))["authorization_endpoint"]
        query = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": redirect_uri,
            "scope": self.provider.scope,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    async def identity(self, code: str, attempt: Attempt, redirect_uri: str) -> Identity:
        """Exchange a code for whom the provider has seen.

        Raises:
            ProviderFailed: it refuses the code or our secret, or its token is not right: signature, issuer,
                audience, nonce, time, or no e-mail address in it.
        """
        async with self._http() as http:
            document = await self._discover(http)
            token = await self._exchange(http, document["token_endpoint"], code, attempt, redirect_uri)
            keys = await _json(http.get(document["jwks_uri"]), "its keys")
        claims = self._claims(token, keys, document["issuer"], attempt.nonce)
        email = claims.get("email")
        if not isinstance(email, str) or "@" not in email:
            raise ProviderFailed("the token names no e-mail address: ask for the scope email")
        # Some providers write the word. Nothing else than true counts, where anything is said.
        verified = claims.get("email_verified", True)
        if verified is not True and verified != "true":
            raise ProviderFailed("the provider has not verified the e-mail address")
        name = claims.get("name")
        return Identity(claims["sub"], email.strip().lower(), name if isinstance(name, str) else email)

    def _http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(timeout=_TIMEOUT_S, transport=self.transport)

    async def _discover(self, http: httpx.AsyncClient) -> dict[str, str]:
        url = f"{self.provider.issuer}/.well-known/openid-configuration"
        document = await _json(http.get(url), url)
        issuer = document.get("issuer")
        # Some write a slash at the end; the server reads the issuer from here as well.
        if not isinstance(issuer, str) or issuer.rstrip("/") != self.provider.issuer.rstrip("/"):
            raise ProviderFailed(f"it calls itself {issuer!r}, not {self.provider.issuer!r}")
        if missing := [name for name in _ENDPOINTS if not isinstance(document.get(name), str)]:
            raise ProviderFailed(f"{url} has no {', '.join(missing)}")
        return document

    async def _exchange(
        self, http: httpx.AsyncClient, endpoint: str, code: str, attempt: Attempt, redirect_uri: str
    ) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": attempt.verifier,
        }
        # RFC 6749, 2.3.1: both parts are encoded as in a form first.
        auth = (quote(self.provider.client_id, safe=""), quote(self.provider.client_secret, safe=""))
        answer = await _json(http.post(endpoint, data=form, auth=auth), "the exchange of the code")
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise ProviderFailed("it sent no id_token: ask for the scope openid")
        return token

    def _claims(self, token: str, keys: Any, issuer: str, nonce: str) -> dict[str, Any]:
        registry = jwt.JWTClaimsRegistry(
            now=lambda: int(self.clock()),
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": self.provider.client_id},
            nonce={"essential": True, "value": nonce},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            claims = jwt.decode(token, KeySet.import_key_set(keys), algorithms=_ALGORITHMS).claims
            registry.validate(claims)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise ProviderFailed(f"its token is not right: {error}") from error
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1:
            self._require_authorized_party(claims)
        return claims

    def _require_authorized_party(self, claims: Mapping[str, Any]) -> None:
        if claims.get("azp") != self.provider.client_id:
            raise ProviderFailed("its token is for several clients, and was not issued to this one")


async def _json(request: Any, what: str) -> dict[str, Any]:
    try:
        answer = (await request).raise_for_status().json()
    except httpx.HTTPStatusError as error:
        raise ProviderFailed(f"{what}: it answers {error.response.status_code}: {_reason(error)}") from error
    except httpx.HTTPError as error:
        raise ProviderFailed(f"{what}: it does not answer ({type(error).__name__})") from error
    except ValueError as error:
        raise ProviderFailed(f"{what}: no JSON") from error
    if not isinstance(answer, dict):
        raise ProviderFailed(f"{what}: no JSON object")
    return answer


def _reason(error: httpx.HTTPStatusError) -> str:
    """Return the error code of RFC 6749, 5.2; of anything else the beginning."""
    try:
        return str(error.response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return error.response.text[:100]
