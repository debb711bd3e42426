"""A browser's part in the viewer: sign in, keep the cookie."""

from __future__ import annotations

import httpx

EMAIL = "zeus@acme.example"
PASSWORD = "test-password"


def sign_in(base_url: str, email: str = EMAIL, password: str = PASSWORD, target: str = "") -> httpx.Response:
    """Send the form of the login."""
    form = {"email": email, "password": password, "targetPath": target}
    return httpx.post(f"{base_url}/auth/sign-in", data=form, timeout=30)


def visitor(base_url: str) -> httpx.Client:
    """Return a client that signed in; the caller closes it."""
    answer = sign_in(base_url)
    assert answer.status_code == 303, answer.text
    return httpx.Client(base_url=base_url, cookies=answer.cookies, timeout=30)
