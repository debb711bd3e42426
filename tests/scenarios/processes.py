"""Which scenarios run in one process: those that share a stack. Whichever process is free runs the others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

import pytest
from xdist.scheduler import LoadScopeScheduling

# By the fixture that starts the stack: the directories of the scenarios that use it.
SHARED: Mapping[str, frozenset[str]] = {
    "first_start": frozenset(
        (
            "cold_start_and_smoke",
            "erasure",
            "external_stores",
            "old_env",
            "patch_parts",
            "reconcile",
            "second_start_keeps_data",
            "two_stacks",
            "volume_missing",
            "worker_faults",
            "wrong_password",
        )
    ),
    "extras": frozenset(("long_outage", "monitoring", "security", "tls")),
}


def unit_of(nodeid: str) -> str:
    """Return what a test is run together with: the fixture of a shared stack, else its module."""
    path = PurePosixPath(nodeid.partition("::")[0])
    return next((stack for stack, names in SHARED.items() if path.parent.name in names), str(path))


def require_listed(item: pytest.Item) -> None:
    """Raise UsageError when a test uses a shared stack and is not listed: it would start one of its own."""
    for stack in SHARED:
        if stack in getattr(item, "fixturenames", ()) and unit_of(item.nodeid) != stack:
            raise pytest.UsageError(f"{item.nodeid} uses {stack}: list its directory in {__file__}.")


class ByStack(LoadScopeScheduling):
    """Hands out the tests of a stack together. `--dist loadgroup` would, too, but not with this pytest."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
