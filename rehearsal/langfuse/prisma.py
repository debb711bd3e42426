"""`prisma` of the web image, as far as repairs need it: `migrate resolve --applied|--rolled-back NAME`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from .migrations import MigrationFailed, resolve
from .postgres import Postgres

_SCHEMA = "--schema=./packages/shared/prisma/schema.prisma"


def main(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Resolve one migration in the database that DIRECT_URL names, as the schema of Langfuse says."""
    match [one for one in argv if one != _SCHEMA]:
        case ["migrate", "resolve", ("--applied" | "--rolled-back") as how, name] if _SCHEMA in argv:
            pass
        case _:
            print(f"usage: prisma migrate resolve {_SCHEMA} --applied|--rolled-back NAME", file=sys.stderr)
            return 2
    if not environment.get("DIRECT_URL"):
        print("Error: P1012\nEnvironment variable not found: DIRECT_URL.", file=sys.stderr)
        return 1
    try:
        resolve(Postgres({"DATABASE_URL": environment["DIRECT_URL"]}), name, applied=how == "--applied")
    except MigrationFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
