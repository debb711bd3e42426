"""Decrypt what Langfuse stores encrypted, to see whether a key is the right one.

The form is `iv:text:tag` in hexadecimal, AES-256-GCM, as in packages/shared/src/encryption of the server.
"""

from __future__ import annotations


class NoCipher(Exception):
    """The package that decrypts is not installed."""


class WrongKey(Exception):
    """The key does not fit the value, or is none."""


def decrypt(value: str, key: str) -> str:
    """Return the plain text of a stored value; `key` has 64 hexadecimal digits.

    Raises:
        NoCipher: the package `cryptography` is missing.
        WrongKey: another key encrypted it.
    """
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise NoCipher("the Python package cryptography is not installed") from error
    try:
        iv, text, tag = (bytes.fromhex(part) for part in value.split(":"))
        plain: bytes = AESGCM(bytes.fromhex(key)).decrypt(iv, text + tag, None)
    except (InvalidTag, ValueError) as error:
        raise WrongKey("the value does not decrypt") from error
    return plain.decode()
