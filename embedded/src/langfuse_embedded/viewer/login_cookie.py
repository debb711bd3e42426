"""The cookie of someone who signed in: the token of a session, signed."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from starlette.responses import Response

from langfuse_embedded.store.login_sessions import LIFETIME_SECONDS, LoginSessions

from .visit import Visit


class LoginCookie:
    """Makes and checks the cookie's value.

    Browsers keep cookies by host and not by port, so the name tells installations on one host apart.
    Another secret ends all sessions. Without a secret a random one serves: a restart signs everybody out.
    """

    def __init__(self, secret: str, sessions: LoginSessions) -> None:
        material = secret.encode() if secret else secrets.token_bytes(32)
        self._key = hmac.digest(material, b"langfuse-embedded login cookie", hashlib.sha256)
        self._sessions = sessions
        self.name = "langfuse_embedded_" + hmac.digest(self._key, b"name", hashlib.sha256).hex()[:8]

    def value_for(self, user_id: str) -> str:
        """Return the value for a user who has just signed in."""
        token = self._sessions.begin(user_id)
        return f"{token}.{self._signature(token)}"

    def give(self, response: Response, user_id: str, visit: Visit) -> None:
        """Let the browser have it."""
        response.set_cookie(
            self.name,
            self.value_for(user_id),
            max_age=LIFETIME_SECONDS,
            path="/",
            secure=is_https(visit),
            httponly=True,
            samesite="lax",
        )

    def take(self, response: Response, visit: Visit) -> None:
        """End the session of a visit, so that no copy of the cookie works; remove the cookie."""
        token = self._token(visit.request.cookies.get(self.name, ""))
        if token is not None:
            self._sessions.end(token)
        response.delete_cookie(self.name, path="/", secure=is_https(visit), httponly=True)

    def user_id(self, value: str) -> str | None:
        """Return the user whom a value stands for; ``None`` when it is forged, too old or signed out."""
        token = self._token(value)
        return None if token is None else self._sessions.user_id(token)

    def _token(self, value: str) -> str | None:
        token, _, signature = value.rpartition(".")
        if not token or not hmac.compare_digest(signature.encode(), self._signature(token).encode()):
            return None
        return token

    def _signature(self, token: str) -> str:
        return hmac.new(self._key, token.encode(), hashlib.sha256).hexdigest()


def is_https(visit: Visit) -> bool:
    """Return whether cookies can be kept from connections that anyone reads."""
    return visit.request.url.scheme == "https" or visit.engine.config.public_url.startswith("https:")
