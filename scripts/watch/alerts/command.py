"""`alerts`: check config/alerts.yaml, show the plan, compile it for Prometheus and Alertmanager."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.core.errors import EXIT_OK, EXIT_WARNINGS
from scripts.engines.context import Context

from .compiled import compiled_files, reload_services, stale_files, write_compiled
from .document import load_alerts
from .model import AlertFile
from .paths import secrets_dir
from .queries import plan_queries
from .routing import actions_without_secret
from .series import all_series


def alerts(context: Context, *, dry_run: bool) -> int:
    """The command. Exit code 0: compiled; 2: the file has problems; 3: compiled, but secrets are missing."""
    file = load_alerts(*context.layout.edited("alerts.yaml"))
    for line in plan(file):
        context.console.print(line)
    stale = stale_files(context.layout, file)
    for target in compiled_files(context.layout, file):
        if target in stale and not dry_run:
            write_compiled(target, stale[target])
        done = "unchanged" if target not in stale else "would be written" if dry_run else "written"
        context.console.note(f"{context.layout.shown(target)}: {done}")
    if stale and not dry_run and (reloaded := reload_services(context)):
        context.console.note(f"read again by {', '.join(reloaded)}")
    return _warn_of_missing_secrets(context, file)


def plan(file: AlertFile) -> Iterator[str]:
    """Yield the lines that say what is watched and what that costs."""
    for alert in file.alerts:
        per = f" by {alert.group_by}" if alert.group_by else ""
        where = ", ".join(alert.projects) or "all projects"
        actions = ", ".join(alert.actions)
        yield (
            f"{alert.name}: {alert.metric} {alert.condition_text}{per} over {alert.window.text}, "
            f"{where} -> {alert.severity}, {actions}"
        )
    series = all_series(file)
    yield (
        f"{len(file.alerts)} alerts, {len(series)} series, "
        f"{len(plan_queries(series))} queries per project and interval"
    )


def _warn_of_missing_secrets(context: Context, file: AlertFile) -> int:
    mute = list(actions_without_secret(file, secrets_dir(context)))
    for action, reason in mute:
        shown = context.layout.shown(secrets_dir(context) / action.secret)
        context.console.warn(f"action {action.name} cannot send: {shown} is {reason}")
    return EXIT_WARNINGS if mute else EXIT_OK
