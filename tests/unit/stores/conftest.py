"""What tests of stores share."""

from __future__ import annotations

from .postgres_server import server

__all__ = ["server"]
