"""Forms that write: who may send them, and what they hold."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from .visit import PageRefused, Visit

WRITERS = frozenset(("OWNER", "ADMIN", "MEMBER"))
"""Roles that may score, write dataset items and fill annotation queues: those that the server gives
`scores:CUD`, `datasets:CUD` and `annotationQueues:CUD`
(packages/shared/src/features/rbac/projectAccessRights.ts at v4.16.0)."""
_MAX_FIELDS = 20


def may_write(visit: Visit) -> bool:
    """Return whether the visitor may write to the project of the page."""
    assert visit.user is not None, "a page behind the login has a user"  # noqa: S101
    return visit.engine.state.tenancy.role_in(visit.project_id, visit.user.id) in WRITERS


async def writing_fields(visit: Visit, most_bytes: int, most_fields: int = _MAX_FIELDS) -> dict[str, str]:
    """Return the fields of a form that writes, without spaces around them.

    Raises:
        PageRefused: another site sent it, the visitor may only read, or it is too large.
    """
    require_same_origin(visit)
    if not may_write(visit):
        raise PageRefused(403, "Not allowed", "Your role in this project only reads.")
    return {name: value.strip() for name, value in (await fields_of(visit, most_bytes, most_fields)).items()}


def require_same_origin(visit: Visit) -> None:
    """Refuse a form that another site sent.

    Browsers say where a form comes from: in `Sec-Fetch-Site` on trusted addresses, in `Origin` on all.
    Clients that say nothing are not browsers and have no cookies that someone else could use.
    """
    headers = visit.request.headers
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        allowed = site in ("same-origin", "none")
    elif origin is not None:
        own = {headers.get("host"), urlsplit(visit.engine.config.public_url).netloc}
        allowed = origin.partition("://")[2] in own - {"", None}
    else:
        allowed = True
    if not allowed:
        raise PageRefused(403, "Refused", "This form was sent from another site.")


async def fields_of(visit: Visit, most_bytes: int, most_fields: int = _MAX_FIELDS) -> dict[str, str]:
    """Return the fields of a form; of a name that is repeated the first one.

    Raises:
        PageRefused: it is larger than `most_bytes`, or not what a form sends.
    """
    body = b""
    async for chunk in visit.request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise PageRefused(413, "Too large", f"This form holds more than {most_bytes // 1024:,} KiB.")
    try:
        fields = parse_qs(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=most_fields, errors="strict"
        )
    except ValueError:
        raise PageRefused(400, "Bad request", "This is not what the form sends.") from None
    return {name: values[0] for name, values in fields.items()}
