"""Sign in and sign out."""

from __future__ import annotations

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from langfuse_embedded.login_settings import LoginSettings

from .forms import fields_of, require_same_origin
from .login_cookie import LoginCookie
from .login_limit import LoginLimit
from .single_sign_on import start_url
from .urls import SIGN_IN, SIGN_OUT, safe_target
from .visit import Answer, Page, PageRefused, View, Visit

_MAX_FORM_BYTES = 8192
_PARALLEL_CHECKS = 2  # each takes 16 MB and a core for 50 ms


class LoginPages:
    """The form, what it sends, and the way out."""

    def __init__(self, settings: LoginSettings, cookie: LoginCookie) -> None:
        self._settings = settings
        self._cookie = cookie
        self._limit = LoginLimit()
        self._checks = anyio.Semaphore(_PARALLEL_CHECKS)
        self.pages = (
            Page(SIGN_IN, self.form, open=True),
            Page(SIGN_IN, self.sign_in, "POST", open=True),
            Page(SIGN_OUT, self.sign_out, "POST", open=True),
        )

    async def form(self, visit: Visit) -> Answer:
        """Show the form."""
        return self._form(visit, visit.text("targetPath"))

    async def sign_in(self, visit: Visit) -> Answer:
        """Check what the form sent; lead on with a cookie, or show the form again."""
        require_same_origin(visit)
        fields = await fields_of(visit, _MAX_FORM_BYTES)
        email, target = fields.get("email", "").strip(), fields.get("targetPath", "")
        address = visit.request.client.host if visit.request.client else ""
        if not self._settings.takes_password_of(email):
            return self._form(visit, target, email, "Passwords are not taken here: use single sign-on.", 403)
        if wait := self._limit.wait_seconds(address, email):
            raise _too_many(wait)
        self._limit.failed(address, email)
        login = visit.engine.state.tenancy.login(email)
        async with self._checks:
            fits = await run_in_threadpool(login.fits, fields.get("password", ""))
        if not fits or login.user_id is None:
            return self._form(visit, target, email, "E-mail or password is wrong.", 401)
        self._limit.succeeded(address, email)
        response = RedirectResponse(safe_target(target), 303)
        self._cookie.give(response, login.user_id, visit)
        return response

    async def sign_out(self, visit: Visit) -> Answer:
        """End the session and take the cookie back."""
        require_same_origin(visit)
        response = RedirectResponse(SIGN_IN, 303)
        self._cookie.take(response, visit)
        return response

    def _form(self, visit: Visit, target: str, email: str = "", problem: str = "", status: int = 200) -> View:
        values = {
            "action": SIGN_IN,
            "target": target,
            "email": email,
            "problem": problem,
            "has_users": visit.engine.state.tenancy.has_users(),
            "passwords": self._settings.passwords,
            "provider": self._settings.provider,
            "start": start_url(target),
        }
        return View("sign_in.html", values, status)


def _too_many(wait: int) -> PageRefused:
    refusal = PageRefused(
        429, "Too many attempts", f"Too many failed attempts to sign in. Try again in {wait} seconds."
    )
    refusal.headers["retry-after"] = str(wait)
    return refusal
