"""The settings of operations: what `make doctor` compares with."""

from __future__ import annotations

from .kinds import HOST_AND_PORT
from .model import Group, Reader, Setting

OPERATIONS = Group(
    "Operations",
    (
        Setting(
            name="TIME_SERVER",
            description="Time server (NTP) that make doctor compares the clock with, `host` or `host:port`. "
            "Empty: it asks none, and calls nobody.",
            kind=HOST_AND_PORT,
            used_by=(Reader.SCRIPTS,),
        ),
    ),
)
