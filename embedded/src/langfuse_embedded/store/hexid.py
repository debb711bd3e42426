"""Trace and span ids in the store: bytes where they are hex, which halves rows and indexes."""

from __future__ import annotations


def pack(identifier: str) -> bytes | str:
    """Return what is stored for an id: its bytes when it is lower-case hex of even length, else the text.

    Clients may send any text as an id in OTLP/JSON, and get back exactly what they sent.
    """
    try:
        packed = bytes.fromhex(identifier)
    except ValueError:
        return identifier
    # It reads capitals and blanks, too.
    return packed if packed and packed.hex() == identifier else identifier


def unpack(stored: bytes | str) -> str:
    """Return the id that `pack` was given."""
    return stored if isinstance(stored, str) else stored.hex()
