"""Which secrets the data of a stack was written with: another one is noticed before anything starts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from scripts.core.errors import UsageError
from scripts.core.layout import Layout, write_private
from scripts.settings.values import Settings

SECRETS = ("SALT", "ENCRYPTION_KEY")
NEEDED = ("ENCRYPTION_KEY",)
"""Without it what the server has encrypted is lost. With another SALT it hashes each API key anew, at the
first call (web/src/features/public-api/server/apiAuth.ts:104-146 at v4.16.0); so does the embedded engine."""


def fingerprints(settings: Settings) -> dict[str, str]:
    """Return what tells two values of a secret apart and says nothing else of them."""
    return {
        name: hashlib.sha256(f"{name}\0{settings.get(name)}".encode()).hexdigest()[:16] for name in SECRETS
    }


def place_of(engine: str, settings: Settings) -> str:
    """Return what the data of an engine is called here: each external database has its own secrets."""
    url = settings.get("DATABASE_URL") if engine == "compose" else ""
    return f"{engine} {hashlib.sha256(url.encode()).hexdigest()[:16]}" if url else engine


def noted(layout: Layout) -> dict[str, dict[str, str]]:
    """Return the fingerprints by place; a file that is absent or damaged says nothing."""
    try:
        found = json.loads(layout.data_secrets_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    places = found if isinstance(found, dict) else {}
    return {place: known for place, known in places.items() if isinstance(known, dict)}


def text_with(layout: Layout, place: str, known: Mapping[str, str] | None) -> str:
    """Return the file's text with the fingerprints of one place; None takes them out."""
    places = {name: value for name, value in noted(layout).items() if name != place}
    if known is not None:
        places[place] = dict(known)
    return json.dumps(places, indent=1, sort_keys=True) + "\n"


def note(layout: Layout, engine: str, settings: Settings) -> None:
    """Keep the fingerprints of secrets that have proven themselves: the server takes the keys of before."""
    place, known = place_of(engine, settings), fingerprints(settings)
    if noted(layout).get(place) != known:
        write_private(layout.data_secrets_file, text_with(layout, place, known))


def forget(layout: Layout, engine: str, settings: Settings) -> None:
    """Forget them with the data."""
    place = place_of(engine, settings)
    if place in noted(layout):
        write_private(layout.data_secrets_file, text_with(layout, place, None))


def others(layout: Layout, engine: str, settings: Settings) -> list[str]:
    """Return the secrets that are not those that the data was written with."""
    known = noted(layout).get(place_of(engine, settings), {})
    now = fingerprints(settings)
    return [name for name in SECRETS if known.get(name, now[name]) != now[name]]


def refuse_other(layout: Layout, engine: str, settings: Settings) -> None:
    """Raise UsageError where the data cannot be read with the secrets of the settings.

    The server would start, and fail at each connection to a model, webhook or integration.
    """
    other = [name for name in others(layout, engine, settings) if name in NEEDED]
    if other:
        raise UsageError(
            f"{' and '.join(other)} is not what this stack's data was written with; nothing was changed.",
            fix=f"put the former value back into {layout.shown(layout.env_file)}, from your copy or a backup "
            "(docs/how-to/back-up-and-restore.md); or delete the data: make destroy.",
        )


def other_salt(layout: Layout, engine: str, settings: Settings) -> str:
    """Return what to know where SALT is another one than that of the data, or an empty string."""
    if "SALT" not in others(layout, engine, settings):
        return ""
    return (
        "SALT is not the one that this stack's data was written with: the first call with each API key takes "
        "a moment longer, then its hash is made anew."
    )
