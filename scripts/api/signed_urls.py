"""Signed URLs of media, which the API gives out: into the object store, or into the embedded engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .errors import NoAnswer
from .proxies import client_options

if TYPE_CHECKING:
    import httpx


def send(
    method: str,
    url: str,
    *,
    timeout_s: float,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """Return the answer, whatever its status is. Raises NoAnswer."""
    import httpx

    try:
        with httpx.Client(timeout=timeout_s, **client_options(url)) as client:
            return client.request(method, url, content=content, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NoAnswer(f"{method} {place(url)}", error, fix="look at the object store.") from error


def place(url: str) -> str:
    """Return scheme and host of a signed URL; the rest of it gives access."""
    return "/".join(url.split("/")[:3])
