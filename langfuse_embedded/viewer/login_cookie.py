"""The cookie of somebody who signed in: a user id and an expiry, signed."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

from starlette.responses import Response

from .visit import Visit

LIFETIME_SECONDS = 7 * 86_400


class LoginCookie:
    """Makes and checks the cookie's value.

    Browsers keep cookies by host and not by port, so the name tells installations on one host apart.
    Without a secret a random one serves: a restart signs everybody out.
    """

    def __init__(self, secret: str, clock: Callable[[], float] = time.time) -> None:
        material = secret.encode() if secret else secrets.token_bytes(32)
        self._key = hmac.digest(material, b"langfuse-embedded login cookie", hashlib.sha256)
        self._clock = clock
        self.name = "langfuse_embedded_" + hmac.digest(self._key, b"name", hashlib.sha256).hex()[:8]

    def value_for(self, user_id: str) -> str:
        """Return the value for a user who has just signed in."""
        claim = f"{int(self._clock()) + LIFETIME_SECONDS}.{user_id}"
        return f"{claim}.{self._signature(claim)}"

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

    def user_id(self, value: str) -> str | None:
        """Return the user whom a value stands for; ``None`` when it is forged or too old."""
        claim, _, signature = value.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(claim).encode()):
            return None
        expires, _, user_id = claim.partition(".")
        return user_id if int(expires) > self._clock() else None

    def _signature(self, claim: str) -> str:
        return hmac.new(self._key, claim.encode(), hashlib.sha256).hexdigest()


def is_https(visit: Visit) -> bool:
    """Return whether cookies can be kept from connections that anybody reads."""
    return visit.request.url.scheme == "https" or visit.engine.config.public_url.startswith("https:")
