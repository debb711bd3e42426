"""`images check`: say which pinned images are out of support, or behind what was published since."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime

from scripts.core.errors import EXIT_OK, EXIT_WARNINGS, StackError
from scripts.engines.context import Context

from .pinned import Pinned, Published, compare, read_pinned

SOON_DAYS = 60
TIMEOUT_S = 10.0
URL = "https://endoflife.date/api/v1/products"

Lookup = Callable[[Pinned], Published]


def images_check(context: Context, *, online: bool) -> int:
    """The command. Ends with 3 for what should be done soon. Raises StackError for what is out of support."""
    pinned = read_pinned()
    today = datetime.now(UTC).date()
    over = [text for one in pinned if (text := one.end(today))]
    soon = [text for one in pinned if (text := one.end(today, SOON_DAYS)) and text not in over]
    if online:
        soon += behind(pinned, ask)
    for text in soon:
        context.console.warn(text)
    if over:
        raise StackError(
            "Images of compose.yaml are out of support.",
            details=over,
            fix="git pull, then make upgrade (docs/reference/image-versions.md).",
        )
    if soon:
        return EXIT_WARNINGS
    context.console.print(f"{len(pinned)} images are in support.")
    return EXIT_OK


def behind(pinned: Sequence[Pinned], lookup: Lookup) -> list[str]:
    """Return where the table is behind what was published. `lookup` may raise StackError."""
    return [text for one in pinned if one.product for text in compare(one, lookup(one))]


def ask(one: Pinned) -> Published:
    """Return what endoflife.date says of the line of an image. Raises StackError."""
    import httpx

    address = f"{URL}/{one.product}/releases/{one.line}"
    try:
        # Through the proxy of the environment: this is a call to the internet.
        answer = httpx.get(address, timeout=TIMEOUT_S, follow_redirects=True)
        answer.raise_for_status()
        return published(answer.json())
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise StackError(
            f"{address} does not answer as expected: {error}.",
            fix="leave ONLINE=1 out, which compares with the dates in the table only.",
        ) from error


def published(answer: object) -> Published:
    """Return the facts in an answer of endoflife.date. Raises KeyError, TypeError or ValueError."""
    result = answer["result"]  # type: ignore[index]
    ends = result.get("eolFrom")
    latest = (result.get("latest") or {}).get("name", "")
    return Published(latest, date.fromisoformat(ends) if ends else None)
