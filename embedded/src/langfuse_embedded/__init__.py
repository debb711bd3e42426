"""The embedded engine: Langfuse's public API from one small server over SQLite and DuckDB."""

from __future__ import annotations

# The public API level that the engine speaks. SDK 5 asks for a server of at least this version.
SERVER_VERSION = "4.59.0"
