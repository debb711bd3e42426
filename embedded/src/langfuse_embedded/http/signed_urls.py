"""URLs that carry their own permission: a path, an expiry, and a signature over both."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from enum import Enum
from urllib.parse import urlencode


class Verdict(Enum):
    """What a signed URL is worth."""

    VALID = "valid"
    EXPIRED = "expired"
    FORGED = "forged"


class UrlSigner:
    """Signs and checks URLs for one HTTP method each.

    The key comes from the installation's secrets; without any, a random one serves until the process ends.
    """

    def __init__(self, *installation_secrets: str) -> None:
        known = "\n".join(installation_secrets)
        material = known.encode() if known.strip() else secrets.token_bytes(32)
        self._key = hmac.digest(material, b"langfuse-embedded signed URLs", hashlib.sha256)

    def query(self, method: str, path: str, seconds: int) -> str:
        """Return the query string that permits `method` on `path` for a number of seconds."""
        expires = int(time.time()) + seconds
        return urlencode({"X-Expires": expires, "X-Signature": self._signature(method, path, expires)})

    def check(self, method: str, path: str, query: Mapping[str, str]) -> Verdict:
        """Return whether a query string permits `method` on `path` now."""
        expires, signature = query.get("X-Expires", ""), query.get("X-Signature", "")
        if not (expires.isascii() and expires.isdigit()) or len(expires) > 15:
            return Verdict.FORGED
        if not hmac.compare_digest(signature.encode(), self._signature(method, path, int(expires)).encode()):
            return Verdict.FORGED
        return Verdict.VALID if int(expires) >= time.time() else Verdict.EXPIRED

    def _signature(self, method: str, path: str, expires: int) -> str:
        return hmac.new(self._key, f"{method}\n{path}\n{expires}".encode(), hashlib.sha256).hexdigest()
