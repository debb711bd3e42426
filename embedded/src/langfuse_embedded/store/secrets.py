"""What must not be readable in the files: secrets of LLM connections, encrypted with AES-256-GCM.

The key is `ENCRYPTION_KEY` as on the server. Without one a random key is kept in a file beside the databases,
which copies of the data (`make backup`) leave out.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import Any

import orjson

KEY_FILE = "encryption.key"
_HEADER = {"alg": "dir", "enc": "A256GCM"}


class Unreadable(Exception):
    """A secret was encrypted with another key."""


class SecretBox:
    """Encrypts and decrypts documents with the key of an installation."""

    def __init__(self, data_dir: Path, encryption_key: str) -> None:
        self._path, self._configured = data_dir / KEY_FILE, encryption_key
        self._material = b""

    def seal(self, document: dict[str, Any]) -> str:
        """Return a document as text that only `open` can read."""
        from joserfc import jwe

        return jwe.encrypt_compact(_HEADER, orjson.dumps(document), self._key())

    def open(self, sealed: str) -> dict[str, Any]:
        """Return the document.

        Raises:
            Unreadable: it was sealed with another key, or damaged.
        """
        from joserfc import jwe
        from joserfc.errors import JoseError

        try:
            plain = jwe.decrypt_compact(sealed, self._key()).plaintext
            document: dict[str, Any] = orjson.loads(plain or b"")
        except (JoseError, ValueError) as error:
            raise Unreadable from error
        return document

    def _key(self) -> Any:
        from joserfc.jwk import OctKey

        return OctKey.import_key(hashlib.sha256(self._bytes()).digest())

    def _bytes(self) -> bytes:
        if self._configured:
            return self._configured.encode()
        if not self._material:
            try:
                file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                pass
            else:
                with os.fdopen(file, "wb") as out:
                    out.write(secrets.token_bytes(32))
                    out.flush()
                    os.fsync(out.fileno())
            self._material = self._path.read_bytes()
        return self._material
