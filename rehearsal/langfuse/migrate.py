"""`migrate` of the web image (golang-migrate), as far as repairs need it: `version` and `force N`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from .migrations import clickhouse_level, record_level
from .stores import ClickHouse

_OPTIONS = ("-source", "-database", "--source", "--database")


def main(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run one command on the ClickHouse of the stack; source and URL are taken as given and not used."""
    words = [word for place, word in enumerate(argv) if not _belongs_to_option(argv, place)]
    clickhouse = ClickHouse.of(environment)
    if words == ["version"]:
        number, dirty = clickhouse_level(clickhouse)
        # golang-migrate writes its answers to the standard error.
        print(f"{number}{' (dirty)' if dirty else ''}", file=sys.stderr)
        return 0
    if len(words) == 2 and words[0] == "force" and words[1].isdigit():
        record_level(clickhouse, int(words[1]), dirty=False)
        return 0
    print("usage: migrate [-source URL] [-database URL] version | force N", file=sys.stderr)
    return 2


def _belongs_to_option(argv: Sequence[str], place: int) -> bool:
    return argv[place].startswith("-") or (place > 0 and argv[place - 1] in _OPTIONS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
