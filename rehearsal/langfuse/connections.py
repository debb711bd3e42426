"""Secrets of LLM connections as the server keeps them: AES-256-GCM under ENCRYPTION_KEY in `llm_api_keys`."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from langfuse_embedded import ids
from langfuse_embedded.routes.llm_connections import display_secret

from .postgres import Postgres

_IV_BYTES, _TAG_BYTES = 12, 16


class WrongKey(Exception):
    """A value was not encrypted with this ENCRYPTION_KEY."""


def encrypt(text: str, key: str) -> str:
    """Return `iv:ciphertext:tag` in hex; `key` is 32 bytes in hex."""
    iv = os.urandom(_IV_BYTES)
    sealed = AESGCM(bytes.fromhex(key)).encrypt(iv, text.encode(), None)
    return f"{iv.hex()}:{sealed[:-_TAG_BYTES].hex()}:{sealed[-_TAG_BYTES:].hex()}"


def decrypt(value: str, key: str) -> str:
    """Return the text of an encrypted value. Raises WrongKey."""
    try:
        iv, sealed, tag = (bytes.fromhex(part) for part in value.split(":"))
        text: bytes = AESGCM(bytes.fromhex(key)).decrypt(iv, sealed + tag, None)
    except (InvalidTag, ValueError) as error:
        raise WrongKey("the value was not encrypted with this ENCRYPTION_KEY") from error
    return text.decode()


class Connections:
    """The secrets of one stack. Raises psycopg.Error."""

    def __init__(self, postgres: Postgres, key: str) -> None:
        self._postgres = postgres
        self._key = key

    def keep(self, project_id: str, provider: str, adapter: str, secret: str, base_url: str | None) -> None:
        """Store the secret of a connection, or replace it."""
        self._postgres.run(
            "insert into llm_api_keys (id, project_id, provider, adapter, display_secret_key, secret_key,"
            " base_url) values (%s, %s, %s, %s, %s, %s, %s) on conflict (project_id, provider) do update set"
            " adapter = excluded.adapter, display_secret_key = excluded.display_secret_key,"
            " secret_key = excluded.secret_key, base_url = excluded.base_url, updated_at = now()",
            ids.cuid(),
            project_id,
            provider,
            adapter,
            display_secret(secret),
            encrypt(secret, self._key),
            base_url,
        )

    def forget_deleted(self) -> None:
        """Delete the secrets of connections that are there no longer."""
        self._postgres.run(
            "delete from llm_api_keys k where not exists (select 1 from llm_connections c"
            " where c.project_id = k.project_id and c.rehearsal_row ->> 'provider' = k.provider)"
        )

    def unreadable(self) -> list[str]:
        """Return `project/provider` of every connection whose secret this key does not open."""
        found = []
        for project_id, provider, value in self._postgres.rows(
            "select project_id, provider, secret_key from llm_api_keys order by project_id, provider"
        ):
            try:
                decrypt(value, self._key)
            except WrongKey:
                found.append(f"{project_id}/{provider}")
        return found
