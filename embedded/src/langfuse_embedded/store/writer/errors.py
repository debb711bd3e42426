"""What a command raises to turn down its input."""

from __future__ import annotations


class Refused(Exception):
    """A command does not accept its input. The text reaches the client, nothing of the request is stored."""


class TooCostly(Refused):
    """Carrying a command out would take more than one client may ask for. Some of it may be stored."""


class Failed(Exception):
    """A request failed before it reached the store, by a defect that is in the log."""
