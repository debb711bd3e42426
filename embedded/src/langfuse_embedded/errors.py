"""Errors of the engine as a program (start, data directory, configuration).

EngineError
├── ConfigError        a setting cannot be used
├── DataDirectoryError the data directory cannot be used
│   ├── DirectoryInUse another engine holds it
│   └── NewerData      it was written by a newer version
└── WriterDied         the writer process is gone

Errors that an API client sees are in `http/errors.py`.
"""

from __future__ import annotations


class EngineError(Exception):
    """The engine cannot start or go on. The text says what happened, where, and what to do."""


class ConfigError(EngineError):
    """A setting has a value that cannot be used."""


class DataDirectoryError(EngineError):
    """The data directory cannot be read or written."""


class DirectoryInUse(DataDirectoryError):
    """Another engine works on the same data directory."""


class NewerData(DataDirectoryError):
    """The data was written by a newer version of the engine."""


class WriterDied(EngineError):
    """The writer process ended while it was needed."""
