"""Sign in through a provider of OpenID Connect, at the addresses that the server has for it."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, RedirectResponse

from langfuse_embedded.login_settings import LoginProvider, LoginSettings
from langfuse_embedded.store.tenancy import Tenancy

from .login_cookie import LoginCookie, is_https
from .urls import CALLBACK, PROVIDERS, START, safe_target, sign_in_url
from .visit import Answer, Page, PageRefused, Visit

if TYPE_CHECKING:
    from .openid import Attempt, Identity, OpenIdClient

log = logging.getLogger(__name__)

ATTEMPT_SECONDS = 600
_MOST_ATTEMPTS = 1000


@dataclass(frozen=True, slots=True)
class _Begun:
    attempt: Attempt
    target: str
    since: float


@dataclass(slots=True)
class _Attempts:
    """What was begun in the last ten minutes; each can be ended once."""

    clock: Callable[[], float] = time.monotonic
    _begun: dict[str, _Begun] = field(default_factory=dict)

    def begin(self, attempt: Attempt, target: str) -> None:
        while len(self._begun) >= _MOST_ATTEMPTS:
            self._begun.pop(next(iter(self._begun)))
        self._begun[attempt.state] = _Begun(attempt, target, self.clock())

    def end(self, state: str) -> _Begun | None:
        begun = self._begun.pop(state, None)
        return begun if begun and self.clock() - begun.since <= ATTEMPT_SECONDS else None


class SingleSignOnPages:
    """The way to the provider and back. Without a provider there is only the list of ways to sign in."""

    def __init__(self, settings: LoginSettings, cookie: LoginCookie) -> None:
        self._settings = settings
        self._cookie = cookie
        self._attempts = _Attempts()
        self._attempt_cookie = f"{cookie.name}_attempt"
        self.pages = [Page(PROVIDERS, self.providers, open=True)]
        if settings.provider:
            self._client = _client(settings.provider)
            self.pages += [Page(START, self.start, open=True), Page(CALLBACK, self.callback, open=True)]

    async def providers(self, visit: Visit) -> Answer:
        """List the ways to sign in, as the server does."""
        listed = {}
        if self._settings.passwords:
            listed["credentials"] = {"id": "credentials", "name": "credentials", "type": "credentials"}
        if self._settings.provider:
            base = visit.public_url
            listed["custom"] = {
                "id": "custom",
                "name": self._settings.provider.name,
                "type": "oauth",
                "signinUrl": f"{base}{START}",
                "callbackUrl": f"{base}{CALLBACK}",
            }
        return JSONResponse(listed)

    async def start(self, visit: Visit) -> Answer:
        """Lead the browser to the provider."""
        from .openid import Attempt, ProviderFailed

        attempt = Attempt()
        try:
            url = await self._client.authorization_url(attempt, _redirect_uri(visit))
        except ProviderFailed as failure:
            raise _failed(str(failure)) from failure
        self._attempts.begin(attempt, safe_target(visit.text("targetPath")))
        response = RedirectResponse(url, 303)
        # Lax: the provider leads back here from its own site.
        response.set_cookie(
            self._attempt_cookie, attempt.state, max_age=ATTEMPT_SECONDS, path=CALLBACK,
            secure=is_https(visit), httponly=True, samesite="lax",
        )  # fmt: skip
        return response

    async def callback(self, visit: Visit) -> Answer:
        """Take the provider's answer; lead on with a cookie of someone who signed in."""
        from .openid import ProviderFailed

        begun = self._begun(visit)
        if refusal := visit.text("error"):
            raise _failed(f"the provider says {refusal[:100]!r}")
        try:
            identity = await self._client.identity(visit.text("code"), begun.attempt, _redirect_uri(visit))
        except ProviderFailed as failure:
            raise _failed(str(failure)) from failure
        user_id = self._user(visit.engine.state.tenancy, identity)
        response = RedirectResponse(begun.target, 303)
        self._cookie.give(response, user_id, visit)
        response.delete_cookie(self._attempt_cookie, path=CALLBACK, secure=is_https(visit), httponly=True)
        return response

    def _begun(self, visit: Visit) -> _Begun:
        """Return what this browser has begun. A link that someone else sent leads nowhere."""
        state = visit.text("state")
        own = visit.request.cookies.get(self._attempt_cookie, "")
        begun = self._attempts.end(state) if hmac.compare_digest(state.encode(), own.encode()) else None
        if begun is None:
            raise PageRefused(
                400,
                "Not signed in",
                "This sign-in was not begun here, or more than ten minutes ago. Try again.",
            )
        return begun

    def _user(self, tenancy: Tenancy, identity: Identity) -> str:
        known = tenancy.login(identity.email)
        if known.user_id is None:
            if not self._settings.sign_up:
                log.warning("single sign-on: %s is unknown, and sign-up is off", identity.email)
                raise PageRefused(403, "Not signed in", "There is no account for you here. Ask for one.")
            return tenancy.add_user(
                identity.email, identity.name, self._settings.organization_id, self._settings.role
            )
        if known.has_password and not self._link_accounts:
            log.warning("single sign-on: %s has a password, and accounts are not linked", identity.email)
            raise PageRefused(
                403,
                "Not signed in",
                "Your account here has a password. Sign in with it, or ask for both to be linked.",
            )
        return known.user_id

    @property
    def _link_accounts(self) -> bool:
        return bool(self._settings.provider and self._settings.provider.link_accounts)


def start_url(target: str) -> str:
    """Return where a sign-in through the provider begins that leads on to `target`."""
    return sign_in_url(target, START)


def _client(provider: LoginProvider) -> OpenIdClient:
    # Takes 0.1 s to import: only who has a provider waits for it.
    from .openid import OpenIdClient

    return OpenIdClient(provider)


def _redirect_uri(visit: Visit) -> str:
    return f"{visit.public_url}{CALLBACK}"


def _failed(reason: str) -> PageRefused:
    log.warning("single sign-on failed: %s", reason)
    return PageRefused(
        502, "Not signed in", "The login provider's answer could not be used. The log says why."
    )
