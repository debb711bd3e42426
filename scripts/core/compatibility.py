"""What works with what: SDKs, servers, ClickHouse, processors.

A wrong pair of SDK and server loses scores in silence; a wrong ClickHouse loses spans.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

Version = tuple[int, ...]

# https://langfuse.com/docs/observability/sdk/upgrade-path/python-v4-to-v5
MINIMUM_SERVER: Mapping[str, Version] = {"python-4": (4, 16, 0), "python-5": (4, 59, 0)}

# https://langfuse.com/self-hosting/deployment/infrastructure/clickhouse. Faults of single versions are worked
# around by the server: packages/shared/src/server/clickhouse/compatibility.ts at v4.16.0.
CLICKHOUSE_FROM: Version = (25, 12)
# From there on ClickHouse reads a bare number as seconds; the server sends text from 4.28.0 on
# (https://github.com/langfuse/langfuse/pull/16892).
CLICKHOUSE_READS_SECONDS: Version = (26, 8)
SERVER_SENDS_TEXT: Version = (4, 28, 0)
# Its official image on x86-64: https://github.com/ClickHouse/ClickHouse/pull/105019 (26.6.1.1193); on ARM:
# https://hub.docker.com/r/clickhouse/clickhouse-server, "ARMv8.2-A, and the load-acquire RCpc register".
_X86_64_V3: Version = (26, 6)
_INSTRUCTIONS: Mapping[str, Mapping[str, str]] = {
    "x86_64": {"sse4_2": "SSE4.2"},
    "x86_64-v3": {"sse4_2": "SSE4.2", "avx2": "AVX2", "bmi1": "BMI1"},
    "aarch64": {"atomics": "ARMv8.2-A", "lrcpc": "RCpc"},
}


def numbers_of(text: str) -> Version:
    """Return all numbers of a version such as `26.3.37.3` or `v2.25.0`, four at most."""
    return tuple(int(number) for number in re.findall(r"\d+", text)[:4])


def clickhouse_refusal(clickhouse: str, server: str) -> str:
    """Return why a ClickHouse does not work with a server version, or an empty string."""
    has = numbers_of(clickhouse)
    if has < CLICKHOUSE_FROM:
        return f"ClickHouse {clickhouse} is too old for Langfuse 4, which needs {_text(CLICKHOUSE_FROM)}"
    if has >= CLICKHOUSE_READS_SECONDS and (version_of(server) or SERVER_SENDS_TEXT) < SERVER_SENDS_TEXT:
        return (
            f"ClickHouse {clickhouse} refuses the inserts of Langfuse {server} (Code 407), or puts them into "
            f"the year 9999: from {_text(CLICKHOUSE_READS_SECONDS)} on it needs {_text(SERVER_SENDS_TEXT)}"
        )
    return ""


def processor_lacks(clickhouse: str, machine: str, flags: Collection[str]) -> tuple[str, ...]:
    """Return the instructions that ClickHouse's image needs and a processor lacks.

    Args:
        clickhouse: its version.
        machine: as `uname -m` says it.
        flags: of /proc/cpuinfo; none means that they are not known.
    """
    level = "x86_64-v3" if machine == "x86_64" and numbers_of(clickhouse) >= _X86_64_V3 else machine
    needed = _INSTRUCTIONS.get(level, {}) if flags else {}
    return tuple(name for flag, name in needed.items() if flag not in flags)


def _text(version: Version) -> str:
    return ".".join(map(str, version))


def version_of(text: str) -> Version:
    """Return the numbers of a version, three at most; empty for what is none."""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text.strip())
    return tuple(map(int, found.groups())) if found else ()


def supported_sdks(server: str) -> dict[str, bool]:
    """Return for each line of SDKs whether it works with this version of the server; empty when unknown."""
    version = version_of(server)
    return {sdk: version >= minimum for sdk, minimum in MINIMUM_SERVER.items()} if version else {}
