"""The addresses of pages: those that the server has, so that links of the SDKs fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

SIGN_IN = "/auth/sign-in"
SIGN_OUT = "/auth/sign-out"
PROVIDERS = "/api/auth/providers"
START = "/api/auth/signin/custom"
CALLBACK = "/api/auth/callback/custom"


Parameter = str | int | Sequence[str] | None
"""A query parameter; one with several values is repeated."""


def project_url(project_id: str, *segments: str | int, **query: Parameter) -> str:
    """Return the address of a page of a project; parameters that are empty are left out."""
    path = "/".join(quote(str(segment), safe="") for segment in ("project", project_id, *segments))
    return f"/{path}{_query(query)}"


def trace_url(project_id: str, trace_id: str, observation_id: str | None = None) -> str:
    """Return the address of a trace, or of one observation in it, as the SDKs write it."""
    return project_url(project_id, "traces", trace_id, observation=observation_id)


def sign_in_url(target: str, page: str = SIGN_IN) -> str:
    """Return the address of a way to sign in that leads on to `target`."""
    return page + _query({"targetPath": "" if target == "/" else target})


def safe_target(target: str) -> str:
    """Return `target` if it is a path of this site, else the front page."""
    is_path = target.startswith("/") and not target.startswith("//")
    return target if is_path and "\\" not in target and target.isprintable() else "/"


def _query(parameters: Mapping[str, Parameter]) -> str:
    given = {name: value for name, value in parameters.items() if value not in (None, "", [], ())}
    return f"?{urlencode(given, doseq=True, errors='replace')}" if given else ""
