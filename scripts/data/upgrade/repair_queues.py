"""`repair-queues`: have Valkey start whose file ends in what a power cut has left.

A file system that loses power can leave zeros where the last second of the append-only file should be. Valkey
cuts off an entry that is torn, but does not start with one that is something else ("Bad file format reading
the append only file", https://github.com/valkey-io/valkey/issues/1148). Its own program cuts the file behind
the last good entry. What is cut off are jobs and caches of the last second: the events bucket has what was
acknowledged.
"""

from __future__ import annotations

from dataclasses import dataclass

from scripts.core.confirmation import confirm
from scripts.core.errors import EXIT_OK, CommandFailed, StackError, UsageError
from scripts.core.layout import only_one_command
from scripts.docker.compose import Compose
from scripts.engines.base import EngineName
from scripts.engines.context import Context
from scripts.settings.values import Settings

SERVICE = "valkey"
KEPT = "/data/appendonlydir.before-repair"
"""Where the files stay as they were."""

_MANIFEST = "/data/appendonlydir/appendonly.aof.manifest"
_CHECK = f"exec valkey-check-aof {_MANIFEST} >&2"
_FIX = (
    f"rm -rf {KEPT} && cp -a /data/appendonlydir {KEPT}"
    # It asks before it cuts.
    f" && echo y | valkey-check-aof --fix {_MANIFEST} >&2 && exec valkey-check-aof {_MANIFEST} >&2"
)


@dataclass(frozen=True, slots=True)
class Queues:
    """The files of the bundled Valkey, looked at by its own image while it does not run."""

    services: Compose

    def problem(self) -> str:
        """Return what is wrong with the files, or nothing. Raises StackError when that cannot be told."""
        try:
            self.services.run_inside(SERVICE, ["sh", "-c", _CHECK])
        except CommandFailed as error:
            # 125 and more: Docker did not get to run it.
            if error.returncode >= 125:
                raise
            # A line for each file; the last one is that of the file that is not good.
            counted = [line for line in error.details if "ok_up_to" in line]
            return (counted or list(error.details) or ["it is not valid"])[-1]
        return ""

    def fix(self) -> None:
        """Keep a copy of the files, and cut off what is not good. Raises StackError."""
        self.services.run_inside(SERVICE, ["sh", "-c", _FIX])


def repair_queues(context: Context, *, yes: bool, dry_run: bool) -> int:
    """The command."""
    settings = context.settings()
    if context.current_engine(settings).name is not EngineName.COMPOSE:
        raise UsageError("The embedded engine has no Valkey.", fix="make doctor")
    services = _services(context, settings)
    if SERVICE not in services.bundled():
        raise UsageError("REDIS_HOST names an external Valkey.", fix="repair it where it runs.")
    state, health = services.states().get(SERVICE, ("", ""))
    if health == "healthy":
        context.console.print("Valkey runs and is healthy: nothing to repair.")
        return EXIT_OK
    if state in ("running", "restarting"):
        services.stop(SERVICE)
    queues = Queues(services)
    problem = queues.problem()
    if not problem:
        context.console.print("The files of Valkey are good: nothing to repair.")
        return EXIT_OK
    context.console.rows(plan_rows(problem))
    if dry_run:
        return EXIT_OK
    confirm(context.console, yes=yes)
    with only_one_command(context.layout):
        queues.fix()
    if left := queues.problem():
        raise StackError(
            f"The files of Valkey are still not good: {left}",
            fix="start with empty queues, as what was acknowledged is in the events bucket: "
            "docs/how-to/troubleshoot.md#valkey.",
        )
    context.console.print(
        "Repaired. Now: make up, then make reconcile SINCE=2h, which replays what was in the end of the file."
    )
    return EXIT_OK


def plan_rows(problem: str) -> list[tuple[str, str]]:
    """Return what is known and what is done, for people."""
    return [
        ("Problem", problem),
        ("Cause", "a power cut, or a kill of the host: the end of the file was never written"),
        ("Step 1", f"keep the files as they are in {KEPT}, inside the volume"),
        ("Step 2", "cut the file behind its last good entry (valkey-check-aof --fix)"),
        ("Costs", "jobs of the last second, which make reconcile brings back; delayed jobs of that second"),
    ]


def _services(context: Context, settings: Settings) -> Compose:
    return context.compose(settings)
