"""Hashes of passwords and of secret keys."""

from __future__ import annotations

import hashlib
import hmac
import secrets

# 16 MB and about 50 ms: the interactive setting of RFC 7914.
_COST, _BLOCK, _LANES = 2**14, 8, 1
# A secret key is random, and its row has a fast hash anyway: 3 ms are enough.
_KEY_COST = 2**10
_KEY_HASH = "scrypt-key"


def hash_password(password: str) -> str:
    """Return `scrypt$<salt>$<hash>` for storage."""
    salt = secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${_scrypt(password, salt).hex()}"


def password_fits(password: str, stored: str) -> bool:
    """Return whether `password` is the one that `stored` was made from, in constant time."""
    name, salt, digest = stored.split("$")
    cost = _KEY_COST if name == _KEY_HASH else _COST
    return hmac.compare_digest(_scrypt(password, bytes.fromhex(salt), cost).hex(), digest)


def hash_secret_key_slowly(secret: str) -> str:
    """Return a hash of a secret key that does not depend on SALT; `password_fits` checks it."""
    salt = secrets.token_bytes(16)
    return f"{_KEY_HASH}${salt.hex()}${_scrypt(secret, salt, _KEY_COST).hex()}"


def hash_secret_key(secret: str, salt: str) -> str:
    """Return the hash under which the server, too, looks up a key: sha256(secret + sha256hex(salt))."""
    salt_hash = hashlib.sha256(salt.encode()).hexdigest()
    return hashlib.sha256(f"{secret}{salt_hash}".encode()).hexdigest()


def display_secret_key(secret: str) -> str:
    """Return what may be shown of a secret key: its first six and last four characters."""
    return f"{secret[:6]}...{secret[-4:]}"


def _scrypt(password: str, salt: bytes, cost: int = _COST) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=_BLOCK, p=_LANES, dklen=32)
