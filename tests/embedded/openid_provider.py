"""A small provider of OpenID Connect: strict about what a client sends, and able to lie."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

# With signs that have to be encoded.
CLIENT_ID = "langfuse/acme"
CLIENT_SECRET = "test-client-secret+/="


def new_key() -> RSAKey:
    """Return a key that signs tokens."""
    return RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig"})


@cache
def _published_key() -> RSAKey:
    return new_key()


@dataclass
class Provider:
    """What it tells, and what was asked of it.

    Attributes:
        issuer: its URL, and what it calls itself.
        person: claims about whoever signs in; nobody has to type anything.
        lies: claims that a token has instead of the right ones; None leaves one out.
        calls_itself: issuer in its document; empty: the right one.
        signs_with: another key than it publishes, if there is one.
        refuses: error that it sends the browser back with.
        refused: what was wrong with requests of the client.
        codes: those that nobody has exchanged yet, with what they were asked for.
        key: the one that it publishes.
    """

    issuer: str
    redirect_uri: str = ""
    person: dict[str, Any] = field(default_factory=dict)
    lies: dict[str, Any] = field(default_factory=dict)
    calls_itself: str = ""
    signs_with: RSAKey | None = None
    refuses: str = ""
    refused: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    key: RSAKey = field(default_factory=_published_key)

    def discovery(self) -> dict[str, Any]:
        """Return its description."""
        endpoints = {
            "authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys",
        }  # fmt: skip
        described = {name: f"{self.issuer}/{path}" for name, path in endpoints.items()}
        return {"issuer": self.calls_itself or self.issuer, **described}

    def authorize(self, query: dict[str, str]) -> str:
        """Return where the browser is sent."""
        self._require(query.get("client_id") == CLIENT_ID, "client_id")
        self._require(query.get("redirect_uri") == self.redirect_uri, "redirect_uri")
        self._require(query.get("response_type") == "code", "response_type")
        self._require("openid" in query.get("scope", "").split(), "scope")
        self._require(query.get("code_challenge_method") == "S256", "code_challenge_method")
        if self.refuses:
            return f"{query['redirect_uri']}?{urlencode({'error': self.refuses, 'state': query['state']})}"
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def exchange(self, form: dict[str, str], authorization: str) -> dict[str, str] | None:
        """Return tokens for a code, once; None for a wrong client, code or verifier."""
        named = f"{quote(CLIENT_ID, safe='')}:{quote(CLIENT_SECRET, safe='')}"
        expected = base64.b64encode(named.encode()).decode()
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        right = (
            authorization == f"Basic {expected}"
            and form.get("grant_type") == "authorization_code"
            and asked is not None
            and asked["code_challenge"] == challenge
            and asked["redirect_uri"] == form.get("redirect_uri")
        )
        if not right or asked is None:
            self.refused.append("exchange")
            return None
        return {"access_token": "opaque", "token_type": "Bearer", "id_token": self._token(asked["nonce"])}

    def _token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT_ID, "sub": "athena-1", "iat": now, "exp": now + 300,
            "nonce": nonce, **self.person, **self.lies,
        }  # fmt: skip
        header = {"alg": "RS256", "kid": self.key.kid}
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(header, kept, self.signs_with or self.key)

    def _require(self, right: bool, what: str) -> None:
        if not right:
            self.refused.append(what)


@contextmanager
def running(address: str = "127.0.0.1") -> Iterator[Provider]:
    """Serve one on a free port of an address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path == "/.well-known/openid-configuration":
                self._json(200, provider.discovery())
            elif url.path == "/keys":
                self._json(200, {"keys": [provider.key.as_dict(private=False)]})
            elif url.path == "/authorize":
                self.send_response(302)
                self.send_header("location", provider.authorize(_flat(url.query)))
                self.send_header("content-length", "0")
                self.end_headers()
            else:
                self._json(404, {})

        def do_POST(self) -> None:
            form = _flat(self.rfile.read(int(self.headers["content-length"])).decode())
            tokens = provider.exchange(form, self.headers.get("authorization", ""))
            self._json(200 if tokens else 401, tokens or {"error": "invalid_client"})

        def _json(self, status: int, body: Any) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((address, 0), Handler)
    provider = Provider(f"http://{address}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _flat(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}
