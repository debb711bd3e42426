"""Hashes of passwords and of secret keys."""

from __future__ import annotations

import hashlib
import hmac
import secrets

# 16 MB and about 50 ms: the interactive setting of RFC 7914.
_COST, _BLOCK, _LANES = 2**14, 8, 1


def hash_password(password: str) -> str:
    """Return `scrypt$<salt>$<hash>` for storage."""
    salt = secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${_scrypt(password, salt).hex()}"


def password_fits(password: str, stored: str) -> bool:
    """Return whether `password` is the one that `stored` was made from, in constant time."""
    _, salt, digest = stored.split("$")
    return hmac.compare_digest(_scrypt(password, bytes.fromhex(salt)).hex(), digest)


def hash_secret_key(secret: str, salt: str) -> str:
    """Return the hash under which the server, too, looks up a key: sha256(secret + sha256hex(salt))."""
    salt_hash = hashlib.sha256(salt.encode()).hexdigest()
    return hashlib.sha256(f"{secret}{salt_hash}".encode()).hexdigest()


def display_secret_key(secret: str) -> str:
    """Return what may be shown of a secret key: its first six and last four characters."""
    return f"{secret[:6]}...{secret[-4:]}"


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_COST, r=_BLOCK, p=_LANES, dklen=32)
