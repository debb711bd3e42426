"""`doctor`: look at everything, say what is wrong and how to fix it, fix what is safe."""

from __future__ import annotations

import time
from collections.abc import Sequence

from scripts.core.confirmation import confirm
from scripts.core.errors import StackError
from scripts.core.layout import only_one_command
from scripts.core.version import stack_version
from scripts.engines.context import Context

from .catalog import chosen
from .examine import examine, exit_code, gathered
from .facts import Surroundings
from .model import Check, Result, Status
from .show import as_json, print_report


def doctor(
    context: Context,
    *,
    only: str = "",
    json_output: bool = False,
    verbose: bool = False,
    fix: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    read_only: bool = False,
) -> int:
    """The command. Exit code 0: all well; 1: a check failed; 2: wrong use; 3: warnings only."""
    checks = chosen(only.replace(",", " ").split())
    results, seconds = look(context, checks, read_only=read_only, everything=not only)
    if fix:
        mended = _mend(context, results, dry_run=dry_run, yes=yes)
        if mended:
            results, seconds = look(context, checks, read_only=read_only, everything=not only)
    stack = stack_version(context.layout.root)
    if json_output:
        engine = Surroundings.of(context).engine.name
        context.console.print(as_json(results, stack=stack, engine=engine, seconds=seconds))
    else:
        print_report(context.console, results, stack=stack, verbose=verbose, seconds=seconds)
    return exit_code(results)


def look(
    context: Context, checks: Sequence[Check], *, read_only: bool, everything: bool
) -> tuple[list[Result], float]:
    """Return the results of checks, and how many seconds they took."""
    begin = time.monotonic()
    with (
        context.console.working(f"Running {len(checks)} checks"),
        gathered(context, read_only=read_only, everything=everything) as facts,
    ):
        results = examine(checks, facts)
    return results, time.monotonic() - begin


def _mend(context: Context, results: Sequence[Result], *, dry_run: bool, yes: bool) -> bool:
    """Apply the safe fixes, after asking; return whether anything was done."""
    broken = [
        result
        for result in results
        if result.check.repair and result.status in (Status.WARNING, Status.FAILED)
    ]
    if not broken:
        context.console.note("Nothing to fix automatically; the remaining problems need manual action.")
        return False
    for result in broken:
        context.console.note(f"{result.check.id}: {_what(result.check)}")
    if dry_run:
        return False
    what = "this fix" if len(broken) == 1 else f"these {len(broken)} fixes"
    confirm(context.console, f"Apply {what}?", yes=yes, fix="make doctor FIX=1 YES=1 asks nothing.")
    with only_one_command(context.layout):
        for result in broken:
            _apply(context, result.check)
    return True


def _apply(context: Context, check: Check) -> None:
    if check.repair is None:
        return
    try:
        check.repair.apply(context)
    except OSError as error:
        raise StackError(f"{check.id} could not be fixed: {error}.", fix=check.fix) from error


def _what(check: Check) -> str:
    return check.repair.what if check.repair else ""
