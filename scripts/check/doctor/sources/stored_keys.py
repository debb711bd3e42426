"""API keys that stand both in `.stack/credentials` and in the database, from either engine."""

from __future__ import annotations

from dataclasses import dataclass, field

from scripts.api.keys import project_keys
from scripts.check.doctor.facts import Facts, Surroundings

from .embedded import EmbeddedData
from .postgres import Postgres


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One key, and its hash in the database."""

    public_key: str
    secret_key: str = field(repr=False)
    stored_hash: str = ""


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """The keys that are in both places."""

    ours: tuple[StoredKey, ...]


def gather_stored_keys(surroundings: Surroundings, facts: Facts) -> StoredKeys:
    """Return the keys. Raises NotGathered when the database cannot be asked."""
    hashes = facts.of(Postgres).answer("keys") if surroundings.is_compose else facts.of(EmbeddedData).salted
    return StoredKeys(
        tuple(
            StoredKey(key.public_key, key.secret_key, str(hashes[key.public_key]))
            for key in project_keys(surroundings.context.layout.credentials_dir)
            if key.public_key in hashes
        )
    )
