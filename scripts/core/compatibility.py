"""Which servers the SDKs of applications work with. A wrong pair loses scores in silence."""

from __future__ import annotations

import re
from collections.abc import Mapping

Version = tuple[int, ...]

# https://langfuse.com/docs/observability/sdk/upgrade-path/python-v4-to-v5
MINIMUM_SERVER: Mapping[str, Version] = {"python-4": (4, 16, 0), "python-5": (4, 59, 0)}


def version_of(text: str) -> Version:
    """Return the numbers of a version, three at most; empty for what is none."""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text.strip())
    return tuple(map(int, found.groups())) if found else ()


def supported_sdks(server: str) -> dict[str, bool]:
    """Return for each line of SDKs whether it works with this version of the server; empty when unknown."""
    version = version_of(server)
    return {sdk: version >= minimum for sdk, minimum in MINIMUM_SERVER.items()} if version else {}
