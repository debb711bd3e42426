"""Write `docs/reference/embedded-api.md` from the routing table and from what tests touch.

python -m tests.api_reference            # render the page from the table and tests/operations.json
python -m tests.api_reference --record   # first make tests/operations.json from the records of a test run
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from langfuse_embedded import routes
from langfuse_embedded.routes import all_operations, licensed, refused
from langfuse_embedded.routes.operations import Operation

from .operation_recorder import RECORDS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "embedded-api.md"
TOUCHED = ROOT / "tests" / "operations.json"

_REFUSING: dict[str, str] = {licensed.__name__: "refused (403)", refused.__name__: "refused (501)"}
_HEAD = """# Operations of the embedded engine

<!-- Generated from the routing table and from what the tests touch: run `make api-reference`. -->

Every operation of the official description of Langfuse 4.59 has a row; a test compares the two. None is
absent: what is not implemented is refused with the reason, 403 where the server wants a licence, 501 where
the embedded engine has no such feature. Any other path answers 404, any other method 405. How answers compare
with those of a real server is in [conformance.md](conformance.md).

- **dual** operations answer 404 in `events_only` mode, as on the server.
- **tests** counts the test modules that send requests to the operation; the list is `tests/operations.json`.
"""


def key_of(operation: Operation) -> str:
    """Return how an operation is called in `tests/operations.json`."""
    return f"{operation.method} {operation.path}"


def state_of(operation: Operation) -> str:
    """Return `implemented`, or how it is refused."""
    return _REFUSING.get(operation.handler.__module__, "implemented")


def page(operations: Sequence[Operation], touched: Mapping[str, Sequence[str]]) -> str:
    """Return the page."""
    states = [state_of(operation) for operation in operations if operation.operation_id]
    counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    lines = [_HEAD, f"In figures, of operations with an id: {counts}.", ""]
    for module, members in _by_module(operations):
        lines += [
            f"## {_title(module)}",
            "",
            "| operation | id | state | access | tests |",
            "|---|---|---|---|---|",
        ]
        lines += [_row(operation, touched) for operation in members]
        lines.append("")
    return "\n".join(lines)


def _by_module(operations: Sequence[Operation]) -> Iterator[tuple[ModuleType, list[Operation]]]:
    members: dict[str, list[Operation]] = {}
    for operation in operations:
        members.setdefault(_module_of(operation), []).append(operation)
    for name, found in members.items():
        yield sys.modules[name], found


def _module_of(operation: Operation) -> str:
    return operation.handler.__module__


def _title(module: ModuleType) -> str:
    name = module.__name__.removeprefix(f"{routes.__name__}.")
    return name.replace(".", " ").replace("_", " ").capitalize()


def _row(operation: Operation, touched: Mapping[str, Sequence[str]]) -> str:
    mode = ", dual" if operation.legacy else ""
    tests = len(touched.get(key_of(operation), ()))
    name = f"`{operation.operation_id}`" if operation.operation_id else ""
    cells = (f"`{key_of(operation)}`", name, state_of(operation) + mode, operation.access.value, str(tests))
    return f"| {' | '.join(cells)} |"


def recorded(records: Path) -> dict[str, list[str]]:
    """Return operation -> test modules from the records of a test run."""
    pairs = {tuple(pair) for path in records.glob("*.json") for pair in json.loads(path.read_text())}
    keys = sorted({key for key, _ in pairs})
    return {key: sorted(module for other, module in pairs if other == key) for key in keys}


def read_touched() -> dict[str, list[str]]:
    """Return operation -> test modules as the repository keeps it."""
    touched: dict[str, list[str]] = json.loads(TOUCHED.read_text())
    return touched


def main(arguments: Sequence[str]) -> int:
    """Write the page."""
    if "--record" in arguments:
        TOUCHED.write_text(json.dumps(recorded(RECORDS), indent=1) + "\n")
    PAGE.write_text(page(all_operations(), read_touched()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
